//! The small project that the task is about: the same bytes every time, and enough of them that
//! compression has something to do.

use std::fmt::Write;
use std::fs;
use std::path::Path;

pub(super) const SOURCE: &str = "src/records.py";
/// The line to change.
pub(super) const LIMIT: &str = "LIMIT = 100  # records in one answer";
pub(super) const RAISED: &str = "LIMIT = 250  # records in one answer";
pub(super) const NOTES: &str = "# Notes\n\nThe limit of records was raised from 100 to 250.\n";

/// Files that the task changes or makes, and what they must hold in the end.
pub(crate) const EDITED: &[(&str, &str)] = &[(SOURCE, RAISED), ("NOTES.md", NOTES)];

const FIELDS: &[&str] = &[
    "account", "balance", "currency", "customer", "discount", "invoice", "journal", "ledger",
    "period", "receipt", "region", "supplier",
];

/// Writes it into `project`, in the place of whatever was there.
pub(super) fn create(project: &Path) {
    let _ = fs::remove_dir_all(project);
    let write = |path: &str, text: &str| {
        let path = project.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "README.md",
        "# Records\n\nReads records of accounts. `sh run-tests.sh` runs the tests.\n",
    );
    write(SOURCE, &source());
    write(
        "src/report.py",
        "from records import LIMIT\n\n\ndef pages(rows):\n    return -(-len(rows) // LIMIT)\n",
    );
    write("run-tests.sh", TESTS);
    write("logs/build.log", &log());
    write("data/rows.json", &rows());
}

/// A function for each field, and the constants above them.
fn source() -> String {
    let mut text =
        format!("\"\"\"Records of accounts, read from JSON.\"\"\"\n\nimport json\n\n{LIMIT}\n");
    for (n, field) in FIELDS.iter().enumerate() {
        let _ = write!(
            text,
            "\n\ndef read_{field}(path, strict=False):\n    \
             \"\"\"The {field} of every record in the file at `path`.\"\"\"\n    \
             with open(path, encoding=\"utf-8\") as file:\n        \
             records = json.load(file)\n    \
             found = []\n    \
             for number, record in enumerate(records[:LIMIT]):\n        \
             value = record.get(\"{field}\")\n        \
             if value is None and strict:\n            \
             raise ValueError(f\"record {{number}} has no {field}\")\n        \
             if value is not None:\n            \
             found.append((number, value))\n    \
             return found\n\n\n\
             def has_{field}(record):\n    \
             return record.get(\"{field}\") not in (None, \"\", {n})\n"
        );
    }
    text
}

/// What a long run with a progress line prints, and a verdict that depends on the edit.
const TESTS: &str = r#"n=0
while [ $n -lt 60 ]; do
  n=$((n + 1))
  printf 'tests/test_records.py::test_case_%03d \033[32mPASSED\033[0m [%3d%%]\n' $n $((n * 100 / 60))
done
for done in 20 40 60 80 100; do printf 'collecting coverage: %d%%\r' $done; done
printf '\n'
grep -q '^LIMIT = 250' src/records.py || { echo 'FAILED test_limit: 100 is too low'; exit 1; }
echo '60 passed'
"#;

fn log() -> String {
    (0..320)
        .map(|n| match n % 40 {
            39 => format!("2026-03-02T08:{:02}:00Z WARN  cache: 1 entry was evicted, {n} are left\n", n / 40),
            k => format!(
                "2026-03-02T08:{:02}:{k:02}Z INFO  build: compiled module records.part_{n:03} in {} ms\n",
                n / 40,
                10 + n % 7
            ),
        })
        .collect()
}

fn rows() -> String {
    let row = |n: usize| {
        format!(
            "  {{\n    \"id\": {},\n    \"account\": \"A-{:04}\",\n    \"balance\": {}.{:02},\n    \
             \"currency\": \"EUR\",\n    \"region\": \"{}\",\n    \"closed\": {}\n  }}",
            1000 + n,
            n * 7 % 9973,
            n * 31 % 5000,
            n * 17 % 100,
            ["north", "south", "east", "west"][n % 4],
            n.is_multiple_of(9)
        )
    };
    format!("[\n{}\n]\n", (0..160).map(row).collect::<Vec<_>>().join(",\n"))
}
