//! What the ledger learns of a model's tokens, and what teaches nothing.

use super::*;

fn lesson(id: &str, model: &str, billed: u64, counted: u64) -> Entry {
    let usage = Usage { input: Some(billed), output: Some(1), ..Usage::default() };
    Entry {
        model: Some(model.into()),
        usage: Some(usage),
        tokens_after: Some(counted),
        is_text_only: true,
        ..entry(id)
    }
}

/// The example of tokenpak(1), MONEY.
#[test]
fn ratio_is_learnt_as_the_manual_works_it_out() {
    let scratch = Scratch::new();
    let name = |number: usize| ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929"][number % 2];
    let lessons = (0..5).map(|n| lesson(&format!("id{n}"), name(n), 10_000, 8000));
    write(&scratch.db(), lessons);
    let rows = read(&scratch.db(), "SELECT * FROM calibration");
    assert_eq!(rows, ["claude-sonnet-4-5 5 48633 38906"]);
    // A new proxy goes on where the last one ended.
    let (ledger, _) = start(&scratch.db());
    until("the database is read", || ledger.ratio("claude-sonnet-4-5").is_some());
    let learnt = Ratio { billed: 48_633, counted: 38_906 };
    assert_eq!(ledger.ratio("anthropic/claude-sonnet-4.5"), Some(learnt));
    assert_eq!(ledger.ratio("claude-sonnet-4"), None);
    ledger.record(lesson("more", "claude-sonnet-4-5", 10_000, 8000));
    until("a sixth lesson", || ledger.ratio("claude-sonnet-4-5") != Some(learnt));
    ledger.close();
    let known = super::super::learnt(&scratch.db(), "claude-sonnet-4-5").unwrap();
    assert_eq!(
        (known.requests, known.billed, known.counted),
        (6, 48_633 - 675 + 10_000, 38_906 - 540 + 8000)
    );
}

#[test]
fn answers_that_say_nothing_of_the_text_teach_nothing() {
    let scratch = Scratch::new();
    let good = || lesson("", "gpt-4o", 100, 100);
    let bad = [
        Entry { is_text_only: false, ..good() },
        Entry { status: Some(400), ..good() },
        Entry { error: Some("cut".into()), ..good() },
        Entry { usage: None, ..good() },
        Entry { tokens_after: None, ..good() },
        Entry { tokens_after: Some(0), ..good() },
        Entry { model: None, ..good() },
        lesson("", "gpt-4o", u64::MAX, 100),
    ];
    let bad = bad.into_iter().enumerate();
    write(&scratch.db(), bad.map(|(n, bad)| Entry { request_id: n.to_string(), ..bad }));
    assert_eq!(rows(&scratch.db()), Some(8));
    assert_eq!(read(&scratch.db(), "SELECT count(*) FROM calibration"), ["0"]);
}
