//! The client's own tools: which of them does a deed, and how it wants to be asked.
//!
//! Names are looked up in a table, arguments are filled in by what they are called in the tool's
//! schema. What no special tool does is done through the shell.

use super::super::dialects::{Call, Dialect, Input};
use serde_json::{Map, Value, json};
use std::path::Path;

/// A tool that the client offers.
pub(super) struct Tool {
    name: String,
    namespace: Option<String>,
    /// JSON schema of the arguments; null for a tool that takes plain text.
    schema: Value,
}

/// Something that a step does. Paths are relative to the project.
pub(super) enum Deed {
    List,
    Read(&'static str),
    Search(&'static str),
    Edit { path: &'static str, old: &'static str, new: &'static str },
    Write { path: &'static str, text: &'static str },
    Run(&'static str),
}

/// What tools for a deed are called, in small letters.
const LIST: &[&str] = &["ls", "list_directory", "list"];
const READ: &[&str] = &["read", "read_file"];
const SEARCH: &[&str] = &["grep", "grep_search", "search_file_content"];
const EDIT: &[&str] = &["edit", "replace", "edit_file", "edit_existing_file", "str_replace"];
const WRITE: &[&str] = &["write", "write_file", "create_new_file"];
const PATCH: &[&str] = &["apply_patch"];
const SHELL: &[&str] = &[
    "bash",
    "run_shell_command",
    "exec_command",
    "shell_command",
    "shell",
    "exec",
    "run_terminal_command",
];

/// What arguments are called that mean the same.
const PATH_NAMES: &[&str] =
    &["path", "file_path", "filepath", "absolute_path", "filename", "dir_path"];
const OLD_NAMES: &[&str] = &["old_string", "oldstring", "oldtext", "old_str"];
const NEW_NAMES: &[&str] = &["new_string", "newstring", "newtext", "new_str"];
const TEXT_NAMES: &[&str] = &["content", "contents", "text"];
const PATTERN_NAMES: &[&str] = &["pattern", "query", "regex"];
const COMMAND_NAMES: &[&str] = &["command", "cmd"];
const PATCH_NAMES: &[&str] = &["patch", "patchtext", "input"];

/// The tools of a request, in any dialect.
pub(super) fn offered(dialect: Dialect, body: &Value) -> Vec<Tool> {
    let tools = list(&body["tools"]).iter();
    match dialect {
        Dialect::Chat => tools.filter_map(|tool| Tool::of(&tool["function"], None)).collect(),
        Dialect::Gemini => {
            // The API takes names in camel case and in snake case.
            let names = ["functionDeclarations", "function_declarations"];
            let tools = tools.flat_map(|tool| names.map(|name| list(&tool[name])).concat());
            tools.filter_map(|tool| Tool::of(&tool, None)).collect()
        }
        Dialect::Responses => {
            // Codex puts the tools of newer models into the input, by namespaces.
            let added = list(&body["input"]).iter().filter(|it| it["type"] == "additional_tools");
            tools.chain(added.flat_map(|item| list(&item["tools"]))).flat_map(unfolded).collect()
        }
        _ => tools.filter_map(|tool| Tool::of(tool, None)).collect(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A tool, or those of a namespace.
fn unfolded(tool: &Value) -> Vec<Tool> {
    match tool["type"].as_str() {
        Some("namespace") => {
            let namespace = tool["name"].as_str();
            list(&tool["tools"]).iter().filter_map(|tool| Tool::of(tool, namespace)).collect()
        }
        _ => Tool::of(tool, None).into_iter().collect(),
    }
}

impl Tool {
    fn of(tool: &Value, namespace: Option<&str>) -> Option<Tool> {
        let schemas =
            ["input_schema", "parameters", "parametersJsonSchema", "parameters_json_schema"];
        let schema = schemas.iter().map(|name| &tool[name]).find(|schema| !schema.is_null());
        Some(Tool {
            name: tool["name"].as_str()?.to_owned(),
            namespace: namespace.map(str::to_owned),
            schema: schema.cloned().unwrap_or_default(),
        })
    }

    fn takes_text(&self) -> bool {
        self.schema.is_null()
    }

    fn call(&self, input: Input) -> Call {
        Call { name: self.name.clone(), namespace: self.namespace.clone(), input }
    }
}

/// The call that does the deed; `None` if no tool could.
pub(super) fn call(deed: &Deed, tools: &[Tool], project: &Path) -> Option<Call> {
    let find = |names: &[&str]| {
        let wanted = |name: &&str| tools.iter().find(|t| t.name.eq_ignore_ascii_case(name));
        names.iter().find_map(wanted)
    };
    let place = |path: &str| project.join(path).display().to_string();
    let shell = |command: String| {
        let tool = find(SHELL)?;
        if tool.takes_text() {
            let program = json!({"cmd": command});
            let program = format!("text((await tools.exec_command({program})).output);");
            return Some(tool.call(Input::Text(program)));
        }
        let purpose = (&["description"][..], "Work on the project".to_owned());
        Some(fill(tool, &[(COMMAND_NAMES, command), purpose]))
    };
    let with =
        |names: &[&str], arguments: &[(&[&str], String)]| Some(fill(find(names)?, arguments));
    match deed {
        Deed::List => with(LIST, &[(PATH_NAMES, project.display().to_string())])
            .or_else(|| shell("ls -R .".into())),
        Deed::Read(path) => {
            with(READ, &[(PATH_NAMES, place(path))]).or_else(|| shell(format!("cat -n {path}")))
        }
        Deed::Search(pattern) => {
            let place = (PATH_NAMES, place("src"));
            with(SEARCH, &[(PATTERN_NAMES, (*pattern).to_owned()), place])
                .or_else(|| shell(format!("grep -rn '{pattern}' src")))
        }
        Deed::Edit { path, old, new } => {
            let texts = [(OLD_NAMES, (*old).to_owned()), (NEW_NAMES, (*new).to_owned())];
            let [old_text, new_text] = texts;
            let patcher = find(PATCH).or(find(SHELL).filter(|tool| tool.takes_text()));
            with(EDIT, &[(PATH_NAMES, place(path)), old_text, new_text])
                .or_else(|| Some(patch(patcher?, path, old, new)))
                .or_else(|| shell(format!("sed -i 's|{old}|{new}|' {path}")))
        }
        Deed::Write { path, text } => {
            with(WRITE, &[(PATH_NAMES, place(path)), (TEXT_NAMES, (*text).to_owned())])
                .or_else(|| shell(format!("printf '%s' '{text}' > {path}")))
        }
        Deed::Run(command) => shell((*command).to_owned()),
    }
}

/// A patch in the form that Codex's models learn.
fn patch(tool: &Tool, path: &str, old: &str, new: &str) -> Call {
    let lines = |sign: char, text: &str| -> String {
        text.lines().map(|line| format!("{sign}{line}\n")).collect()
    };
    let text = format!(
        "*** Begin Patch\n*** Update File: {path}\n@@\n{}{}*** End Patch\n",
        lines('-', old),
        lines('+', new)
    );
    match tool.takes_text() {
        // A shell that takes text is given a program that calls the other tools.
        true if !PATCH.contains(&&*tool.name) => {
            tool.call(Input::Text(format!("text(await tools.apply_patch({}));", json!(text))))
        }
        true => tool.call(Input::Text(text)),
        false => fill(tool, &[(PATCH_NAMES, text)]),
    }
}

/// A call with the arguments that the schema knows; required ones that nobody named get a plain value.
fn fill(tool: &Tool, arguments: &[(&[&str], String)]) -> Call {
    let arguments = filled(&tool.schema, arguments);
    tool.call(Input::Arguments(arguments))
}

fn filled(schema: &Value, arguments: &[(&[&str], String)]) -> Value {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut filled = Map::new();
    for (name, kind) in schema["properties"].as_object().into_iter().flatten() {
        let known = arguments.iter().find(|(names, _)| names.contains(&&*name.to_lowercase()));
        let value = match known {
            Some((_, text)) if kind["type"] == "array" => json!(["bash", "-c", text]),
            Some((_, text)) => json!(text),
            None if !required.contains(&json!(name)) => continue,
            None if kind["type"] == "array" => json!([filled_item(kind, arguments)]),
            None => plain(kind),
        };
        filled.insert(name.clone(), value);
    }
    Value::Object(filled)
}

/// Some tools take a list of edits.
fn filled_item(kind: &Value, arguments: &[(&[&str], String)]) -> Value {
    filled(&kind["items"], arguments)
}

/// Nothing where that will do.
fn plain(kind: &Value) -> Value {
    let kinds = [&kind["type"], &kind["anyOf"]].map(Value::to_string).concat();
    match kind["type"].as_str() {
        _ if kinds.contains("\"null\"") => Value::Null,
        Some("boolean") => json!(false),
        Some("number" | "integer") => json!(1),
        _ => json!("Work on the project"),
    }
}
