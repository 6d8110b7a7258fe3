//! What was changed in a prompt, text by text, from the bodies as received and as sent.
//!
//! Both are read as prompts, whose parts are the same in number and order, and differing texts are
//! compared by line. Nothing is concluded from what we meant to do.

use std::collections::HashMap;

use super::{Role, ToolResult, prompt};
use crate::wire::Format;
use crate::wire::prompt::Part;

/// A text that was sent otherwise than received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) name: String,
    /// In the order of the text.
    pub(crate) cuts: Vec<Replaced>,
}

/// Lines and what stands in their place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// The first of them as received, from 1.
    pub(crate) line: usize,
    pub(crate) before: Vec<String>,
    pub(crate) after: Vec<String>,
}

/// Every changed text; `None` if a body is not understood, or they are not the same prompt.
pub(crate) fn cuts(format: Format, received: &[u8], sent: &[u8]) -> Option<Vec<Changed>> {
    let (received, sent) = (std::str::from_utf8(received).ok()?, std::str::from_utf8(sent).ok()?);
    let (came, went) = (prompt::read_text(format, received)?, prompt::read_text(format, sent)?);
    if came.parts.len() != went.parts.len() {
        return None;
    }
    let mut all = Vec::new();
    for (before, after) in came.parts.iter().zip(&went.parts) {
        let texts = (before.text(received), after.text(sent));
        let (Some(old), Some(new)) = texts else { continue };
        if old != new {
            all.push(Changed { name: name(before), cuts: compare(&old, &new) });
        }
    }
    Some(all)
}

fn name(part: &Part) -> String {
    match part.role {
        Role::Typed { number } => format!("user text {number}"),
        Role::Result(ToolResult { number, part: None, .. }) => format!("tool result {number}"),
        Role::Result(ToolResult { number, part: Some(part), .. }) => {
            format!("part {part} of tool result {number}")
        }
        Role::Assistant => format!("text of the model, message {}", part.message),
        _ => format!("another text, message {}", part.message),
    }
}

/// Goes through both texts side by side. What was sent is mostly what came with lines left out, so
/// after a difference the next line sent that stands further on in what came is where both meet.
fn compare(old: &str, new: &str) -> Vec<Replaced> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, line) in old.iter().enumerate() {
        places.entry(line).or_default().push(at);
    }
    let next = |line: &str, from: usize| {
        let all = places.get(line)?;
        all.get(all.partition_point(|at| *at < from)).copied()
    };
    let mut cuts = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let meets = (j..new.len()).find_map(|to| Some((next(new[to], i)?, to)));
        let (to_i, to_j) = meets.unwrap_or((old.len(), new.len()));
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        cuts.push(Replaced {
            line: i + 1,
            before: owned(&old[i..to_i]),
            after: owned(&new[j..to_j]),
        });
        (i, j) = (to_i, to_j);
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_found_where_they_were_made() {
        check("a\nb\nc", "a\nb\nc", &[]);
        check("a\nb\nc\nd", "a\n[...]\nd", &[(2, "b\nc", "[...]")]);
        check("a\nb", "x\ny", &[(1, "a\nb", "x\ny")]);
        check("a\n}\nb\n}\nc", "a\n[...]\nc", &[(2, "}\nb\n}", "[...]")]);
        check("a\nb\nc\nd\ne", "a\n1\nc\n2\ne", &[(2, "b", "1"), (4, "d", "2")]);
        check("a", "a\nb", &[(2, "", "b")]);
        check("a\nb", "a", &[(2, "b", "")]);

        #[track_caller]
        fn check(old: &str, new: &str, want: &[(usize, &str, &str)]) {
            let found = compare(old, new);
            let found: Vec<_> = found
                .iter()
                .map(|cut| (cut.line, cut.before.join("\n"), cut.after.join("\n")))
                .collect();
            let want: Vec<_> = want
                .iter()
                .map(|(line, before, after)| (*line, (*before).to_owned(), (*after).to_owned()))
                .collect();
            assert_eq!(found, want);
        }
    }

    #[test]
    fn changed_texts_are_named() {
        let body = |text: &str| {
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#)
        };
        let (received, sent) = (body(r"a\nb\nc"), body(r"a\n[...]\nc"));
        let found = cuts(Format::Chat, received.as_bytes(), sent.as_bytes()).unwrap();
        let cut = Replaced { line: 2, before: vec!["b".into()], after: vec!["[...]".into()] };
        assert_eq!(found, [Changed { name: "user text 1".into(), cuts: vec![cut] }]);
        assert_eq!(cuts(Format::Chat, received.as_bytes(), received.as_bytes()), Some(vec![]));
        assert_eq!(cuts(Format::Chat, received.as_bytes(), b"{}"), None);
    }
}
