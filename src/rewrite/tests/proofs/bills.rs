//! Item 7 on generated sessions: small ones above all, around floors and thresholds, where a cut can
//! cost more than it saves.

#[path = "../../../../tests/money/mod.rs"]
mod money;

use super::*;
use money::{Bill, Block, Blocks, CACHES, Cache, READS, Session, bill};

/// Sessions of each format in a usual run.
const SESSIONS: u64 = 60;

/// Tokens before the first message: around what the caches ask for, and around the threshold.
const SYSTEMS: [usize; 8] = [30, 600, 980, 1150, 2300, 3600, 4100, 4600];

/// The highest share of its bill that a session came to, in thousandths, by cache.
type Worst = BTreeMap<&'static str, u64>;

#[test]
fn no_generated_session_gets_dearer() {
    let sessions = number("TOKENPAK_PROOFS").map_or(SESSIONS, |sessions| sessions / 10);
    let mut counter = Counter::new();
    let mut worst = Worst::new();
    let mut cheaper = 0;
    for format in FORMATS {
        let mut property = |bytes: &mut Unstructured| {
            cheaper += u64::from(one(&mut counter, format, &mut worst, bytes));
            Ok(())
        };
        if let Some(seed) = number("TOKENPAK_PROOF_SEED") {
            arbtest(&mut property).seed(seed).run();
            continue;
        }
        for at in 0..sessions {
            let seed = (300 + at * 41 % 4000) | (2 * at + 1).wrapping_mul(0x85eb_ca6b) << 32;
            arbtest(&mut property).seed(seed).run();
        }
    }
    println!("{cheaper} sessions are cheaper; the highest shares, in thousandths: {worst:?}");
}

/// Plays one session; whether anything was saved.
fn one(counter: &mut Counter, format: Format, worst: &mut Worst, bytes: &mut Unstructured) -> bool {
    let source = &mut Source(bytes);
    let mode = *source.pick(&MODES);
    let threshold = if source.rarely(3) { 0 } else { Plan::of(mode).threshold };
    let plan = Plan { threshold, ..Plan::of(mode) };
    let system = session::preamble(*source.pick(&SYSTEMS));
    let is_marked = format == Format::Messages && !source.rarely(4);
    let turns = session::turns(source);
    if turns.is_empty() {
        return false;
    }
    let mut session = Session::of(session::body(format, &system, &turns).as_bytes());
    session.marks = is_marked;
    let bodies: Vec<Vec<u8>> = session.cuts.iter().map(|end| session.request(*end)).collect();
    let mut sizes = Counter::new();
    let mut count = |text: &str| sizes.count(text) as u64;
    let mut blocks = Blocks::new(&mut count);
    let plain: Vec<Vec<Block>> = bodies.iter().map(|body| blocks.of(body)).collect();
    // A text that could be taken for one of ours gets a line that says that it is not: the one
    // growth that is allowed.
    let mut is_grown = false;
    let mut send = |body: &Vec<u8>| {
        let rewritten = rewrite(counter, &plan, format, body);
        is_grown |= rewritten.texts.iter().any(|looked| looked.after > looked.before);
        blocks.of(rewritten.body.as_deref().unwrap_or(body))
    };
    let sent: Vec<Vec<Block>> = bodies.iter().map(&mut send).collect();
    if is_grown {
        return false;
    }
    let is_marks = |cache: &Cache| matches!(cache, Cache::Marks { .. });
    for (name, cache) in
        CACHES.iter().filter(|(_, cache)| is_marks(cache) == (format == Format::Messages))
    {
        let (plain, sent) = (bill(*cache, &plain), bill(*cache, &sent));
        let share = check(name, *cache, plain, sent, bodies.len() as u64);
        let known = worst.entry(name).or_default();
        *known = share.max(*known);
    }
    plain.iter().flatten().map(|block| block.tokens).sum::<u64>()
        > sent.iter().flatten().map(|block| block.tokens).sum()
}

/// The share of the bill, in thousandths: never over 1,000. Where the provider rounds what it reads
/// down to 128 tokens, a cut may move each request by one step, whichever way.
#[track_caller]
fn check(name: &str, cache: Cache, plain: Bill, sent: Bill, requests: u64) -> u64 {
    let shares = READS.map(|read| {
        let (was, is) = (plain.cost(cache, read), sent.cost(cache, read));
        let rounding = match cache {
            Cache::Prefix { step, .. } => (step - 1) * (1000 - read) * requests,
            Cache::Marks { .. } => 0,
        };
        assert!(is <= was + rounding, "dearer with {name} at {read}: {plain:?} became {sent:?}");
        (1000 * is).div_ceil(was)
    });
    shares.into_iter().max().unwrap_or(0)
}
