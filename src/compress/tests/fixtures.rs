//! Each pass against its texts in `fixtures/compress`: `NAME.in` becomes `NAME.out`, and comes back where
//! the pass can be undone. A pass that points at earlier texts finds `NAME.earlier`, or else `NAME.in`.

use std::path::{Path, PathBuf};

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/compress")
}

/// `None` where there is no such file.
fn text(name: &str, extension: &str) -> Option<String> {
    std::fs::read_to_string(folder().join(format!("{name}.{extension}"))).ok()
}

#[test]
fn fixtures_come_out_as_written() {
    for name in names() {
        let before = text(&name, "in").expect("found a moment ago");
        let after = text(&name, "out").unwrap_or_else(|| panic!("{name}.out is not there"));
        let rows: Vec<&Pass> = PASSES.iter().filter(|pass| pass.name == name).collect();
        assert!(!rows.is_empty(), "{name}: no pass has this name");
        let shown = text(&name, "earlier").unwrap_or_else(|| before.clone());
        let mut earlier = Earlier::new(true);
        earlier.remember(shown.as_str().into(), Source::Text(result(1)), 0, Leading::LineNumbers);
        let run =
            |text: &str| rows.iter().fold(text.to_owned(), |text, row| run(row, &text, &earlier));
        assert_eq!(run(&before), after, "{name}");
        assert_ne!(before, after, "{name}: a fixture that shows nothing");
        assert_eq!(run(&after), after, "{name}: a second run changes nothing");
        let undone = |text, row: &&Pass| undo(row, text, &earlier, before.len());
        let back = rows.iter().rev().fold(after, undone);
        if !rows.iter().any(|row| row.work.is_normalising()) {
            assert_eq!(back, before, "{name}: the way back");
        }
    }
}

/// The texts that are there, by the name of their pass.
fn names() -> Vec<String> {
    let entries = folder().read_dir().expect("it is in the repository");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let inputs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "in"));
    let mut names: Vec<String> =
        inputs.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

fn run(pass: &Pass, text: &str, earlier: &Earlier) -> String {
    match pass.work {
        Work::Renders(run) | Work::Loses(run) | Work::Encodes { run, .. } => run(text).into_owned(),
        Work::Strips(run) => run(text, "rs").into_owned(),
        Work::Points { run, .. } => run(text, Leading::LineNumbers, earlier)
            .map_or_else(|| text.to_owned(), |found| found.apply(text)),
    }
}

fn undo(pass: &Pass, text: String, earlier: &Earlier, bytes: usize) -> String {
    let mut budget = Budget::new(bytes);
    let back = match pass.work {
        Work::Renders(_) | Work::Loses(_) | Work::Strips(_) => None,
        Work::Encodes { undo, .. } => undo(&text, &mut budget),
        Work::Points { undo, .. } => undo(&text, (Leading::LineNumbers, earlier), &mut budget),
    };
    back.unwrap_or(text)
}

#[test]
fn no_pass_is_without_a_fixture() {
    let names = names();
    let mut without: Vec<&str> = PASSES.iter().map(|pass| pass.name).collect();
    without.retain(|name| !names.iter().any(|named| named == name));
    assert!(without.is_empty(), "add {without:?} to fixtures/compress, .in and .out");
}
