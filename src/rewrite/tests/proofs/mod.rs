//! The laws of compression on generated sessions: COMPRESSION.md section 5, items 1 to 5.
//!
//! A run takes the same inputs every time. `TOKENPAK_PROOFS=n` takes n sessions of each format
//! instead of the few of a usual run; `TOKENPAK_PROOF_SEED=x` takes the one that a failure named, and
//! `TOKENPAK_PROOF_SHRINK=1` with it looks for a smaller one like it.

mod adversarial;
mod bills;
mod frozen;
mod laws;
mod leading;
mod programs;
pub(super) mod session;
mod source;
mod texts;
mod walker;
mod zones;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use arbtest::arbitrary::{Result, Unstructured};
use arbtest::arbtest;

use super::*;
use source::Source;

/// Sessions of each format in a usual run.
const USUAL: u64 = 250;

/// Bytes of choices for a session: the least, and the most.
const SIZES: [u64; 2] = [200, 6000];

/// Small enough that sessions push each other out.
const MEMO_BYTES: usize = 200_000;

/// A session, the plan for it, and what is sent.
struct Case<'c> {
    counter: &'c mut Counter,
    memo: &'c Memo,
    plan: Plan,
    format: Format,
    system: String,
    turns: Vec<session::Turn>,
    body: String,
    sent: String,
    /// One more choice, for laws that need some.
    dice: usize,
}

type Law = fn(&mut Case);

const LAWS: &[Law] = &[
    laws::expanding_gives_back_what_was_there,
    laws::a_longer_session_extends_what_was_sent,
    laws::every_process_sends_the_same,
    laws::what_is_remembered_changes_nothing,
    laws::a_second_run_changes_nothing_or_is_undone,
    laws::only_texts_that_may_change_do,
    laws::errors_urls_and_typed_text_stay_literally,
    laws::a_needle_is_found,
    laws::nothing_grows,
    laws::marks_can_move,
];

#[test]
fn generated_sessions_of_messages_keep_the_laws() {
    prove(Format::Messages);
}

#[test]
fn generated_sessions_of_chat_keep_the_laws() {
    prove(Format::Chat);
}

#[test]
fn generated_sessions_of_responses_keep_the_laws() {
    prove(Format::Responses);
}

#[test]
fn generated_sessions_of_gemini_keep_the_laws() {
    prove(Format::Gemini);
}

fn prove(format: Format) {
    let mut seen = Seen::default();
    let mut counter = Counter::new();
    let memo = Memo::new(MEMO_BYTES, secret);
    let mut property =
        |bytes: &mut Unstructured| one((&mut counter, &memo), format, &mut seen, bytes);
    if let Some(seed) = number("TOKENPAK_PROOF_SEED") {
        let test = arbtest(&mut property).seed(seed);
        match number("TOKENPAK_PROOF_SHRINK") {
            Some(_) => test.minimize().budget(Duration::from_secs(60)).run(),
            None => test.run(),
        }
        return;
    }
    let started = Instant::now();
    let sessions = number("TOKENPAK_PROOFS").unwrap_or(USUAL);
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    for at in 0..sessions {
        let [least, most] = SIZES;
        let size = least + at * 37 % (most - least);
        // The seed of arbtest: how many bytes, and where to begin; never 0 there.
        let begin = (at + 1).wrapping_mul(0x9e37_79b9) & 0xffff_ffff | 1;
        let seed = size | begin << 32;
        let test = || arbtest(&mut property).seed(seed).run();
        if let Err(fault) = catch_unwind(AssertUnwindSafe(test)) {
            let known = faults.entry(title(fault.as_ref())).or_insert(seed);
            *known = if *known as u32 > size as u32 { seed } else { *known };
        }
    }
    println!("{format:?}: {sessions} sessions in {:.0?}: {seen:?}", started.elapsed());
    // One seed for each kind of fault, that of the smallest session.
    let faults: Vec<String> =
        faults.iter().map(|(title, seed)| format!("{seed:#x}: {title}\n")).collect();
    assert!(faults.is_empty(), "seeds that fail:\n{}", faults.concat());
    assert!(seen.changed * 4 > sessions, "the sessions show too little: {seen:?}");
}

/// What tells one kind of fault from another: a law's message up to what is particular.
fn title(fault: &(dyn Any + Send)) -> String {
    let message = fault.downcast_ref::<String>().map(String::as_str);
    let message = message.or(fault.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    let end = message.find([':', '\n']).unwrap_or(message.len());
    message[..end].to_owned()
}

/// A number from the environment, as arbtest prints its seeds or in digits.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.expect("a number in the environment"))
}

/// What the sessions had in them.
#[derive(Debug, Default)]
struct Seen {
    texts: u64,
    changed: u64,
    /// Texts that were left alone because they would not have read back.
    unclear: u64,
    passes: BTreeMap<&'static str, u64>,
}

impl Seen {
    fn note(&mut self, rewritten: &Rewritten) {
        self.texts += rewritten.texts.len() as u64;
        self.changed += u64::from(rewritten.body.is_some());
        let unclear =
            |looked: &&TextOutcome| looked.left == Some(crate::compress::Unchanged::Unclear);
        self.unclear += rewritten.texts.iter().filter(unclear).count() as u64;
        for pass in rewritten.texts.iter().flat_map(|looked| &looked.saved) {
            *self.passes.entry(pass.0).or_default() += 1;
        }
    }
}

/// One session under all laws.
fn one(
    (counter, memo): (&mut Counter, &Memo),
    format: Format,
    seen: &mut Seen,
    bytes: &mut Unstructured,
) -> Result<()> {
    let source = &mut Source(bytes);
    let plan = plan(source);
    let floor = if format == Format::Messages { [0, 4100] } else { [1100, 1100] };
    let system = session::preamble(*source.pick(&floor));
    let dice = source.below(1 << 20);
    let mut turns = session::turns(source);
    if source.rarely(6) {
        turns.extend(echo(counter, &plan, format, &session::body(format, &system, &turns), dice));
    }
    let body = session::body(format, &system, &turns);
    let rewritten = rewrite(counter, &plan, format, body.as_bytes());
    seen.note(&rewritten);
    let sent = rewritten.body.unwrap_or_else(|| body.clone().into_bytes());
    let sent = String::from_utf8(sent).expect("text stays text");
    let mut case = Case { counter, memo, plan, format, system, turns, body, sent, dice };
    for law in LAWS {
        law(&mut case);
    }
    Ok(())
}

/// The laws that need nothing but a body, on real ones.
#[test]
fn the_corpus_keeps_the_laws() {
    let mut counter = Counter::new();
    let memo = Memo::new(MEMO_BYTES, secret);
    for (name, format, body) in corpus() {
        for mode in MODES {
            let plan = Plan::of(mode);
            let sent = sent(&mut counter, &plan, format, &body);
            let (system, turns, body) = (String::new(), Vec::new(), body.clone());
            let counter = &mut counter;
            let memo = &memo;
            let mut case = Case { counter, memo, plan, format, system, turns, body, sent, dice: 1 };
            for law in LAWS {
                law(&mut case);
            }
            let rewritten = rewrite(case.counter, &plan, format, case.body.as_bytes());
            let mut seen = Seen::default();
            seen.note(&rewritten);
            assert_eq!(seen.unclear, 0, "{name} {mode:?}: a text did not read back");
        }
    }
}

fn plan(source: &mut Source) -> Plan {
    let mode = *source.pick(&[Mode::Hybrid, Mode::Hybrid, Mode::Strict, Mode::Aggressive]);
    let threshold = *source.pick(&[0, 0, 0, 1500, 3000]);
    let preserve_json = source.rarely(12);
    let preserve_code = !source.rarely(4);
    Plan { threshold, preserve_json, preserve_code, ..Plan::of(mode) }
}

/// A turn in which the agent looks at what was sent of its own session: it holds lines of ours.
fn echo(
    counter: &mut Counter,
    plan: &Plan,
    format: Format,
    body: &str,
    dice: usize,
) -> Option<session::Turn> {
    let sent = sent(counter, plan, format, body);
    let prompt = prompt::read(format, sent.as_bytes()).expect("what we send is valid");
    let texts = prompt.parts.iter().filter(|part| place(part.role).is_some());
    let texts: Vec<String> =
        texts.filter_map(|part| part.text(&sent).map(Cow::into_owned)).collect();
    let text = texts.get(dice % texts.len().max(1))?.clone();
    let call = session::Call {
        tool: "Bash",
        input: json!({"command": "tokenpak trace"}),
        texts: vec![text],
        error: false,
    };
    Some(session::Turn { calls: vec![call], ..session::Turn::default() })
}
