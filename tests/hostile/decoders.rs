//! Texts that claim to have been shortened.

use super::Family;
use super::bodies::{CHAT, MESSAGES, chat, parts, results, until};

pub(super) const FAMILIES: &[Family] = &[
    ("pattern in many rows", MESSAGES, |n| results(&[pattern(n)])),
    ("many patterns", MESSAGES, |n| results(&[patterns(n)])),
    ("lines of its own", MESSAGES, |n| results(&[own_lines(n)])),
    ("lines of another", CHAT, |n| chat(&[numbered(n / 2), other_lines(n / 2, 0)])),
    ("lines that are not there", MESSAGES, |n| results(&[numbered(n / 2), other_lines(n / 2, 2)])),
    ("lines without a number", MESSAGES, lines_without_number),
    ("lines of lines", MESSAGES, lines_of_lines),
    ("numbers in many blocks", MESSAGES, numbers_in_blocks),
    ("a line of blanks", MESSAGES, line_of_blanks),
    ("parts that are one part", MESSAGES, parts_of_one),
    ("one line many times", MESSAGES, |n| results(&[again(n, "99999999")])),
    ("times that overflow", MESSAGES, |n| results(&[again(n, "18446744073709551615")])),
    ("times of times", MESSAGES, |n| results(&[again(n, "5")])),
    ("one row many times", MESSAGES, |n| results(&[rows(n)])),
    ("cells that are absent", MESSAGES, |n| results(&[absent(n)])),
    ("rows in every slot", MESSAGES, |n| results(&[slots(n)])),
    ("a name many times", MESSAGES, |n| results(&[name(n)])),
    ("names of names", MESSAGES, |n| results(&[names(n)])),
    ("tables in lines", MESSAGES, |n| results(&[table_lines(n)])),
    ("wide numbers", MESSAGES, |n| results(&[wide(n)])),
    ("as it came, nested", CHAT, |n| chat(&[as_it_came(n)])),
    ("one in another", MESSAGES, |n| results(&[one_in_another(n)])),
];

/// One of each, of about so many bytes.
pub(super) fn texts(n: usize) -> Vec<String> {
    let all: [fn(usize) -> String; 13] = [
        pattern,
        patterns,
        own_lines,
        rows,
        absent,
        slots,
        name,
        names,
        table_lines,
        wide,
        as_it_came,
        one_in_another,
        numbered,
    ];
    let mut texts: Vec<String> = all.iter().map(|text| text(n)).collect();
    texts.extend(["5", "99999999"].map(|times| again(n, times)));
    texts.push(other_lines(n, 0));
    texts
}

const LEGEND: &str = "is short for pattern #1 of these";

fn header(patterns: usize) -> String {
    format!(
        "[... below, a line such as \"#1 x y\" {LEGEND} {patterns}, with {{1}} = x and {{2}} = y ...]\n"
    )
}

fn pattern(n: usize) -> String {
    let fixed = "A".repeat(n / 2);
    header(1) + &format!("[... #1: {fixed} {{1}} ...]\n") + &until(n / 2, |_| "#1 x\n".to_owned())
}

fn patterns(n: usize) -> String {
    let count = n / 16;
    header(count) + &until(n, |at| format!("[... #{}: {{1}}{{2}} ...]\n", at + 1))
}

/// Lines that can be pointed at.
fn numbered(n: usize) -> String {
    until(n, |at| format!("line {at} of the text\n"))
}

fn count(n: usize) -> usize {
    numbered(n).lines().count()
}

fn marker(lines: usize, source: &str) -> String {
    format!(
        "line 0 of the text\n[... {lines} lines, the same as lines 2-{} of {source} above ...]\n",
        lines + 1
    )
}

fn own_lines(n: usize) -> String {
    let lines = count(n / 2) - 1;
    numbered(n / 2) + &until(n / 2, |_| marker(lines, "this text"))
}

/// With `more` lines than there are.
fn other_lines(n: usize, more: usize) -> String {
    let lines = count(n) - 1 + more;
    until(n, |_| marker(lines, "tool result 1"))
}

/// The last of them has none, so that the copy is in vain.
fn lines_without_number(n: usize) -> String {
    let text = until(n / 2, |at| format!("{}:x\n", at + 1));
    let lines = text.lines().count();
    let marker = format!(
        "x\n[... {lines} lines, the same as lines 2-{} of tool result 1 above ...]\n",
        lines + 1
    );
    results(&[text + "end\nx", until(n / 2, |_| marker.clone())])
}

fn lines_of_lines(n: usize) -> String {
    let each = n / 8;
    let lines = count(each) - 1;
    let of = |above: usize| until(each, |_| marker(lines, &format!("tool result {above}")));
    let texts: Vec<String> = [numbered(each)].into_iter().chain((1..8).map(of)).collect();
    results(&texts)
}

fn numbers_in_blocks(n: usize) -> String {
    let block = |at: usize| {
        let first = at * 10 + 1;
        format!("{first}:a\n{}:b\n{}:c\nx\n", first + 1, first + 2)
    };
    let text = until(n / 2, block);
    let last = (text.matches('x').count() - 1) * 10 + 1;
    let marker = format!(
        "{last}:a\n[... 1 line, the same as line numbered {} of tool result 1 above ...]\n",
        last + 1
    );
    results(&[text, until(n / 2, |_| marker.clone())])
}

fn line_of_blanks(n: usize) -> String {
    let marker = "w\n[... 1 line, the same as line 2 of tool result 1 above ...]\n";
    results(&[" ".repeat(n / 2) + "\nw\nx", until(n / 2, |_| marker.to_owned())])
}

fn parts_of_one(n: usize) -> String {
    let text = numbered(n / 2);
    let lines = text.lines().count();
    let marker = format!(
        "[... {lines} lines, the same as all of part 1 of tool result 1 above, from \"line 0 of the \
         text\" to \"line {} of the text\" ...]",
        lines - 1
    );
    let count = n / 2 / (marker.len() + 30);
    parts(std::iter::once(text).chain(std::iter::repeat_n(marker, count)))
}

fn again(n: usize, times: &str) -> String {
    "abc\n".to_owned() + &until(n, |_| format!("[... the line above {times} more times ...]\n"))
}

fn table(rows: usize, template: &str, each: &str) -> String {
    let list = vec![each; rows].join(",");
    format!("{{\"template of {rows} objects\":{template},\"rows\":[{list}]}}")
}

fn rows(n: usize) -> String {
    table(n / 8, &format!("{{\"a\":\"{}\",\"b\":\"$1\"}}", "A".repeat(n / 2)), "[1]")
}

fn absent(n: usize) -> String {
    let members = until(n / 2, |at| format!("\"k{at}\":\"$1\","));
    table(n / 2 / 13, &format!("{{{}}}", members.trim_end_matches(',')), "[\"(absent)\"]")
}

fn slots(n: usize) -> String {
    let members = until(n / 2, |at| format!("\"k{at}\":{{\"each of $1\":{{\"a\":\"$1.1\"}}}},"));
    let row = until(n / 2, |_| "[1],".to_owned());
    let row = format!("[[{}]]", row.trim_end_matches(','));
    table(1, &format!("{{{}}}", members.trim_end_matches(',')), &row)
}

fn name(n: usize) -> String {
    let value = "A".repeat(n / 2);
    let uses = until(n / 2, |_| ",\"@1\"".to_owned());
    format!("[{{\"@1 below means\":\"{value}\"}}{uses},{}]", table(2, "{\"a\":\"$1\"}", "[1]"))
}

fn names(n: usize) -> String {
    let mut text = format!("[{{\"@1 below means\":\"{}\"}}", "A".repeat(100));
    text += &until(n, |at| {
        let (name, inner) = (at + 2, at + 1);
        format!(",{{\"@{name} below means\":[\"@{inner}\",\"@{inner}\"]}}")
    });
    text + "]"
}

fn table_lines(n: usize) -> String {
    let value = "A".repeat(200);
    let line = |_| {
        format!(
            "{{\"template of 40 lines\":{{\"a\":\"$1\",\"b\":\"{value}\"}},\"rows\":[{}]}}\n",
            ["[1]"; 40].join(",")
        )
    };
    "head\n".to_owned() + &until(n, line)
}

fn wide(n: usize) -> String {
    let blanks = " ".repeat(n / 2);
    format!("{blanks}1:a\n") + &until(n / 2, |at| format!("{}:\n", at + 2))
}

fn as_it_came(n: usize) -> String {
    until(n, |_| "[... the text below is as it came ...]\n".to_owned())
}

/// A pattern that writes lines that say how often they come again, among lines that are here.
fn one_in_another(n: usize) -> String {
    let head = header(1) + "[... #1: [... the line above {1} more times ...] ...]\n";
    head + "abc\n" + &until(n / 2, |_| "#1 9999\n".to_owned()) + &own_lines(n / 2)
}
