//! Clients that keep their providers' addresses in files. The files are looked through line by line
//! for addresses that lead here; no other line of them is shown, for they may hold keys.

use std::path::Path;

use super::{Finding, path_below, shown, token_of};

/// A client's file, below the home.
struct File {
    client: &'static str,
    path: &'static str,
    /// What stands before an address, and the path that is wanted behind it.
    keys: &'static [(&'static str, &'static str)],
    /// What must not be said in the file, or must be, if it leads here.
    rules: &'static [Rule],
}

/// `words` must be in the file, or must not, if `when` is in it.
struct Rule {
    when: &'static str,
    words: &'static str,
    must: bool,
    text: &'static str,
    hint: &'static str,
}

const fn file(
    client: &'static str,
    path: &'static str,
    keys: &'static [(&'static str, &'static str)],
) -> File {
    File { client, path, keys, rules: &[] }
}

const FILES: &[File] = &[
    File {
        client: "Codex",
        path: ".codex/config.toml",
        keys: &[("openai_base_url", "/v1"), ("base_url", "/v1")],
        rules: &[
            Rule {
                when: "[model_providers.",
                words: "model_provider =",
                must: true,
                text: "Codex has a provider with this address, but does not use it",
                hint: "model_provider = \"NAME\" in ~/.codex/config.toml, above all tables",
            },
            Rule {
                when: "wire_api",
                words: "wire_api = \"chat\"",
                must: false,
                text: "Codex no longer speaks Chat Completions",
                hint: "wire_api = \"responses\" in ~/.codex/config.toml",
            },
        ],
    },
    file("opencode", ".config/opencode/opencode.json", &[("baseURL", "/v1")]),
    file("pi", ".pi/agent/models.json", &[("\"anthropic\"", ""), ("\"openai\"", "/v1")]),
    file("OpenClaw", ".openclaw/openclaw.json", &[("\"anthropic\"", ""), ("\"openai\"", "/v1")]),
    file("Continue", ".continue/config.yaml", &[("apiBase", "/v1")]),
    file("aider", ".aider.conf.yml", &[("openai-api-base", "/v1"), ("ANTHROPIC_API_BASE", "")]),
    file("Qwen Code", ".qwen/settings.json", &[("OPENAI_BASE_URL", "/v1"), ("baseUrl", "/v1")]),
    file("Gemini CLI", ".gemini/.env", &[("GOOGLE_GEMINI_BASE_URL", "")]),
];

/// What is said of every file that leads here.
pub(super) fn check(home: &Path, port: u16) -> Vec<Finding> {
    let read =
        |file: &'static File| Some((file, std::fs::read_to_string(home.join(file.path)).ok()?));
    let all = FILES.iter().filter_map(read);
    all.flat_map(|(file, text)| of_file(file, &text, port)).collect()
}

fn of_file(file: &File, text: &str, port: u16) -> Vec<Finding> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '/']));
    let lines: Vec<&str> = lines.collect();
    // In JSON the name may stand some lines above the address.
    let mut above = None;
    let found = lines.iter().filter_map(|line| {
        let here = file.keys.iter().find(|(key, _)| line.contains(key));
        above = here.filter(|(key, _)| key.starts_with('"')).or(above);
        let (key, wanted) = here.or(above)?;
        let url = &line[line.find("http://")?..];
        let url = url.split(['"', '\'', ' ', ',']).next()?;
        let path = path_below(url, port)?;
        let (client, place) = (file.client, file.path);
        let text = format!("{client}: {key} is {} in ~/{place}", shown(url));
        Some(match path == *wanted {
            true => Finding::ok(text),
            false => {
                let token = token_of(url);
                Finding::warn(text).hint(format!("{key} http://localhost:{port}{token}{wanted}"))
            }
        })
    });
    let mut findings: Vec<Finding> = found.collect();
    if !findings.is_empty() {
        // TOML may have any number of blanks around the sign.
        let tight = |line: &str| line.replace(" = ", "=").replace(" =", "=").replace("= ", "=");
        let said: Vec<String> = lines.iter().map(|line| tight(line)).collect();
        let is_said = |words: &str| said.iter().any(|line| line.contains(&tight(words)));
        let rules = file.rules.iter().filter(|rule| is_said(rule.when));
        let broken = rules.filter(|rule| is_said(rule.words) != rule.must);
        findings.extend(broken.map(|rule| Finding::warn(rule.text).hint(rule.hint)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_files_lead_here_with_the_right_path() {
        check("Codex", "base_url = \"http://localhost:9/v1\"\nmodel_provider = \"x\"", "ok");
        check("Codex", "[model_providers.x]\nbase_url = \"http://localhost:9/v1\"", "ok warn");
        check("Codex", "openai_base_url = \"http://localhost:9/v1\"", "ok");
        check("Codex", "base_url = \"http://localhost:9\"\nmodel_provider = \"x\"", "warn");
        let chat = "model_provider = \"x\"\nbase_url = \"http://[::1]:9/v1\"\nwire_api = \"chat\"";
        check("Codex", chat, "ok warn");
        check("Codex", "base_url = \"http://localhost:10/v1\"\nwire_api = \"chat\"", "");
        check("Codex", "base_url=\"http://localhost:9/v1\"\nmodel_provider=\"x\"", "ok");
        check("Codex", "openai_base_url=\"http://localhost:9/v1\"\nwire_api=\"chat\"", "ok warn");
        check("Codex", "# base_url = \"http://localhost:9\"", "");
        check("opencode", "{\"options\": {\"baseURL\": \"http://localhost:9/v1\"}}", "ok");
        check("opencode", "{\"options\": {\"baseURL\": \"http://localhost:9\"}}", "warn");
        let lines = "{\n  \"anthropic\": {\n    \"baseUrl\": \"http://localhost:9/v1\"\n  }\n}";
        check("pi", lines, "warn");
        check("OpenClaw", &lines.replace("/v1", ""), "ok");
        check("Continue", "    apiBase: http://127.0.0.1:9/v1/", "ok");
        check("Continue", "    apiBase: http://127.0.0.1:9", "warn");
        check("aider", "openai-api-base: http://localhost:9/p/site/v1", "ok");
        check("aider", "set-env:\n  - ANTHROPIC_API_BASE=http://localhost:9/v1", "warn");

        #[track_caller]
        fn check(client: &str, text: &str, want: &str) {
            let file = FILES.iter().find(|file| file.client == client).unwrap();
            let found = of_file(file, text, 9);
            let found: Vec<_> = found.iter().map(|finding| finding.result.name()).collect();
            assert_eq!(found.join(" "), want, "{text}");
        }
    }
}
