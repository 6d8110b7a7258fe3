//! Pass 10: of a unified diff, the changes with one line around them.
//!
//! Hunks keep true headers: they are counted again, and cut in two where lines between changes
//! go. Blob hashes go, and what changed in lock files becomes its count. Whatever does not add up,
//! such as a hunk that was cut off, stays as it is.

use std::borrow::Cow;

use crate::number::commas;

/// Lines shown around a change.
const CONTEXT: usize = 1;

/// So many lines between two changes are worth a header of their own.
const GAP_LINES_MIN: usize = 4;

/// Written by tools, and read by them.
const LOCK_FILES: &[&str] = &[
    "Cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "deno.lock",
    "poetry.lock",
    "Pipfile.lock",
    "uv.lock",
    "pdm.lock",
    "composer.lock",
    "Gemfile.lock",
    "go.sum",
    "mix.lock",
    "pubspec.lock",
    "Podfile.lock",
    "flake.lock",
    "packages.lock.json",
    "gradle.lockfile",
];

/// Borrowed if the text is no diff, or has nothing to spare.
pub(crate) fn trim(text: &str) -> Cow<'_, str> {
    if !is_diff(text) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let mut out: Vec<Cow<str>> = Vec::with_capacity(lines.len());
    let mut is_lock = false;
    let mut left_out = 0;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if line.starts_with("diff --git ") || line.starts_with("+++ ") {
            flush(&mut left_out, &mut out);
            is_lock = is_lock_file(line);
        }
        let hunk =
            Header::read(line).and_then(|header| Some((header, body(&lines[at + 1..], &header)?)));
        match hunk {
            Some((_, body)) if is_lock => {
                left_out += body.iter().filter(|line| is_change(line)).count();
                at += body.len();
            }
            Some((header, body)) => {
                shrink(line, header, body, &mut out);
                at += body.len();
            }
            None if is_index(line) => {}
            None => {
                flush(&mut left_out, &mut out);
                out.push(Cow::Borrowed(line));
            }
        }
        at += 1;
    }
    flush(&mut left_out, &mut out);
    let out = out.join("\n");
    if out.len() < text.len() { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// A hunk below the name of its file, at line starts.
pub(crate) fn is_diff(text: &str) -> bool {
    (text.starts_with("@@ -") || memchr::memmem::find(text.as_bytes(), b"\n@@ -").is_some())
        && (text.starts_with("+++ ") || memchr::memmem::find(text.as_bytes(), b"\n+++ ").is_some())
}

/// `index 83db48f..bf269f4 100644`.
fn is_index(line: &str) -> bool {
    let Some((from, to)) = line.strip_prefix("index ").and_then(|rest| rest.split_once(".."))
    else {
        return false;
    };
    let is_hash = |text: &str| text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash(from) && is_hash(to.split(' ').next().unwrap_or_default())
}

fn is_lock_file(line: &str) -> bool {
    let name = line.trim_end().rsplit(['/', ' ']).next().unwrap_or_default();
    LOCK_FILES.contains(&name)
}

fn is_change(line: &str) -> bool {
    line.starts_with(['+', '-'])
}

fn flush(left_out: &mut usize, out: &mut Vec<Cow<str>>) {
    if *left_out > 0 {
        let lines = commas(std::mem::take(left_out) as u64);
        out.push(Cow::Owned(format!("[... {lines} changed lines of this lock file left out ...]")));
    }
}

/// Where a hunk begins and how many lines it has, in the old file and the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    old: (usize, usize),
    new: (usize, usize),
}

impl Header {
    fn read(line: &str) -> Option<Header> {
        let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
        let (old, new) = ranges.split_once(" +")?;
        let range = |text: &str| match text.split_once(',') {
            Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        };
        Some(Header { old: range(old)?, new: range(new)? })
    }

    fn write(&self) -> String {
        let (old, new) = (self.old, self.new);
        format!("@@ -{},{} +{},{} @@", old.0, old.1, new.0, new.1)
    }
}

/// The lines of the hunk below its header; `None` if they are not what it says.
fn body<'l, 't>(below: &'l [&'t str], header: &Header) -> Option<&'l [&'t str]> {
    let (mut old, mut new) = (header.old.1, header.new.1);
    let mut count = 0;
    while old > 0 || new > 0 {
        match below.get(count)?.bytes().next() {
            // Some tools strip the blank of an empty line.
            Some(b' ' | b'\r') | None => {
                old = old.checked_sub(1)?;
                new = new.checked_sub(1)?;
            }
            Some(b'-') => old = old.checked_sub(1)?,
            Some(b'+') => new = new.checked_sub(1)?,
            Some(b'\\') => {}
            _ => return None,
        }
        count += 1;
    }
    count += below[count..].iter().take_while(|line| line.starts_with('\\')).count();
    Some(&below[..count])
}

/// Writes a hunk with less around its changes.
fn shrink<'t>(line: &'t str, header: Header, body: &[&'t str], out: &mut Vec<Cow<'t, str>>) {
    let keep = keep(body);
    if keep.iter().all(|kept| *kept) || !keep.contains(&true) {
        out.push(Cow::Borrowed(line));
        out.extend(body.iter().map(|line| Cow::Borrowed(*line)));
        return;
    }
    // What stands behind the second @@ names the function.
    let section = line.splitn(3, "@@").nth(2).unwrap_or_default();
    let (mut old, mut new) = (header.old.0, header.new.0);
    let mut at = 0;
    let mut is_first = true;
    while at < body.len() {
        let length = keep[at..].iter().take_while(|kept| **kept == keep[at]).count();
        let part = &body[at..at + length];
        let olds = part.iter().filter(|line| !line.starts_with(['+', '\\'])).count();
        let news = part.iter().filter(|line| !line.starts_with(['-', '\\'])).count();
        if keep[at] {
            let header = Header { old: (old, olds), new: (new, news) }.write();
            let section = if std::mem::take(&mut is_first) { section } else { "" };
            out.push(Cow::Owned(header + section));
            out.extend(part.iter().map(|line| Cow::Borrowed(*line)));
        }
        (old, new) = (old + olds, new + news);
        at += length;
    }
}

/// The lines of a hunk that stay.
fn keep(body: &[&str]) -> Vec<bool> {
    let mut keep = vec![false; body.len()];
    for (index, _) in body.iter().enumerate().filter(|(_, line)| is_change(line)) {
        keep[index.saturating_sub(CONTEXT)..(index + CONTEXT + 1).min(body.len())].fill(true);
    }
    for (index, _) in body.iter().enumerate().filter(|(_, line)| line.starts_with('\\')) {
        keep[index] = index > 0 && keep[index - 1];
    }
    let first = keep.iter().position(|kept| *kept).unwrap_or(0);
    let last = keep.iter().rposition(|kept| *kept).unwrap_or(0);
    let mut at = first;
    while at < last {
        let length = keep[at..=last].iter().take_while(|kept| **kept == keep[at]).count();
        if length < GAP_LINES_MIN {
            keep[at..at + length].fill(true);
        }
        at += length;
    }
    keep
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "diff --git a/a.rs b/a.rs\nindex 83db48f..bf269f4 100644\n--- a/a.rs\n+++ b/a.rs\n";
    const SHORT: &str = "diff --git a/a.rs b/a.rs\n--- a/a.rs\n+++ b/a.rs\n";

    #[test]
    fn one_line_stays_around_a_change_and_headers_stay_true() {
        check(
            "@@ -10,7 +10,8 @@ fn a()\n 1\n 2\n 3\n-4\n+4\n+5\n 6\n 7\n 8\n",
            "@@ -12,3 +12,4 @@ fn a()\n 3\n-4\n+4\n+5\n 6\n",
        );
        check(
            "@@ -1,12 +1,12 @@\n-1\n+a\n 2\n 3\n 4\n 5\n 6\n 7\n 8\n-9\n+b\n 10\n 11\n 12\n",
            "@@ -1,2 +1,2 @@\n-1\n+a\n 2\n@@ -8,3 +8,3 @@\n 8\n-9\n+b\n 10\n",
        );
        check("@@ -0,0 +1,2 @@\n+a\n+b\n", "@@ -0,0 +1,2 @@\n+a\n+b\n");
        check("@@ -3 +3 @@\n-a\n+b\n", "@@ -3 +3 @@\n-a\n+b\n");
        check(
            "@@ -5,3 +5,3 @@\n 1\n 2\n-3\n\\ No newline at end of file\n+4\n",
            "@@ -6,2 +6,2 @@\n 2\n-3\n\\ No newline at end of file\n+4\n",
        );
        // Cut off, or not what the header says.
        check("@@ -1,9 +1,9 @@\n 1\n 2\n 3\n-4\n+5", "@@ -1,9 +1,9 @@\n 1\n 2\n 3\n-4\n+5");
        check("@@ -1,3 +1,3 @@\n 1\nx\n", "@@ -1,3 +1,3 @@\n 1\nx\n");

        #[track_caller]
        fn check(hunks: &str, want: &str) {
            let (text, want) = (format!("{HEAD}{hunks}"), format!("{SHORT}{want}"));
            assert_eq!(trim(&text), want);
            assert_eq!(trim(&want), want, "a second run must change nothing");
        }
    }

    #[test]
    fn lock_files_become_a_count() {
        let hunk = "@@ -1,2 +1,3 @@\n a\n-b\n+c\n+d\n";
        let text =
            format!("--- a/x/Cargo.lock\n+++ b/x/Cargo.lock\n{hunk}{hunk}--- a/b\n+++ b/b\n{hunk}");
        let want = format!(
            "--- a/x/Cargo.lock\n+++ b/x/Cargo.lock\n[... 6 changed lines of this lock file left out ...]\n--- a/b\n+++ b/b\n{hunk}"
        );
        assert_eq!(trim(&text), want);
    }

    #[test]
    fn what_is_no_diff_stays() {
        for text in [
            "",
            "index 83db48f..bf269f4 100644\n 1\n 2\n",
            "  12->@@ -1,2 +1,2 @@\n  13->+++ b\n",
            "see @@ -1,2 +1,2 @@ and +++ b",
        ] {
            assert_eq!(trim(text), text);
        }
    }
}
