//! A price list beside the built-in one: our own format, read with care. Pure.
//!
//! The format is that of the built-in table, described in tokenpak-prices(5). What comes from outside is
//! checked as a whole before any of it counts; a list that has lost its end is half a list.

use std::sync::Arc;

use super::table::{Row, Table, built_in};
use super::{Kind, Rates, Terms, plain_name, resolve};
use crate::name;
use crate::wire::Tier;

/// Where `prices update` keeps its list, in the home.
pub(crate) const FILE: &str = "prices.list";

/// The last line, which half a file does not have.
const END: &str = "# end";

const AS_OF: &str = "# as of ";
const SOURCE: &str = "# source ";

/// Dollars per million tokens: well below what a rate can hold, and above the dearest price known.
const DOLLARS_MAX: u32 = 4000;

/// Nothing costs less than this and more than nothing: a price below it is in another unit.
const MICRO_MIN: u32 = 1000;

/// Rows of a list, and where they are from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    /// A day, `2026-12-01`; empty if the list does not say.
    pub(crate) as_of: String,
    /// A file's name or an address.
    pub(crate) source: String,
    /// `NAME HOST RATES`, in order.
    rows: Vec<String>,
}

/// The list in force: the built-in one, or one over it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InForce(Option<Arc<(Table, List)>>);

impl InForce {
    pub(super) fn of(list: List) -> InForce {
        let table = Table::over_built_in(&list.rows.join("\n"));
        InForce(Some(Arc::new((table, list))))
    }

    pub(super) fn table(&self) -> &Table {
        self.0.as_deref().map_or_else(|| built_in(), |(table, _)| table)
    }

    pub(super) fn list(&self) -> Option<&List> {
        self.0.as_deref().map(|(_, list)| list)
    }
}

impl List {
    /// Of rows that have been checked.
    pub(super) fn new(mut rows: Vec<String>) -> List {
        rows.sort();
        List { rows, ..List::default() }
    }

    /// Reads the format, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<List, String> {
        let mut list = List::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if let Some(day) = line.strip_prefix(AS_OF) {
                list.as_of = day.to_owned();
            } else if let Some(source) = line.strip_prefix(SOURCE) {
                list.source = source.to_owned();
            } else if !line.is_empty() && !line.starts_with('#') {
                let row = row(line).map_err(|what| format!("line {}: {what}", index + 1))?;
                list.rows.push(row);
            }
        }
        if text.lines().last().map(str::trim_end) != Some(END) {
            return Err(format!("its last line is not \"{END}\": is it whole?"));
        }
        list.rows.sort();
        let twice = list.rows.windows(2).find(|pair| key(&pair[0]) == key(&pair[1]));
        match twice.map(|pair| key(&pair[0])) {
            Some((name, host)) => Err(format!("{name} at {host}: there twice")),
            None => Ok(list),
        }
    }

    /// As it was taken over from there: on that day, unless it says one itself.
    pub(crate) fn from(self, source: &str, today: &str) -> List {
        let as_of = if is_day(&self.as_of) { self.as_of } else { today.to_owned() };
        let source = source.split(char::is_control).collect::<Vec<_>>().join(" ");
        List { as_of, source, ..self }
    }

    /// Whether it is this list that says what a model costs at the host itself.
    pub(crate) fn has(&self, name: &str, host: &str) -> bool {
        self.rows.binary_search_by(|row| key(row).cmp(&(name, host))).is_ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The format, as `parse` reads it.
    pub(crate) fn text(&self) -> String {
        format!(
            "# Written by tokenpak prices update; see tokenpak-prices(5).\n{AS_OF}{}\n{SOURCE}{}\n{}\n{END}\n",
            self.as_of,
            self.source,
            self.rows.join("\n")
        )
    }

    /// Names, hosts and rates.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.rows.iter().map(|row| Row::of(row)).map(|row| (row.name, row.host, row.spec))
    }

    /// What a model costs at the host itself, as far as the list or the built-in one says.
    pub(crate) fn spec<'l>(&'l self, name: &str, host: &str) -> Option<&'l str> {
        let found = self.rows.binary_search_by(|row| key(row).cmp(&(name, host)));
        match found {
            Ok(at) => Some(Row::of(&self.rows[at]).spec),
            Err(_) => of_built_in(name, host),
        }
    }

    /// Whether the prices are near those that are known of the same models, rather than in another unit.
    pub(super) fn plausible(self) -> Result<List, String> {
        /// No price has ever changed so much at once.
        const TIMES_MAX: u64 = 30;
        const KNOWN_MIN: usize = 3;
        let input = |spec: &str| {
            resolve(spec, &Terms::default()).map_or(0, |rates| u64::from(rates.input()))
        };
        let pairs = self.rows().filter_map(|(name, host, spec)| {
            let (new, old) = (input(spec), input(of_built_in(name, host)?));
            (new.min(old) > 0).then_some((new, old))
        });
        let (mut known, mut odd) = (0, 0);
        for (new, old) in pairs {
            known += 1;
            odd += usize::from(new.max(old) > TIMES_MAX * new.min(old));
        }
        match known >= KNOWN_MIN && odd * 2 > known {
            true => Err(format!(
                "{odd} of {known} known models are far from their price; is it in another unit?"
            )),
            false => Ok(self),
        }
    }

    /// Without what the built-in list says just as well, and with more beside it.
    pub(super) fn without_known(mut self, ts: i64) -> List {
        self.rows.retain(|row| {
            let Row { name, host, spec } = Row::of(row);
            !of_built_in(name, host).is_some_and(|known| says_as_much(known, spec, ts))
        });
        self
    }
}

fn key(row: &str) -> (&str, &str) {
    let Row { name, host, .. } = Row::of(row);
    (name, host)
}

/// What the built-in list says of a model at this very host.
fn of_built_in(name: &str, host: &str) -> Option<&'static str> {
    built_in().find(name, host).filter(|row| row.host == host).map(|row| row.spec)
}

/// Whether `known` has all prices of `spec`, each for the terms under which it stands there. Where `known` has
/// dates or hours, `spec` may be the price of another one of them.
fn says_as_much(known: &str, spec: &str, ts: i64) -> bool {
    let base = spec.split(' ').next().unwrap_or_default();
    if (known.contains("[from=") || known.contains("[daily="))
        && known.split(' ').any(|word| word == base)
    {
        return true;
    }
    super::sections(spec).all(|(conditions, words)| {
        let terms = terms(conditions, ts);
        // What a section does not name itself, it takes from the one before, and says nothing of it.
        let own = match words.contains('x') {
            true => resolve(spec, &terms),
            false => resolve(words, &Terms::default()),
        };
        match (own, resolve(known, &terms)) {
            (Some(new), Some(old)) => is_within(&new, &old),
            (new, _) => new.is_none(),
        }
    })
}

/// Terms under which conditions hold.
fn terms(conditions: &str, ts: i64) -> Terms {
    let mut terms = Terms { ts, input: 1, ..Terms::default() };
    for condition in conditions.split(',').filter(|condition| !condition.is_empty()) {
        match (condition, condition.strip_prefix('>')) {
            ("speed", _) => terms.is_fast = true,
            ("us", _) => terms.is_regional = true,
            (_, Some(limit)) => terms.input = limit.parse().unwrap_or(0) + 1,
            (tier, None) => terms.tier = Tier::of(tier),
        }
    }
    terms
}

/// Whether all that `new` says is said by `old` as well.
fn is_within(new: &Rates, old: &Rates) -> bool {
    // What is free here may be what was not said.
    let is_needed = |kind, rate| rate > 0 || !matches!(kind, Kind::Input | Kind::Output);
    new.list().all(|(kind, rate)| !is_needed(kind, rate) || old[kind] == Some(rate))
}

/// A row with its name as it is looked for.
fn row(line: &str) -> Result<String, String> {
    let Row { name, host, spec } = Row::of(line);
    if spec.is_empty() {
        return Err("not NAME HOST RATES".to_owned());
    }
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if host.is_empty() || !host.bytes().all(|byte| is_plain(byte) || b"-.".contains(&byte)) {
        return Err(format!("{host}: not a host's name"));
    }
    if name != name::cut(name) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{name}: not a model's name"));
    }
    check(spec).map_err(|what| format!("{name}: {what}"))?;
    Ok(format!("{} {host} {spec}", plain_name(name)))
}

/// Whether rates and conditions are such.
pub(super) fn check(spec: &str) -> Result<(), String> {
    let (first, rest) = spec.split_once('[').unwrap_or((spec, ""));
    let kinds = rates(first)?;
    if !kinds.contains(&b'i') || !kinds.contains(&b'o') {
        return Err("needs IN/OUT before all conditions".to_owned());
    }
    for section in rest.split('[').filter(|_| !rest.is_empty()) {
        let (conditions, words) =
            section.split_once(']').ok_or("a condition without its bracket")?;
        for condition in conditions.split(',') {
            if !is_condition(condition) {
                return Err(format!("unknown condition \"{condition}\""));
            }
        }
        if rates(words)?.is_empty() {
            return Err(format!("no rates behind [{conditions}]"));
        }
    }
    Ok(())
}

fn is_condition(condition: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    if let Some(limit) = condition.strip_prefix('>') {
        return number(limit).is_some();
    }
    match condition.split_once('=') {
        Some(("from", day)) => is_day(day),
        Some(("daily", minutes)) => minutes
            .split_once('-')
            .and_then(|(from, to)| Some((number(from)?, number(to)?)))
            .is_some_and(|(from, to)| from < to && to <= 1440),
        Some(_) => false,
        None => matches!(condition, "flex" | "priority" | "ultrafast" | "batch" | "speed" | "us"),
    }
}

/// `2026-12-01`
pub(crate) fn is_day(text: &str) -> bool {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    shape && ("01"..="12").contains(&&text[5..7]) && ("01"..="31").contains(&&text[8..])
}

/// The kinds of rates that a section has, each one a number that can be.
fn rates(words: &str) -> Result<Vec<u8>, String> {
    let mut kinds = Vec::new();
    for word in words.split_ascii_whitespace() {
        let mut take = |kind: u8, number: &str| {
            let micro = micro(number).ok_or_else(|| format!("\"{word}\" is no rate"))?;
            if b"io".contains(&kind) && (1..MICRO_MIN).contains(&micro) {
                return Err(format!("\"{word}\": dollars per million tokens are meant"));
            }
            match kinds.contains(&kind) {
                true => return Err(format!("\"{word}\": there twice")),
                false => kinds.push(kind),
            }
            Ok(())
        };
        match word.split_once('/') {
            Some((input, output)) => {
                take(b'i', input)?;
                take(b'o', output)?;
            }
            None if b"iorwhdabpsgx".contains(&word.as_bytes()[0]) => {
                take(word.as_bytes()[0], &word[1..])?;
            }
            None => return Err(format!("\"{word}\" is no rate")),
        }
    }
    Ok(kinds)
}

/// A decimal number of dollars in millionths, none of which is lost.
fn micro(number: &str) -> Option<u32> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_fine = is_number(whole) && is_number(fraction) && fraction.len() <= 6;
    let whole = whole.parse::<u32>().ok().filter(|dollars| is_fine && *dollars < DOLLARS_MAX)?;
    Some(whole * 1_000_000 + format!("{fraction:0<6}").parse::<u32>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_such_a_list() {
        for row in built_in().rows() {
            // A price of before, which the one behind it overrules, is in some of its rows.
            let said = check(row.spec).err().unwrap_or_default();
            assert!(said.is_empty() || said.ends_with("there twice"), "{row:?}: {said}");
        }
    }

    #[test]
    fn lists_are_read_whole_or_not_at_all() {
        let list =
            List::parse("# as of 2026-12-01\nb openai 1/2 r0.1 [flex] 0.5/1\na x 0/0\n# end\n");
        let list = list.unwrap();
        assert_eq!(list.as_of, "2026-12-01");
        assert_eq!(list.spec("b", "openai"), Some("1/2 r0.1 [flex] 0.5/1"));
        assert_eq!(List::parse(&list.text()), Ok(list));
        for (text, want) in [
            ("a x 1/2\n", "its last line is not \"# end\": is it whole?"),
            ("a x\n# end\n", "line 1: not NAME HOST RATES"),
            ("a X 1/2\n# end\n", "line 1: X: not a host's name"),
            ("a x 1\n# end\n", "line 1: a: \"1\" is no rate"),
            ("a x i1\n# end\n", "line 1: a: needs IN/OUT before all conditions"),
            ("a x -1/2\n# end\n", "line 1: a: \"-1/2\" is no rate"),
            ("a x 1/2 z3\n# end\n", "line 1: a: \"z3\" is no rate"),
            ("a x 1/2 r0.1 r0.2\n# end\n", "line 1: a: \"r0.2\": there twice"),
            ("a x 4000/1\n# end\n", "line 1: a: \"4000/1\" is no rate"),
            ("a x 1e1/1\n# end\n", "line 1: a: \"1e1/1\" is no rate"),
            (
                "a x 0.000003/0.000015\n# end\n",
                "line 1: a: \"0.000003/0.000015\": dollars per million tokens are meant",
            ),
            ("a x 1/2 [slow] 1/1\n# end\n", "line 1: a: unknown condition \"slow\""),
            (
                "a x 1/2 [from=2026-13-01] 1/1\n# end\n",
                "line 1: a: unknown condition \"from=2026-13-01\"",
            ),
            (
                "a x 1/2 [daily=10-2000] 1/1\n# end\n",
                "line 1: a: unknown condition \"daily=10-2000\"",
            ),
            ("a x 1/2 [flex]\n# end\n", "line 1: a: no rates behind [flex]"),
            ("a x 1/2 [flex 1/1\n# end\n", "line 1: a: a condition without its bracket"),
            ("a x 1/2\na x 1/3\n# end\n", "a at x: there twice"),
        ] {
            assert_eq!(List::parse(text), Err(want.to_owned()), "{text}");
        }
        // Wherever a list is cut, it is none.
        let text = "a x 1/2 r0.1\nb x 10/20\n# end";
        for end in 0..text.len() {
            assert!(List::parse(&text[..end]).is_err(), "{end}");
        }
    }
}
