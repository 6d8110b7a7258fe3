mod fixtures;

use super::*;

/// Deterministic numbers (splitmix64), so that a failure can be repeated.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// What a text may have become when it is expanded again: itself, and what passes that render it
/// left of it, each kept or not.
pub(crate) fn renderings(text: &str, is_read: bool, is_typed: bool) -> Vec<String> {
    let mut all = vec![text.to_owned()];
    for (_, render) in renders(is_read, is_typed) {
        let rendered: Vec<String> = all.iter().map(|text| render(text).into_owned()).collect();
        all.extend(rendered);
    }
    all
}

/// What a person sees of a text: what is left by the passes that render it and know no JSON.
pub(crate) fn shown(text: &str, is_read: bool, is_typed: bool) -> String {
    let renders = renders(is_read, is_typed).filter(|(pass, _)| !pass.json);
    renders.fold(text.to_owned(), |text, (_, render)| render(&text).into_owned())
}

type Render = for<'t> fn(&'t str) -> Cow<'t, str>;

/// The passes whose work does not come back, for texts of a kind.
fn renders(is_read: bool, is_typed: bool) -> impl Iterator<Item = (&'static Pass, Render)> {
    let may_run = move |pass: &&Pass| (pass.reads || !is_read) && (pass.typed || !is_typed);
    PASSES.iter().filter(may_run).filter_map(|pass| match pass.work {
        Work::Renders(render) => Some((pass, render)),
        _ => None,
    })
}

const RULES: Rules = Rules {
    level: Level::Balanced,
    threshold: 0,
    floor: 0,
    preserve_json: false,
    preserve_code: true,
    pointers: true,
};

/// About what a tokenizer would say, and exact enough for rules that only compare.
fn count(text: &str) -> usize {
    text.len().div_ceil(4)
}

fn feed(walk: &mut Walk, text: &str, place: Place, is_read: bool) -> (Option<String>, String) {
    let literal_bytes = crate::json::encoded_len(text);
    let text_sent = Cow::Owned(text.to_owned());
    let candidate = Candidate {
        text: text_sent,
        place,
        part: 0,
        is_read,
        leading: if is_read { Leading::LineNumbers } else { Leading::Data },
        language: None,
        literal_bytes,
        may_be: |_| true,
    };
    let sent = walk.text(candidate, &mut count);
    let names: Vec<&str> = sent.saved.iter().map(|(name, _)| *name).collect();
    let Some((changed, recipe)) = sent.changed else {
        assert_eq!(sent.after, sent.before);
        return (None, names.join(" "));
    };
    assert_eq!(sent.after, count(&changed) as u64);
    assert_eq!(recipe.apply(text), *changed, "done again");
    (Some(changed.to_string()), names.join(" "))
}

fn back(expander: &mut Expander, sent: &str, place: Place) -> String {
    let sent: Cow<str> = Cow::Owned(sent.to_owned());
    let expanded = expander.text(sent.clone(), place, Leading::Data).expect("not that long");
    expanded.unwrap_or(sent.into_owned())
}

fn result(number: u64) -> Place {
    Place::Result { number, part: None }
}

fn typed(number: u64) -> Place {
    Place::Typed { number }
}

fn lines(count: usize) -> String {
    (0..count).map(|line| format!("line {line} of the log\n")).collect()
}

fn pretty_json(rows: usize) -> String {
    let rows: Vec<String> =
        (0..rows).map(|row| format!("    {{\n      \"row\": {row}\n    }}")).collect();
    format!("[\n{}\n]", rows.join(",\n"))
}

#[test]
fn names_are_read_and_written() {
    for (name, mode) in Mode::NAMES {
        assert_eq!((Mode::parse(name), mode.name()), (Some(mode), name));
    }
    for (name, level) in Level::NAMES {
        assert_eq!((Level::parse(name), level.name()), (Some(level), name));
    }
    assert_eq!(Mode::parse("Hybrid"), None);
    assert_eq!(Level::parse(""), None);
    assert_eq!(Mode::Strict.level(), Level::Light);
    assert_eq!(Mode::Hybrid.level(), Level::Balanced);
    assert_eq!(Mode::Aggressive.level(), Level::Aggressive);
}

#[test]
fn short_texts_stay() {
    let exactly = |chars: usize| format!("{}[{}]", " ".repeat(chars - 202), "1".repeat(200));
    let mut walk = Walk::new(RULES);
    assert_eq!(feed(&mut walk, &exactly(399), result(1), false), (None, String::new()));
    assert_eq!(feed(&mut walk, &exactly(400), result(2), false).1, "json-minify");
    let wide = format!("{}[\"{}\"]", " ".repeat(200), "\u{e9}".repeat(150));
    assert!(wide.len() > 400);
    assert_eq!(feed(&mut walk, &wide, result(3), false).0, None, "characters, not bytes");
}

#[test]
fn small_gains_are_not_taken() {
    let padded = |spaces: usize| format!("[{}\"{}\"]", " ".repeat(spaces), "a".repeat(1000));
    let mut walk = Walk::new(RULES);
    assert_eq!(feed(&mut walk, &padded(80), result(1), false).0, None, "20 tokens");
    assert_eq!(feed(&mut walk, &padded(100), result(2), false).1, "json-minify");
    let long = format!("[{}\"{}\"]", " ".repeat(100), "a".repeat(9000));
    assert_eq!(feed(&mut walk, &long, result(3), false).0, None, "1 percent");
}

#[test]
fn a_body_never_grows_for_fewer_tokens() {
    // The literal was shorter than ours would be: nothing is gained, whatever the tokens say.
    let text = pretty_json(40);
    let minified = passes::json_minify::minify(&text).into_owned();
    let literal_bytes = crate::json::encoded_len(&minified);
    let candidate = Candidate {
        text: text.into(),
        place: result(1),
        part: 0,
        is_read: false,
        leading: Leading::Data,
        language: None,
        literal_bytes,
        may_be: |_| true,
    };
    assert!(Walk::new(RULES).text(candidate, &mut count).changed.is_none());
}

#[test]
fn threshold_counts_what_stands_before() {
    let text = pretty_json(40);
    let tokens = count(&text) as u64;
    for (before, is_cut) in
        [(0, false), (999 - tokens, false), (1000 - tokens, false), (1001 - tokens, true)]
    {
        let mut walk = Walk::new(Rules { threshold: 1000, ..RULES });
        walk.fixed(before);
        assert_eq!(feed(&mut walk, &text, result(1), false).0.is_some(), is_cut, "{before}");
    }
}

#[test]
fn floor_is_kept_as_sent() {
    let text = pretty_json(40);
    let minified = count(&passes::json_minify::minify(&text)) as u64;
    for (before, is_cut) in [(0, false), (999 - minified, false), (1000 - minified, true)] {
        let mut walk = Walk::new(Rules { floor: 1000, ..RULES });
        walk.fixed(before);
        assert_eq!(feed(&mut walk, &text, result(1), false).0.is_some(), is_cut, "{before}");
    }
}

#[test]
fn repeats_point_at_the_first_that_is_there() {
    let mut walk = Walk::new(RULES);
    let log = lines(50);
    let marker = marker::repeats(&Source::Text(result(1)), &log);
    assert_eq!(feed(&mut walk, &log, result(1), true).0, None);
    for (place, is_read) in [(result(2), true), (result(3), false), (typed(1), false)] {
        assert_eq!(feed(&mut walk, &log, place, is_read), (Some(marker.clone()), "repeat".into()));
    }
    assert_eq!(feed(&mut walk, &log[1..], result(4), true).1, "line-runs", "nearly the same");
    walk.reset();
    assert_eq!(feed(&mut walk, &log, result(1), true).0, None, "out of sight");
}

#[test]
fn a_repeat_of_what_an_earlier_gate_left_alone_is_found() {
    let text = pretty_json(40);
    let mut walk = Walk::new(Rules { threshold: count(&text) as u64, ..RULES });
    assert_eq!(feed(&mut walk, &text, result(1), false).0, None, "below the threshold");
    let marker = marker::repeats(&Source::Text(result(1)), &text);
    assert_eq!(feed(&mut walk, &text, result(2), false).0, Some(marker));
}

#[test]
fn passes_keep_to_their_texts() {
    let recording = format!(
        "\u{1b}[31m{}\u{1b}[0m",
        (0..200).map(|line| format!("red {line}\u{1b}[m\n")).collect::<String>()
    );
    let json = pretty_json(40);
    let light = Rules { level: Level::Light, ..RULES };
    for (rules, place, is_read, text, want) in [
        (RULES, result(1), false, &recording, "terminal"),
        (light, result(1), false, &recording, "terminal"),
        (RULES, result(1), true, &recording, ""),
        (RULES, typed(1), false, &recording, ""),
        (RULES, result(1), false, &json, "json-minify json-tables"),
        (light, result(1), false, &json, "json-minify"),
        (RULES, result(1), true, &json, ""),
        (RULES, typed(1), false, &json, "json-minify json-tables"),
        (light, typed(1), false, &json, ""),
        (Rules { preserve_json: true, ..RULES }, result(1), false, &json, ""),
        (Rules { pointers: false, ..RULES }, result(1), false, &json, "json-minify json-tables"),
    ] {
        let mut walk = Walk::new(rules);
        assert_eq!(feed(&mut walk, text, place, is_read).1, want, "{rules:?} {place:?} {is_read}");
    }
    for (rules, place, want) in [
        (RULES, typed(2), "repeat"),
        (light, typed(2), ""),
        (light, result(1), "repeat"),
        (Rules { pointers: false, ..RULES }, result(1), "folding"),
    ] {
        let mut walk = Walk::new(rules);
        feed(&mut walk, &lines(50), typed(1), false);
        assert_eq!(feed(&mut walk, &lines(50), place, false).1, want, "{rules:?} {place:?}");
    }
}

#[test]
fn text_that_looks_like_a_marker_fools_nobody() {
    let log = lines(50);
    let marker = marker::repeats(&Source::Text(result(1)), &log);
    let quoting = format!("{}{marker}\n{log}", "before\n".repeat(60));
    let mut walk = Walk::new(RULES);
    let mut expander = Expander::new(1 << 20);
    let as_it_came = marker::as_it_came(&log);
    let texts =
        [&log, &marker, &quoting, &quoting, &as_it_came, &marker::as_it_came(&as_it_came), &log];
    for (text, number) in texts.into_iter().zip(1..) {
        for place in [result(number), typed(number)] {
            let sent = feed(&mut walk, text, place, false).0;
            let sent = sent.as_deref().unwrap_or(text);
            assert_eq!(back(&mut expander, sent, place), *text, "{sent}");
        }
    }
}

#[test]
fn markers_that_point_nowhere_stay() {
    let mut expander = Expander::new(1 << 20);
    let (log, other) = (lines(50), lines(40));
    let marker = marker::repeats(&Source::Text(result(1)), &log);
    assert_eq!(back(&mut expander, &marker, result(2)), marker, "no such result");
    back(&mut expander, &other, result(1));
    assert_eq!(back(&mut expander, &marker, result(2)), marker, "not the text that it names");
    expander.reset();
    back(&mut expander, &log, result(1));
    assert_eq!(back(&mut expander, &marker, result(2)), log);
    expander.reset();
    assert_eq!(back(&mut expander, &marker, result(2)), marker, "out of sight");
}

#[test]
fn manual_names_the_passes_under_their_levels() {
    let manual = include_str!("../../man/tokenpak.1");
    let (_, section) = manual.split_once(".Sh PASSES\n").unwrap();
    let section = section.split("A change is kept").next().unwrap();
    let parts: Vec<&str> = section.split(".El\n").collect();
    for (part, level) in parts.iter().zip([Level::Light, Level::Balanced, Level::Aggressive]) {
        let heads = part.lines().filter_map(|line| line.strip_prefix(".It "));
        let mut described: Vec<&str> = heads.collect();
        let own = PASSES.iter().filter(|pass| pass.level == level);
        let mut names: Vec<&str> = own.map(|pass| pass.name).collect();
        for list in [&mut described, &mut names] {
            list.sort_unstable();
            list.dedup();
        }
        assert_eq!(described, names, "{level:?}");
    }
}
