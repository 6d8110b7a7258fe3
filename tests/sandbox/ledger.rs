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
