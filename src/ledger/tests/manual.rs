//! tokenpak-db(5) against the database that the program makes.

use std::collections::BTreeSet;

use super::*;

const PAGE: &str = include_str!("../../../man/tokenpak-db.5");

/// The names in the first column of a list of the page.
fn heads(section: &str) -> BTreeSet<String> {
    let (_, rest) = PAGE.split_once(&format!(".Ss {section}\n")).expect(section);
    let lines = rest.split(".Ss ").next().unwrap_or_default().lines();
    let heads = lines.filter_map(|line| line.strip_prefix(".It Li "));
    heads.flat_map(|head| head.split(" , ")).map(str::to_owned).collect()
}

fn names(connection: &Connection, sql: &str) -> BTreeSet<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn manual_names_every_table_view_and_column() {
    let scratch = Scratch::new();
    write(&scratch.db(), []);
    let db = Connection::open(scratch.db()).unwrap();
    let columns =
        |table: &str| names(&db, &format!("SELECT name FROM pragma_table_info('{table}')"));
    assert_eq!(heads("Table requests"), columns("requests"));

    let views = names(&db, "SELECT name FROM sqlite_schema WHERE type = 'view'");
    assert_eq!(&heads("Views of sums") | &heads("Other views"), views);
    let words: BTreeSet<&str> =
        PAGE.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    for view in &views {
        for column in columns(view) {
            // Classes of delays, of which the page names the first and the last.
            let class = column.strip_prefix("us_").is_some_and(|rest| rest.parse::<u32>().is_ok());
            assert!(class || words.contains(column.as_str()), "{view}.{column}");
        }
    }
    let tables = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'trigger')
        AND name NOT LIKE 'sqlite_%'";
    for table in names(&db, tables) {
        assert!(words.contains(table.as_str()), "{table}");
    }
    assert!(PAGE.contains(&format!("0x{:x}", i64_of(&db, "application_id"))));
}

fn i64_of(db: &Connection, pragma: &str) -> i64 {
    db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
}
