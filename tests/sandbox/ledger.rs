//! The database, read as any SQLite program would.

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::path::Path;

/// A row of `requests`, by column name.
#[derive(Clone, Debug)]
pub(crate) struct Row(BTreeMap<String, Value>);

impl Row {
    #[track_caller]
    fn value(&self, column: &str) -> &Value {
        self.0.get(column).unwrap_or_else(|| panic!("no column {column}"))
    }

    /// A text; empty when NULL.
    #[track_caller]
    pub(crate) fn text(&self, column: &str) -> &str {
        match self.value(column) {
            Value::Text(text) => text,
            Value::Null => "",
            other => panic!("{column} is {other:?}"),
        }
    }

    /// A number; `None` when NULL.
    #[track_caller]
    pub(crate) fn number(&self, column: &str) -> Option<i64> {
        match self.value(column) {
            Value::Integer(number) => Some(*number),
            Value::Null => None,
            other => panic!("{column} is {other:?}"),
        }
    }
}

/// All requests so far, oldest first; none while there is no database or no table yet.
pub(super) fn rows(database: &Path) -> Vec<Row> {
    read(database).unwrap_or_default()
}

fn read(database: &Path) -> rusqlite::Result<Vec<Row>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare("select * from requests order by id")?;
    let names: Vec<String> = statement.column_names().map(String::from).collect();
    let row = |row: &rusqlite::Row| {
        let cells = names.iter().enumerate().map(|(i, name)| Ok((name.clone(), row.get(i)?)));
        cells.collect::<rusqlite::Result<_>>().map(Row)
    };
    statement.query_map([], row)?.collect()
}

/// A request as a test makes it up; the rest of its row is the same for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made<'a> {
    /// Unix seconds.
    pub(crate) ts: i64,
    pub(crate) provider: &'a str,
    pub(crate) model: Option<&'a str>,
    pub(crate) project: Option<&'a str>,
    pub(crate) client: Option<&'a str>,
    pub(crate) mode: &'a str,
    pub(crate) status: Option<i64>,
    pub(crate) before: i64,
    pub(crate) after: i64,
    pub(crate) cost_nano: Option<i64>,
}

impl Made<'_> {
    pub(crate) fn at(ts: i64) -> Made<'static> {
        Made {
            ts,
            provider: "openai",
            model: Some("gpt-4o"),
            project: None,
            client: Some("test/1"),
            mode: "hybrid",
            status: Some(200),
            before: 1000,
            after: 700,
            cost_nano: Some(3_000_000),
        }
    }
}

/// Writes requests into a database of tokenpak's, with their sums in its roll-up.
pub(super) fn fill<'a>(database: &Path, all: impl IntoIterator<Item = Made<'a>>) {
    let mut connection = Connection::open(database).unwrap();
    let change = connection.transaction().unwrap();
    let count: i64 =
        change.query_row("select count(*) from requests", [], |row| row.get(0)).unwrap();
    let sql = "insert into requests (request_id, ts, provider, api, model, project, client, status,
        stream, tokens_before, tokens_after, input_tokens, output_tokens, cost_nano, saved_nano,
        basis, mode, level, proxy_us, total_ms)
        values (?, ?, ?, 'chat', ?, ?, ?, ?, 1, ?, ?, ?, 50, ?, ?, 'usage', ?, 'light', 2000, 900)";
    for (n, made) in all.into_iter().enumerate() {
        let id = format!("made{:012}", count + n as i64);
        let names = (id, made.ts, made.provider, made.model, made.project, made.client);
        let numbers = (made.status, made.before, made.after, made.after, made.cost_nano);
        let mut statement = change.prepare_cached(sql).unwrap();
        let saved = made.cost_nano.map(|nano| nano / 3);
        statement
            .execute(rusqlite::params![
                names.0, names.1, names.2, names.3, names.4, names.5, numbers.0, numbers.1,
                numbers.2, numbers.3, numbers.4, saved, made.mode
            ])
            .unwrap();
    }
    roll_up(&change);
    change.commit().unwrap();
}

/// Makes the roll-up anew from the requests, as tokenpak-db(5) describes it.
fn roll_up(change: &Connection) {
    const SUMS: &str =
        "count(*), sum(CASE WHEN status >= 400 THEN 1 WHEN error IS 'client_gone' THEN 0
            ELSE error IS NOT NULL OR status IS NULL END),
        sum(tokens_before), sum(tokens_after), sum(input_tokens), sum(cache_read_tokens),
        sum(cache_write_tokens), sum(output_tokens), sum(cost_nano), sum(saved_nano),
        sum(cost_nano IS NULL AND (input_tokens IS NULL OR output_tokens IS NULL)),
        sum(cost_nano IS NULL AND input_tokens IS NOT NULL AND output_tokens IS NOT NULL)";
    const NAMES: &str =
        "provider, coalesce(model, ''), coalesce(project, ''), coalesce(client, ''),
        mode, coalesce(status, 0)";
    let columns = "start, requests, errors, tokens_before, tokens_after, input_tokens,
        cache_read_tokens, cache_write_tokens, output_tokens, cost_nano, saved_nano, no_usage, no_price";
    // Of the delays of made rows, which are all the same, one class is enough.
    change
        .execute_batch(&format!(
            "DELETE FROM quarters; DELETE FROM quarter_parts; DELETE FROM day_parts;
            INSERT INTO quarters ({columns}, us_2000)
                SELECT ts - ts % 900, {SUMS}, count(*) FROM requests WHERE api <> 'other' GROUP BY 1;
            INSERT INTO quarter_parts ({columns}, provider, model, project, client, mode, status)
                SELECT ts - ts % 900, {SUMS}, {NAMES} FROM requests WHERE api <> 'other'
                GROUP BY 1, 14, 15, 16, 17, 18, 19;
            INSERT INTO day_parts ({columns}, provider, model, project, client, mode, status)
                SELECT ts - ts % 86400, {SUMS}, {NAMES} FROM requests WHERE api <> 'other'
                GROUP BY 1, 14, 15, 16, 17, 18, 19;"
        ))
        .unwrap();
}

/// A query's first row as text, its columns separated by a bar.
pub(super) fn ask(database: &Path, sql: &str) -> String {
    let connection = Connection::open(database).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let text = |row: &rusqlite::Row| {
        let cell = |at| match row.get_ref(at).unwrap() {
            rusqlite::types::ValueRef::Null => String::new(),
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            rusqlite::types::ValueRef::Real(number) => number.to_string(),
            other => other.as_str().unwrap().to_owned(),
        };
        Ok((0..columns).map(cell).collect::<Vec<_>>().join("|"))
    };
    statement.query_row([], text).unwrap()
}
