//! The laws, each as a check of one case.

use super::walker::{self, Change};
use super::*;
use crate::compress::tests::{renderings, shown};

impl Case<'_> {
    fn rewrite(&mut self, body: &str) -> String {
        sent(self.counter, &self.plan, self.format, body)
    }

    fn loses(&self) -> bool {
        self.plan.level == Level::Aggressive
    }

    /// The texts of this body that may be changed; each with its role, and whether a file was read.
    fn texts(&self, body: &str) -> Vec<(Role, bool, String)> {
        let prompt = prompt::read(self.format, body.as_bytes()).expect("valid");
        let text = |part: &Part| {
            let text = part.text(body)?;
            Some((part.role, is_read(body, &prompt, part.role, &text), text.into_owned()))
        };
        prompt.parts.iter().filter(|part| place(part.role).is_some()).filter_map(text).collect()
    }
}

/// The texts of a prompt, and the strings in the inputs of its calls: where lines may stand.
fn all_texts(format: Format, body: &str) -> Vec<String> {
    let prompt = prompt::read(format, body.as_bytes()).expect("valid");
    let mut all = Vec::new();
    for part in &prompt.parts {
        let Some(text) = part.text(body) else { continue };
        match (part.role, serde_json::from_str(&text)) {
            (Role::Input { .. }, Ok(input)) => strings(input, &mut all),
            _ => all.push(text.into_owned()),
        }
    }
    all
}

fn strings(value: Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text),
        Value::Array(items) => items.into_iter().for_each(|item| strings(item, all)),
        Value::Object(members) => members.into_iter().for_each(|(_, item)| strings(item, all)),
        _ => {}
    }
}

/// Item 1.
pub(super) fn expanding_gives_back_what_was_there(case: &mut Case) {
    if !case.loses() {
        comes_back(case.format, &case.body, &case.sent, "round trip");
    }
}

/// Files that were read come back to the letter, all else as its reader would have seen it.
#[track_caller]
fn comes_back(format: Format, body: &str, sent: &str, what: &str) {
    let back = expand(format, sent.as_bytes()).expect("what we send is valid");
    let back = String::from_utf8(back).expect("text stays text");
    let prompt = prompt::read(format, body.as_bytes()).expect("valid");
    let after = prompt::read(format, back.as_bytes()).expect("valid");
    assert_eq!(prompt.parts.len(), after.parts.len(), "{what}: parts are missing");
    for (old, new) in prompt.parts.iter().zip(&after.parts) {
        let (Some(was), Some(is)) = (old.text(body), new.text(&back)) else { continue };
        let is_typed = matches!(old.role, Role::Typed { .. });
        let is_fixed = is_read(body, &prompt, old.role, &was) || place(old.role).is_none();
        let may_be = renderings(&was, is_fixed, is_typed);
        let role = old.role;
        assert!(may_be.iter().any(|it| *it == is), "{what}: {role:?}\n{was:?}\nbecame\n{is:?}");
        let is_spaced = !is_fixed && (is_terminal(&was) || squeeze(&is) == squeeze(&was));
        assert!(is == was || is_spaced, "{what}: more than space is gone\n{was:?}\n{is:?}");
    }
}

fn is_terminal(text: &str) -> bool {
    text.contains(['\u{1b}', '\u{8}', '\u{9b}', '\u{9d}', '\u{7}'])
        || text.replace("\r\n", "").contains('\r')
}

/// JSON without the white space between its tokens.
fn squeeze(text: &str) -> String {
    let (mut is_inside, mut is_escaped) = (false, false);
    let keep = |c: &char| {
        let was_inside = is_inside;
        is_inside ^= *c == '"' && !is_escaped;
        is_escaped = was_inside && *c == '\\' && !is_escaped;
        was_inside || !" \t\r\n".contains(*c)
    };
    text.chars().filter(keep).collect()
}

/// Item 2: what is sent of a session begins with what was sent of it one turn before.
pub(super) fn a_longer_session_extends_what_was_sent(case: &mut Case) {
    let count = case.turns.len();
    for end in [1, case.dice % (count + 1), count.saturating_sub(1)] {
        let Some(turns) = case.turns.get(..end).filter(|_| count > 0) else { continue };
        let body = session::body(case.format, &case.system, turns);
        let part = case.rewrite(&body);
        assert!(
            case.sent.starts_with(&part[..part.len() - 2]),
            "prefix: cut after {end} turns\n{}",
            diff(&case.sent, &part)
        );
    }
}

/// Where two texts part.
fn diff(a: &str, b: &str) -> String {
    let at = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let shown = |text: &str| {
        String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(80)..text.len().min(at + 80)])
            .into_owned()
    };
    format!("at {at}:\n{}\n{}", shown(a), shown(b))
}

/// Item 2: nothing that was counted or remembered before has an influence.
pub(super) fn every_process_sends_the_same(case: &mut Case) {
    // A new counter builds a table: not for every case.
    if case.dice.is_multiple_of(16) {
        let fresh = sent(&mut Counter::new(), &case.plan, case.format, &case.body);
        assert_eq!(fresh, case.sent, "determinism");
    }
    let again = case.rewrite(&case.body.clone());
    assert_eq!(again, case.sent, "determinism");
}

/// Item 2: nor is what was remembered of this session's earlier turns, or of other sessions.
pub(super) fn what_is_remembered_changes_nothing(case: &mut Case) {
    let names = || [b"somebody".as_slice()].into_iter();
    let half = session::body(case.format, &case.system, &case.turns[..case.turns.len() / 2]);
    for body in [&half, &case.body, &half, &case.body] {
        let scope = case.memo.scope(names());
        let rewritten = rewrite_in(scope, case.counter, &case.plan, case.format, body.as_bytes());
        if body == &case.body {
            let sent = String::from_utf8(rewritten.body.unwrap_or(body.clone().into_bytes()));
            let sent = sent.expect("text stays text");
            assert!(sent == case.sent, "memo: {:?}\n{}", case.plan, diff(&sent, &case.sent));
        }
    }
}

/// Item 2.
pub(super) fn a_second_run_changes_nothing_or_is_undone(case: &mut Case) {
    let again = case.rewrite(&case.sent.clone());
    let expanded = expand(case.format, case.sent.as_bytes()).expect("what we send is valid");
    if expanded == case.sent.as_bytes() {
        assert!(again == case.sent, "a second run changed\n{}", diff(&case.sent, &again));
    } else if !case.loses() {
        comes_back(case.format, &case.sent, &again, "a second run");
    }
}

/// Items 3 and S1 to S14, path by path.
pub(super) fn only_texts_that_may_change_do(case: &mut Case) {
    let changes = walker::changes(&case.body, &case.sent);
    if changes.is_empty() {
        return;
    }
    let body: Value = serde_json::from_str(&case.body).expect("we wrote it");
    for change in changes {
        assert!(may_change(case, &body, &change), "changed: {change:?}");
    }
}

/// Whether this string is the text of a result or of a person, and may be what it became.
fn may_change(case: &Case, body: &Value, change: &Change) -> bool {
    let path: Vec<&str> = change.path.iter().map(String::as_str).collect();
    let old: String = serde_json::from_str(change.old).expect("a string");
    let at = |list: &str| &body[list][path[1].parse::<usize>().expect("an index")];
    // A text of any size that looks like one of ours gets a line that says it is none.
    let is_marked = change.new.starts_with("\"[... the text below is as it came ...]\\n")
        || change.new.contains("\\\"[... the text below is as it came ...]\\\\n");
    let is_large = old.chars().count() >= 400 || is_marked;
    let is_result = match (case.format, &path[..]) {
        (Format::Messages, ["messages", _, "content", block, "content", rest @ ..]) => {
            let block = &at("messages")["content"][block.parse::<usize>().expect("an index")];
            block["type"] == "tool_result"
                && block["is_error"] != true
                && matches!(rest, [] | [_, "text"])
        }
        (Format::Chat, ["messages", _, "content"] | ["messages", _, "content", _, "text"]) => {
            at("messages")["role"] == "tool"
        }
        (Format::Responses, ["input", _, "output"]) => true,
        (Format::Responses, ["input", _, "output", part, "text"]) => {
            let part = &at("input")["output"][part.parse::<usize>().expect("an index")];
            part["type"] == "input_text"
        }
        (
            Format::Gemini,
            ["contents", _, "parts", part, "functionResponse", "response", "output" | "content"],
        ) => {
            let part = &at("contents")["parts"][part.parse::<usize>().expect("an index")];
            part["functionResponse"]["response"]["error"].is_null()
        }
        _ => false,
    };
    let is_typed = match (case.format, &path[..]) {
        (Format::Messages, ["messages", _, "content", block, "text"]) => {
            at("messages")["role"] == "user"
                && at("messages")["content"][block.parse::<usize>().expect("an index")]["type"]
                    == "text"
        }
        (Format::Chat, ["messages", _, "content"]) => at("messages")["role"] == "user",
        (Format::Responses, ["input", _, "content"]) => at("input")["role"] == "user",
        (Format::Gemini, ["contents", _, "parts", _, "text"]) => at("contents")["role"] == "user",
        _ => false,
    };
    is_large && (is_result || is_typed && (is_marked || may_be_encoded(case, &old)))
}

/// S14: what a person typed may be encoded if it is data from end to end, or was there before.
fn may_be_encoded(case: &Case, text: &str) -> bool {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let is_data =
        is_json || text.contains("```") || case.body.matches(&json!(text).to_string()).count() > 1;
    case.plan.level >= Level::Balanced && is_data
}

/// Item 4, before expansion.
pub(super) fn errors_urls_and_typed_text_stay_literally(case: &mut Case) {
    if case.loses() {
        return;
    }
    let sent = all_texts(case.format, &case.sent);
    let is_there = |what: &str| sent.iter().any(|text| text.contains(what));
    for (role, is_fixed, text) in case.texts(&case.body) {
        if is_there(&text) {
            continue;
        }
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        let is_typed = matches!(role, Role::Typed { .. });
        let shown = shown(&text, is_fixed, is_typed);
        let missing = |text: &str| {
            let lines = text.lines().filter(|line| !is_json && is_error(line));
            let lines = lines.map(|line| unnumbered(line.trim()).to_owned());
            let urls = urls(text).map(str::to_owned);
            lines.chain(urls).find(|what| !is_there(what))
        };
        // Where rendering does not pay, the lines have their control characters still.
        if let Some(gone) = missing(&shown).filter(|_| missing(&text).is_some()) {
            panic!("an error line or URL is gone: {role:?} {gone:?} of\n{text:?}");
        }
    }
}

fn is_error(line: &str) -> bool {
    let is_data = line.trim_start().starts_with(['{', '[', '"']) || line.contains("\u{1b}");
    !is_data
        && ["error", "Error", "ERROR", "FAILED", "Traceback", "fatal", "panicked"]
            .iter()
            .any(|word| line.contains(word))
}

/// A line of a file without its number: lines may have moved since they were there.
fn unnumbered(line: &str) -> &str {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let marks = ['\u{2192}', '\t', ':'];
    let is_numbered = rest.len() < line.len();
    rest.strip_prefix(marks).filter(|_| is_numbered).unwrap_or(line)
}

fn urls(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("https://").map(|(at, _)| {
        let rest = &text[at..];
        let is_end = |c: char| c.is_whitespace() || c.is_control() || "\"'<>)]}\\,".contains(c);
        &rest[..rest.find(is_end).unwrap_or(rest.len())]
    })
}

/// Item 5: something that stands in one place only, in any line of any result.
pub(super) fn a_needle_is_found(case: &mut Case) {
    const NEEDLES: &[&str] = &[
        "The launch code is kept under the third flowerpot.",
        "8675309421",
        "zebra_crossing_77",
        "ZQX-4711-Kestrel",
    ];
    let needle = NEEDLES[case.dice % NEEDLES.len()];
    let mut turns = case.turns.clone();
    let mut places: Vec<&mut String> = turns
        .iter_mut()
        .flat_map(|turn| &mut turn.calls)
        .flat_map(|call| &mut call.texts)
        .filter(|text| !is_terminal(text))
        .collect();
    if places.is_empty() {
        return;
    }
    let count = places.len();
    let text = &mut places[case.dice / 7 % count];
    let at = case.dice / 11 % (text.len() + 1);
    let at = (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    // A backslash before it would make another character of its first.
    if text[..at].ends_with('\\') {
        return;
    }
    text.insert_str(at, needle);
    let text = text.clone();
    let body = session::body(case.format, &case.system, &turns);
    let sent = case.rewrite(&body);
    let is_found =
        case.texts(&sent).iter().any(|(_, _, text)| text.contains(needle)) || sent.contains(needle);
    let is_reported = case.loses() && sent.contains("left out");
    assert!(is_found || is_reported, "needle is gone: {needle} in\n{text}");
}

/// Fewer bytes and fewer tokens, but for texts that must say that they are as they came.
pub(super) fn nothing_grows(case: &mut Case) {
    let rewritten = rewrite(case.counter, &case.plan, case.format, case.body.as_bytes());
    for looked in &rewritten.texts {
        let saved: u64 = looked.saved.iter().map(|(_, saved)| saved).sum();
        let grown = looked.after.saturating_sub(looked.before);
        assert!(grown <= 16, "a text grew by {grown} tokens");
        assert!(
            looked.saved.is_empty() || looked.before - looked.after == saved,
            "accounts: {looked:?}"
        );
        assert!(
            looked.saved.is_empty() || saved >= 24 && saved * 20 >= looked.before,
            "too little: {looked:?}"
        );
    }
    let off = rewrite(case.counter, &Plan::of(Mode::Off), case.format, case.sent.as_bytes());
    assert_eq!(off.before, rewritten.after, "accounts: tokens as sent");
}

/// Item 2: clients move their cache marks from turn to turn.
pub(super) fn marks_can_move(case: &mut Case) {
    const MARK: &str = r#","cache_control":{"type":"ephemeral"}"#;
    if case.format != Format::Messages {
        return;
    }
    let ids: Vec<usize> =
        case.body.match_indices("\"tool_use_id\":\"call_").map(|(at, _)| at).collect();
    let mut marked = |at: usize| {
        let end = at + case.body[at..].find(',').expect("a member follows");
        let body = format!("{}{MARK}{}", &case.body[..end], &case.body[end..]);
        let sent = sent(case.counter, &case.plan, case.format, &body);
        assert_eq!(sent.matches(MARK).count(), body.matches(MARK).count(), "a mark is gone");
        sent.replacen(MARK, "", 1)
    };
    if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
        let (first, last) = (marked(*first), marked(*last));
        assert!(first == last, "marks moved what is sent\n{}", diff(&first, &last));
    }
}
