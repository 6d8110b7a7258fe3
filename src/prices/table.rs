//! The list prices that are built in, in the order of their names, and who asks which price.

use std::sync::OnceLock;

use miniz_oxide::inflate::decompress_to_vec;

/// Deflated while the program is built, from `table.txt`.
static DEFLATED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/prices.z"));

/// Those that make the models they sell: theirs is the price of a model where nothing is known of the
/// host. In the order in which they are asked.
const MAKERS: &[&str] = &[
    "anthropic",
    "openai",
    "google",
    "deepseek",
    "moonshot",
    "zai",
    "minimax",
    "xai",
    "mistral",
    "alibaba",
];

/// Those that sell other people's models at prices of their own.
const HOSTS: &[&str] = &["groq", "together", "fireworks", "cerebras"];

/// A model at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'t> {
    pub(crate) name: &'t str,
    pub(crate) host: &'t str,
    /// Rates and their conditions; see the top of the table.
    pub(crate) spec: &'t str,
}

/// Rows in the order of their names and hosts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    text: String,
    /// Where each row begins.
    starts: Vec<u32>,
}

/// Inflated when it is first asked: 42 KB.
pub(super) fn built_in() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let bytes = decompress_to_vec(DEFLATED).unwrap_or_default();
        Table::of(String::from_utf8(bytes).unwrap_or_default())
    })
}

impl Table {
    /// Of one model at one host the first row counts.
    fn of(text: String) -> Table {
        let (mut starts, mut at) = (Vec::new(), 0);
        for line in text.split_inclusive('\n') {
            if !line.starts_with('#') && line != "\n" {
                starts.push(at);
            }
            at += line.len() as u32;
        }
        let mut table = Table { text, starts: Vec::new() };
        let key = |start: &u32| {
            let row = table.row(*start);
            (row.name, row.host)
        };
        starts.sort_by(|a, b| key(a).cmp(&key(b)));
        starts.dedup_by(|later, first| key(later) == key(first));
        table.starts = starts;
        table
    }

    /// The rows of `text`, and those that are built in of which it says nothing.
    pub(super) fn over_built_in(text: &str) -> Table {
        Table::of([text.trim_end(), "\n", &built_in().text].concat())
    }

    /// Shorter than all of the row to look at.
    fn name(&self, start: u32) -> &str {
        let row = &self.text[start as usize..];
        &row[..memchr::memchr(b' ', row.as_bytes()).unwrap_or(row.len())]
    }

    fn row(&self, start: u32) -> Row<'_> {
        let line = self.text[start as usize..].lines().next().unwrap_or_default();
        Row::of(line)
    }

    /// What stands behind a word at the top.
    fn remark(&self, word: &str) -> &str {
        let line = self.text.lines().find(|line| line.starts_with(word));
        line.map_or("", |line| &line[word.len()..])
    }

    /// Every row, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.starts.iter().map(|start| self.row(*start))
    }

    /// What a provider asks for a model of that very name: the host's own price; the maker's, where the
    /// provider is not known to have prices of its own; or the only one there is.
    pub(super) fn find(&self, name: &str, provider: &str) -> Option<Row<'_>> {
        let from = self.starts.partition_point(|start| self.name(*start) < name);
        let of_name = || {
            let rows = self.starts[from..].iter().map(|start| self.row(*start));
            rows.take_while(|row| row.name == name)
        };
        let at = |host: &str| of_name().find(|row| row.host == host);
        if let Some(row) = at(provider) {
            return Some(row);
        }
        if HOSTS.contains(&provider) {
            return None;
        }
        let maker = MAKERS.iter().find_map(|maker| at(maker));
        maker.or_else(|| {
            // Others than these sell at prices that stand for nothing but themselves.
            let mut known = of_name().filter(|row| HOSTS.contains(&row.host));
            let first = known.next()?;
            known.all(|row| row.spec == first.spec).then_some(first)
        })
    }
}

impl Row<'_> {
    /// Reads `NAME HOST RATES`.
    pub(super) fn of(line: &str) -> Row<'_> {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (host, spec) = rest.split_once(' ').unwrap_or((rest, ""));
        Row { name, host, spec }
    }
}

/// The newest day on which the prices that are built in were looked at.
pub(crate) fn as_of() -> &'static str {
    built_in().remark("# as of ")
}

/// Where they come from: packages and their versions.
pub(crate) fn source() -> &'static str {
    built_in().remark("# source ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_found() {
        assert!(built_in().rows().count() > 600);
        assert!(built_in().rows().is_sorted_by_key(|row| (row.name, row.host)));
        for row in built_in().rows() {
            assert_eq!(built_in().find(row.name, row.host), Some(row));
            assert!(MAKERS.contains(&row.host) || HOSTS.contains(&row.host), "{row:?}");
        }
        assert_eq!(as_of().len(), "2026-11-03".len());
        for package in ["genai-prices ", "litellm "] {
            let version = source().split_once(package).map(|(_, version)| version);
            assert!(version.is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit())));
        }
    }

    #[test]
    fn the_host_decides_then_the_maker() {
        let host = |name, provider| built_in().find(name, provider).map(|row| row.host);
        assert_eq!(host("claude-opus-5-5", "google"), Some("google"));
        assert_eq!(host("claude-opus-5-5", "openrouter"), Some("anthropic"));
        assert_eq!(host("llama-3.3-70b-versatile", "openai"), Some("groq"));
        assert_eq!(host("gpt-4o", "groq"), None, "it is not sold there");
        assert_eq!(host("local-llama", "openai"), None);
    }
}
