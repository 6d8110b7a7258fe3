//! Every name of two public price maps against our prices: none may differ by more than 1 % without a
//! reason that is written down. A model without a price here is no difference; how many there are is.

use super::{Prices, Terms};

/// `MAP HOST NAME IN OUT`, at the moment in the head.
const MAPS: &str = include_str!("../../tests/maps/prices.txt");

/// `HOST NAME REASON`; a name that ends with `*` stands for all that begin so.
const REASONS: &str = include_str!("../../tests/maps/reasons.txt");

#[test]
fn no_price_differs_from_public_maps_without_a_reason() {
    let at = MAPS.lines().find_map(|line| line.strip_prefix("# at ")).unwrap();
    let terms = Terms { ts: at.parse().unwrap(), input: 1, ..Terms::default() };
    let prices = Prices::default();
    let mut reasons: Vec<(&str, usize)> = lines(REASONS).map(|line| (line, 0)).collect();
    let (mut same, mut unpriced, mut wrong) = (0, 0, Vec::new());
    for line in lines(MAPS) {
        let [_, host, name, input, output] = fields(line);
        let rates = prices.quote(name, host).and_then(|quote| quote.rates(&terms));
        let Some(rates) = rates else {
            unpriced += 1;
            continue;
        };
        let near = |ours: u32, theirs: &str| {
            let (ours, theirs) = (f64::from(ours) / 1e6, theirs.parse::<f64>().unwrap());
            (ours - theirs).abs() <= 0.01 * ours.max(theirs) + 1e-9
        };
        if near(rates.input(), input) && near(rates.output(), output) {
            same += 1;
            continue;
        }
        match reasons.iter_mut().find(|(reason, _)| covers(reason, host, name)) {
            Some((_, count)) => *count += 1,
            None => wrong.push(format!("{line}, and {} {} here", rates.input(), rates.output())),
        }
    }
    let explained: usize = reasons.iter().map(|(_, count)| count).sum();
    println!("{same} prices within 1 %, {explained} explained, {unpriced} names without a price");
    assert!(wrong.is_empty(), "{} prices differ:\n{}", wrong.len(), wrong.join("\n"));
    let idle: Vec<_> = reasons.iter().filter(|(_, count)| *count == 0).collect();
    assert!(idle.is_empty(), "reasons for nothing: {idle:#?}");
    assert!(same > 800, "only {same} of {} names have a price", lines(MAPS).count());
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn fields(line: &str) -> [&str; 5] {
    let mut words = line.split(' ');
    [(); 5].map(|()| words.next().unwrap())
}

fn covers(reason: &str, host: &str, name: &str) -> bool {
    let mut words = reason.splitn(3, ' ');
    let (of, pattern) = (words.next().unwrap(), words.next().unwrap());
    let why = words.next().unwrap_or_default();
    assert!(!why.is_empty(), "{reason}: no reason");
    of == host
        && match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        }
}
