//! What is said before counting, beside what counting says.

use super::*;

/// A prompt of one message of the user.
fn one(text: &str) -> String {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": text}]})
        .to_string()
}

#[test]
fn bodies_are_known_to_stay_where_no_count_can_matter() {
    let long = "word ".repeat(5000);
    check(Mode::Hybrid, &one("hi"), true);
    check(Mode::Hybrid, &one(&"word ".repeat(850)), true);
    // Fewer tokens than the threshold, as only counting tells.
    check(Mode::Hybrid, &one(&"word ".repeat(900)), false);
    check(Mode::Hybrid, &one(&long), false);
    check(Mode::Off, &one(&long), true);
    check(Mode::Aggressive, &one("hi"), false);
    // A text that could be taken for words of ours is marked as none, at any length.
    check(Mode::Strict, &one("x\n[... 1 line ...]"), false);
    check(Mode::Strict, &one("x").replace('x', "\\u005b... 1 line ...]"), false);
    check(Mode::Off, &one("x\n[... 1 line ...]"), true);
    let picture = json!([{"type": "image_url", "image_url": {"url": "https://x.test/"}}]);
    check(Mode::Hybrid, &one("x").replace("\"x\"", &picture.to_string()), false);
    check(Mode::Off, "{\"messages\"", false);

    #[track_caller]
    fn check(mode: Mode, body: &str, want: bool) {
        let read = ReadPrompt::read(Format::Chat, body.as_bytes());
        assert_eq!(read.is_some_and(|read| read.stays(&Plan::of(mode))), want, "{body}");
    }
}

/// Small sessions with texts that are meant to fool, under thresholds that let some of them pass.
#[test]
fn untouched_bodies_are_what_packing_makes_of_them() {
    let mut random = Random(9);
    let mut counts = [0; 2];
    for _ in 0..150 {
        let turns = 1 + random.below(3);
        let session = random_session(&mut random, turns);
        let format = random.pick(&FORMATS);
        let body = body(format, &session).replace(&preamble(), "You are careful.");
        let mode = random.pick(&[Mode::Off, Mode::Strict, Mode::Hybrid]);
        let plan = Plan { threshold: 20_000, ..Plan::of(mode) };
        let untouched = ReadPrompt::read(format, body.as_bytes());
        let untouched = untouched.filter(|read| read.stays(&plan));
        counts[usize::from(untouched.is_some())] += 1;
        let Some(untouched) = untouched else { continue };
        let rewritten = untouched.count(&mut Counter::new(), &plan);
        let want = rewrite(&mut Counter::new(), &plan, format, body.as_bytes());
        assert_eq!(want.body, None, "{body}");
        let told = |rewritten: &Rewritten| {
            (
                rewritten.before,
                rewritten.after,
                rewritten.skip,
                rewritten.model.clone(),
                rewritten.stream,
            )
        };
        assert_eq!(told(&rewritten), told(&want), "{body}");
        assert_eq!(untouched.is_stream(), want.stream);
    }
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}
