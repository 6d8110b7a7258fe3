//! What is remembered of earlier prompts changes nothing but the time.

use super::*;
use crate::compress::tests::Random;

/// All of what becomes of a request but the report, which is not made with a memo.
fn facts(rewritten: Rewritten) -> impl PartialEq + std::fmt::Debug {
    let Rewritten { body, before, after, cuts, per_pass, skip, model, stream, .. } = rewritten;
    let body = body.map(|body| String::from_utf8(body).expect("text stays text"));
    (body, before, after, cuts, per_pass, skip.map(Skip::name), (model, stream))
}

fn scope<'m>(memo: &'m Memo, owner: &str) -> Scope<'m> {
    memo.scope([owner.as_bytes()].into_iter())
}

#[track_caller]
fn same(memo: &Memo, counter: &mut Counter, plan: &Plan, format: Format, body: &str) {
    let without = facts(rewrite(counter, plan, format, body.as_bytes()));
    let with = facts(rewrite_in(scope(memo, "one"), counter, plan, format, body.as_bytes()));
    assert!(with == without, "{plan:?} {format:?}\n{with:?}\n{without:?}");
}

#[test]
fn turns_in_any_order_give_the_same_with_and_without_a_memo() {
    let mut counter = Counter::new();
    for format in FORMATS {
        for bytes_max in [1, 20_000, 200_000, 4 << 20] {
            let memo = Memo::new(bytes_max, secret);
            let mut random = Random(bytes_max as u64);
            let sessions: Vec<_> = (0..2).map(|_| random_session(&mut random, 24)).collect();
            for step in 0..40 {
                let turns = &sessions[random.below(2)];
                let end = if step < 24 { step + 1 } else { 1 + random.below(24) };
                let mode = random.pick(&MODES);
                let plan = Plan { threshold: random.pick(&[0, 5500]), ..Plan::of(mode) };
                same(&memo, &mut counter, &plan, format, &body(format, &turns[..end]));
            }
        }
    }
}

#[test]
fn a_session_that_is_edited_or_forked_gives_the_same() {
    let mut counter = Counter::new();
    let plan = Plan::of(Mode::Aggressive);
    for format in FORMATS {
        let memo = Memo::new(4 << 20, secret);
        let mut random = Random(3);
        let mut turns = random_session(&mut random, 16);
        for _ in 0..24 {
            same(&memo, &mut counter, &plan, format, &body(format, &turns));
            let at = random.below(turns.len());
            match random.below(3) {
                0 => turns[at].texts[0].push_str(" more"),
                1 => turns[at].error = !turns[at].error,
                _ => turns.extend(random_session(&mut random, 2)),
            }
        }
    }
}

#[test]
fn sessions_of_the_corpus_give_the_same_turn_by_turn() {
    let mut counter = Counter::new();
    for (name, format, whole) in corpus().into_iter().filter(|(name, ..)| name.starts_with("agent"))
    {
        let memo = Memo::new(4 << 20, secret);
        let plan = Plan::of(Mode::Hybrid);
        for (body, _) in earlier_requests(&whole).iter().step_by(7) {
            same(&memo, &mut counter, &plan, format, body);
        }
        same(&memo, &mut counter, &plan, format, &whole);
        assert!(memo.hits() > 0, "{name}: nothing was remembered");
    }
}

#[test]
fn a_memo_is_shared_by_threads_and_stays_in_its_bounds() {
    let memo = Memo::new(300_000, secret);
    let session = random_session(&mut Random(5), 24);
    std::thread::scope(|threads| {
        for worker in 0..4 {
            let (memo, session) = (&memo, &session);
            threads.spawn(move || {
                let mut counter = Counter::new();
                for end in 1..session.len() {
                    let plan = Plan::of(MODES[worker % 3]);
                    same(
                        memo,
                        &mut counter,
                        &plan,
                        Format::Chat,
                        &body(Format::Chat, &session[..end]),
                    );
                    assert!(memo.bytes() <= 300_000);
                }
            });
        }
    });
    assert!(memo.hits() > 0);
}

#[test]
fn owners_and_settings_are_told_apart() {
    let mut counter = Counter::new();
    let memo = Memo::new(4 << 20, secret);
    let body = body(Format::Messages, &random_session(&mut Random(5), 8));
    let mut run = |owner, plan: &Plan, body: &str| {
        let hits = memo.hits();
        rewrite_in(scope(&memo, owner), &mut counter, plan, Format::Messages, body.as_bytes());
        memo.hits() > hits
    };
    let plan = Plan::of(Mode::Hybrid);
    let edits = r#","context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}}"#;
    let edited = format!("{}{edits}", &body[..body.len() - 1]);
    assert!(!run("one", &plan, &body));
    assert!(run("one", &plan, &body), "the same again");
    assert!(!run("two", &plan, &body));
    assert!(!run("one", &Plan { preserve_json: true, ..plan }, &body));
    assert!(!run("one", &Plan { threshold: 4501, ..plan }, &body));
    assert!(!run("one", &plan, &edited), "where nothing may be pointed at");
}

#[test]
fn what_was_used_last_is_remembered_longest() {
    let mut counter = Counter::new();
    let plan = Plan::of(Mode::Hybrid);
    let bodies: Vec<String> =
        (1..40).map(|seed| body(Format::Chat, &random_session(&mut Random(seed), 4))).collect();
    let all = Memo::new(usize::MAX, secret);
    let mut hits = |memo: &Memo, body: &str| {
        let hits = memo.hits();
        rewrite_in(scope(memo, "one"), &mut counter, &plan, Format::Chat, body.as_bytes());
        memo.hits() > hits
    };
    bodies.iter().for_each(|body| assert!(!hits(&all, body)));
    let memo = Memo::new(all.bytes() / 3, secret);
    for body in &bodies {
        assert!(!hits(&memo, body));
        assert!(hits(&memo, &bodies[0]), "used just before");
    }
    assert!(!hits(&memo, &bodies[1]), "not used since");
}
