//! Which lines of a file are comments and nothing else.

use super::is_kept;
use super::language::Language;

/// What goes on at the end of a line of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Block,
    Long(&'static str),
    Short(char),
}

/// For each line whether it is a comment that can go. `None`: this file is not understood.
///
/// `first` is the number of the first line, if known. Of a file that is read from its middle
/// nobody knows what was open there; then strings of several lines must come in pairs.
pub(super) fn comments(
    language: &Language,
    lines: &[&str],
    first: Option<usize>,
) -> Option<Vec<bool>> {
    let is_known = |mark: &&'static str| match *mark {
        "\\\n" => !lines.iter().any(|line| line.ends_with('\\')),
        mark => !lines.iter().any(|line| line.contains(mark)),
    };
    let is_paired = |mark: &&'static str| {
        lines.iter().map(|line| line.matches(*mark).count()).sum::<usize>().is_multiple_of(2)
    };
    if !language.unknown.iter().all(is_known)
        || (first != Some(1) && !language.long.iter().all(is_paired))
    {
        return None;
    }
    let mut scanner = Scanner {
        language,
        open: Open::Nothing,
        expects_docs: first == Some(1) || first.is_none(),
    };
    let mut comments = vec![false; lines.len()];
    let mut at = 0;
    while at < lines.len() {
        let length = scanner.comment(&lines[at..], at == 0)?;
        let part = &lines[at..at + length];
        comments[at..at + length].fill(length > 0 && !part.iter().any(|line| is_kept(line)));
        if length == 0 {
            scanner.code(lines[at]);
        }
        at += length.max(1);
    }
    (scanner.open == Open::Nothing).then_some(comments)
}

struct Scanner<'l> {
    language: &'l Language,
    open: Open,
    /// Whether a string that stands here is documentation.
    expects_docs: bool,
}

impl Scanner<'_> {
    /// How many lines from here on are one comment. `None`: it has no end.
    fn comment(&mut self, lines: &[&str], is_first: bool) -> Option<usize> {
        let start = lines[0].trim();
        if self.open != Open::Nothing || start.is_empty() || (is_first && start.starts_with("#!")) {
            return Some(0);
        }
        if self.language.line.iter().any(|mark| start.starts_with(mark)) {
            return Some(usize::from(!start.starts_with("#[")));
        }
        if let Some((open, close)) = self.language.block
            && let Some(rest) = start.strip_prefix(open)
        {
            return ends(rest, lines, close);
        }
        let is_docs = self.language.docstrings && self.expects_docs;
        let plain = start.strip_prefix(['r', 'u', 'R', 'U']).unwrap_or(start);
        let mark = self.language.long.iter().find(|mark| is_docs && plain.starts_with(**mark));
        match mark {
            Some(mark) => {
                self.expects_docs = false;
                ends(&plain[mark.len()..], lines, mark)
            }
            None => Some(0),
        }
    }

    /// Goes through a line that is not a comment.
    fn code(&mut self, line: &str) {
        if self.open == Open::Nothing && !line.trim().is_empty() {
            self.expects_docs = line.trim_end().ends_with(':');
        }
        let mut rest = Some(line);
        while let Some(part) = rest {
            rest = match self.open {
                Open::Nothing => self.opened(part),
                _ => self.closed(part),
            };
        }
    }

    /// Finds what opens next, and gives what is behind it; `None` if nothing does.
    fn opened<'l>(&mut self, code: &'l str) -> Option<&'l str> {
        let language = self.language;
        for (at, letter) in code.char_indices() {
            let rest = &code[at..];
            let is_apart = at == 0 || code[..at].ends_with([' ', '\t']);
            let is_mark = |mark: &&&str| rest.starts_with(**mark) && (**mark != "#" || is_apart);
            if language.line.iter().find(is_mark).is_some() {
                return None;
            }
            if let Some((open, _)) = language.block.filter(|(open, _)| rest.starts_with(open)) {
                self.open = Open::Block;
                return Some(&rest[open.len()..]);
            }
            if let Some(mark) = language.long.iter().find(|mark| rest.starts_with(**mark)) {
                self.open = Open::Long(mark);
                return Some(&rest[mark.len()..]);
            }
            if language.short.contains(&letter) {
                self.open = Open::Short(letter);
                return Some(&rest[letter.len_utf8()..]);
            }
        }
        None
    }

    /// Finds the end of what is open, and gives what is behind it; `None` if it goes on.
    fn closed<'l>(&mut self, text: &'l str) -> Option<&'l str> {
        let behind = match self.open {
            Open::Nothing => Some(text),
            Open::Block => {
                let (_, close) = self.language.block?;
                text.split_once(close).map(|(_, behind)| behind)
            }
            Open::Long(mark) => behind_string(text, mark),
            Open::Short(quote) => behind_string(text, quote.encode_utf8(&mut [0; 4])),
        };
        let is_cut = matches!(self.open, Open::Short(_)) && !self.language.short_is_long;
        if behind.is_some() || is_cut {
            self.open = Open::Nothing;
        }
        behind
    }
}

/// How many of `lines` go up to `close`, which is looked for in `rest` and below; 0 if there is
/// something behind it.
fn ends(rest: &str, lines: &[&str], close: &str) -> Option<usize> {
    let below = lines[1..].iter().copied();
    let (index, behind) = std::iter::once(rest)
        .chain(below)
        .enumerate()
        .find_map(|(index, line)| Some((index, line.split_once(close)?.1)))?;
    Some(if behind.trim().is_empty() { index + 1 } else { 0 })
}

/// What is behind a string that ends with `close`.
fn behind_string<'l>(text: &'l str, close: &str) -> Option<&'l str> {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if let Some(behind) = text[at..].strip_prefix(close) {
            return Some(behind);
        }
    }
    None
}
