//! What holds for every session.

use super::*;
use crate::compress::tests::renderings;

const SEEDS: u64 = 6;
const TURNS: usize = 30;

fn plans() -> Vec<Plan> {
    let of = |mode| [0, 5500].map(|threshold| Plan { threshold, ..Plan::of(mode) });
    MODES.into_iter().flat_map(of).collect()
}

/// Runs `law` on generated sessions of every format with every plan; it must see some savings.
#[track_caller]
fn for_sessions(mut law: impl FnMut(&mut Counter, &Plan, Format, &[Turn]) -> bool) {
    let mut counter = Counter::new();
    for format in FORMATS {
        let mut seen = 0;
        for seed in 0..SEEDS {
            let turns = random_session(&mut Random(seed), TURNS);
            for plan in plans() {
                seen += usize::from(law(&mut counter, &plan, format, &turns));
            }
        }
        assert!(seen > 20, "{format:?}: the sessions show nothing");
    }
}

#[test]
fn a_longer_session_extends_what_was_sent() {
    for_sessions(|counter, plan, format, turns| {
        let whole = body(format, turns);
        let all = sent(counter, plan, format, &whole);
        for end in 1..turns.len() {
            let part = sent(counter, plan, format, &body(format, &turns[..end]));
            assert!(all.starts_with(&part[..part.len() - 2]), "{plan:?} {format:?} {end}");
        }
        all != whole
    });
}

#[test]
fn a_longer_session_of_the_corpus_extends_what_was_sent() {
    let mut counter = Counter::new();
    for (name, format, whole) in corpus() {
        for mode in MODES {
            let plan = Plan::of(mode);
            let all = sent(&mut counter, &plan, format, &whole);
            for (part, tail) in earlier_requests(&whole) {
                let part = sent(&mut counter, &plan, format, &part);
                assert!(all.starts_with(&part[..part.len() - tail]), "{name} {mode:?}");
            }
        }
    }
}

/// The requests that a session's client sent before its last: cut after each message of a user or
/// a tool that one of the model follows. With the length of what comes after the messages.
pub(super) fn earlier_requests(whole: &str) -> Vec<(String, usize)> {
    let key = if whole.contains("\"messages\":[") { "messages" } else { "input" };
    let [list] = json::members(whole, &(0..whole.len()), [key]).expect("valid");
    let list = list.expect("a session has messages");
    let (mut cuts, mut end, mut was_answer) = (Vec::new(), list.start, false);
    json::Reader::within(whole, &list)
        .array(|reader| {
            let (span, [role, kind]) = reader.members(["role", "type"])?;
            let is = |member: &Option<Span>, what: &str| {
                member.as_ref().is_some_and(|span| whole[span.clone()].contains(what))
            };
            let is_answer = is(&role, "assistant") || is(&kind, "function_call\"");
            if is_answer && !was_answer {
                cuts.push(end);
            }
            (was_answer, end) = (is_answer, span.end);
            Some(())
        })
        .expect("valid");
    let tail = &whole[list.end - 1..];
    cuts.iter().map(|end| (format!("{}{tail}", &whole[..*end]), tail.len())).collect()
}

#[test]
fn expanding_gives_back_what_was_there() {
    for_sessions(|counter, plan, format, turns| {
        round_trip(counter, plan, format, &body(format, turns))
    });
}

#[test]
fn expanding_the_corpus_gives_back_what_was_there() {
    let mut counter = Counter::new();
    for (_, format, body) in corpus() {
        for mode in MODES {
            round_trip(&mut counter, &Plan::of(mode), format, &body);
        }
    }
}

/// Each text comes back as it was, or as its reader would have seen it.
#[track_caller]
fn round_trip(counter: &mut Counter, plan: &Plan, format: Format, body: &str) -> bool {
    if plan.level == Level::Aggressive {
        // What it leaves out does not come back.
        return false;
    }
    let packed = sent(counter, plan, format, body);
    let back = expand(format, packed.as_bytes()).expect("what we send is valid");
    let back = String::from_utf8(back).expect("text stays text");
    let before = prompt::read(format, body.as_bytes()).expect("valid");
    let after = prompt::read(format, back.as_bytes()).expect("valid");
    assert_eq!(before.parts.len(), after.parts.len());
    for (old, new) in before.parts.iter().zip(&after.parts) {
        assert_eq!(old.role, new.role);
        let (Some(was), Some(is)) = (text_of(body, old), text_of(&back, new)) else { continue };
        let is_typed = matches!(old.role, Role::Typed { .. });
        let is_read = matches!(old.role, Role::Result(_))
            && compress::is_read(call_of(body, &before, old.role).as_ref(), &was);
        let may_be = renderings(&was, is_read, is_typed && plan.level == Level::Light);
        let may_be = if place(old.role).is_some() { may_be } else { vec![was.into_owned()] };
        assert!(may_be.contains(&is.into_owned()), "{old:?}");
    }
    packed != body
}

#[test]
fn nothing_but_the_texts_of_tools_and_users_changes() {
    for_sessions(|counter, plan, format, turns| {
        untouched(counter, plan, format, &body(format, turns))
    });
    let mut counter = Counter::new();
    for (_, format, body) in corpus() {
        untouched(&mut counter, &Plan::of(Mode::Aggressive), format, &body);
    }
}

#[track_caller]
fn untouched(counter: &mut Counter, plan: &Plan, format: Format, body: &str) -> bool {
    let packed = sent(counter, plan, format, body);
    assert_eq!(skeleton(format, &packed), skeleton(format, body));
    packed != body
}

/// All of a body but the literals that may change.
fn skeleton(format: Format, body: &str) -> String {
    let prompt = prompt::read(format, body.as_bytes()).expect("valid");
    let mut spans: Vec<Span> = prompt
        .parts
        .iter()
        .filter(|part| {
            matches!(part.role, Role::Typed { .. } | Role::Result(ToolResult { error: false, .. }))
        })
        .map(|part| part.span.clone())
        .collect();
    spans.sort_by_key(|span| span.start);
    let mut kept = String::new();
    let mut at = 0;
    for span in spans {
        kept += &body[at..span.start];
        at = span.end;
    }
    kept + &body[at..]
}

#[test]
fn a_second_run_changes_nothing_or_is_undone() {
    for_sessions(|counter, plan, format, turns| twice(counter, plan, format, &body(format, turns)));
    let mut counter = Counter::new();
    for (_, format, body) in corpus() {
        for mode in MODES {
            twice(&mut counter, &Plan::of(mode), format, &body);
        }
    }
}

#[track_caller]
fn twice(counter: &mut Counter, plan: &Plan, format: Format, body: &str) -> bool {
    if plan.level == Level::Aggressive {
        // What is left may be short enough to lose less, or more.
        return false;
    }
    let once = sent(counter, plan, format, body);
    let again = sent(counter, plan, format, &once);
    // Literals that are put back are spelled in our way, so values are compared.
    let value = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("valid");
    if again != once {
        let back = expand(format, again.as_bytes()).expect("what we send is valid");
        assert!(value(&back) == value(once.as_bytes()), "{plan:?} {format:?}");
    }
    once != *body
}

#[test]
fn the_accounts_are_right() {
    for_sessions(|counter, plan, format, turns| {
        let body = body(format, turns);
        let packed = pack(counter, plan, format, body.as_bytes());
        let is_changed = packed.body.is_some();
        let bytes = packed.body.unwrap_or(body.into_bytes());
        let off = pack(counter, &Plan::of(Mode::Off), format, &bytes);
        assert_eq!((off.before, off.after), (packed.after, packed.after));
        let cuts: i64 = packed.cuts.iter().map(|cut| cut.saved).sum();
        assert_eq!(packed.before as i64 - packed.after as i64, cuts);
        assert!(packed.cuts.is_sorted_by_key(|cut| cut.at));
        assert!(packed.cuts.iter().all(|cut| cut.at < packed.after));
        assert_eq!(is_changed, !packed.cuts.is_empty());
        assert_eq!(packed.skip.is_none(), !packed.per_pass.is_empty());
        is_changed
    });
}

/// For the same settings the same bytes, in every process and every release: a conversation that
/// goes on over an update finds its prompt still cached. A release that moves this says so.
#[test]
fn what_is_sent_is_frozen() {
    let mut counter = Counter::new();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for format in FORMATS {
        let turns = random_session(&mut Random(1), TURNS);
        for plan in plans() {
            let sent = sent(&mut counter, &plan, format, &body(format, &turns));
            for byte in sent.bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    assert_eq!(hash, 9_653_325_933_624_461_693);
}
