//! Numbers as a reader wants them. ASCII only, so that mails and terminals agree on widths.

use super::group::Unpriced;

/// `12,410`
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12,410`, or in thousands, millions and so on if it has no room in `width` characters.
pub(super) fn fitting(number: i64, width: usize) -> String {
    let whole = grouped(number);
    if whole.len() <= width {
        return whole;
    }
    let mut rest = number;
    for unit in ["k", "M", "G", "T"] {
        rest /= 1000;
        let text = format!("{} {unit}", grouped(rest));
        if text.len() <= width {
            return text;
        }
    }
    "...".into()
}

/// `$18.77`, without cents or in thousands if it has no room in `width` characters.
pub(super) fn money_fitting(nano: i64, width: usize) -> String {
    let exact = dollars(nano);
    if exact.len() <= width {
        return exact;
    }
    let whole = fitting((nano + 500_000_000).div_euclid(1_000_000_000), width - 1);
    match whole.strip_prefix('-') {
        Some(loss) => format!("-${loss}"),
        None => format!("${whole}"),
    }
}

/// Half of a hundredth of a cent: less is printed as nothing.
pub(super) const LEAST_SHOWN_NANO: u64 = 50_000;

/// `$18.77`; below ten cents with four places, or a first day would be all zeros.
pub(crate) fn dollars(nano: i64) -> String {
    const DOLLAR: u64 = 1_000_000_000;
    let sign = if nano < 0 { "-" } else { "" };
    let nano = nano.unsigned_abs();
    let places = if nano == 0 || nano >= DOLLAR / 10 { 2 } else { 4 };
    let unit = DOLLAR / 10_u64.pow(places);
    let rounded = (nano + unit / 2) / unit;
    let per_dollar = 10_u64.pow(places);
    let whole = grouped(i64::try_from(rounded / per_dollar).unwrap_or(i64::MAX));
    format!("{sign}${whole}.{:0width$}", rounded % per_dollar, width = places as usize)
}

/// `36%`, or `-` of nothing.
pub(super) fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "-".into();
    }
    let (part, whole) = (i128::from(part), i128::from(whole));
    format!("{}%", (part * 200 + whole).div_euclid(whole * 2))
}

/// `3 ms`; below one with two places.
pub(super) fn milliseconds(us: i64) -> String {
    match us {
        0 => "0 ms".into(),
        1..1000 => format!("{:.2} ms", us as f64 / 1000.0),
        _ => format!("{} ms", (us + 500) / 1000),
    }
}

/// A name from outside: printable ASCII, and no longer than `width`, else cut with a `~`.
pub(super) fn name(name: &str, width: usize) -> String {
    let mut text: String =
        name.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    if text.len() > width {
        text.truncate(width.saturating_sub(1));
        text.push('~');
    }
    text
}

/// The same in quotes.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 30;
    format!("\"{}\"", name(text, SHOWN_MAX))
}

/// Mails, terminals and printers agree on this.
pub(super) const COLUMNS_MAX: usize = 79;

/// Models that are named as having no price; the rest is summed up.
const UNPRICED_NAMED_MAX: usize = 5;

/// Characters for the number of requests in such a note.
const NUMBER_WIDTH: usize = 7;

/// The same in lines that are not too long.
pub(super) fn unpriced_lines(unpriced: &[Unpriced]) -> String {
    let wrapped = |note: String| match note.len() > COLUMNS_MAX {
        true => note.replacen(" price and ", " price\nand ", 1) + "\n",
        false => note + "\n",
    };
    unpriced_notes(unpriced).into_iter().map(wrapped).collect()
}

/// Money that is not in a report, and why: a sentence each.
pub(super) fn unpriced_notes(unpriced: &[Unpriced]) -> Vec<String> {
    let mut notes = Vec::new();
    let (mut named, mut others) = (0, 0);
    for Unpriced { model, requests } in unpriced {
        let (number, is) =
            (numbered(*requests, NUMBER_WIDTH), if *requests == 1 { "is" } else { "are" });
        match model.as_deref() {
            None => notes
                .push(format!("{number} got no usage with the answer and {is} not in the costs.")),
            Some(_) if named == UNPRICED_NAMED_MAX => others += requests,
            Some(model) => {
                named += 1;
                let model = if model.is_empty() { "no named model".into() } else { quoted(model) };
                let have = if *requests == 1 { "has" } else { "have" };
                notes.push(format!(
                    "{number} of {model} {have} no known price and {is} not in the costs."
                ));
            }
        }
    }
    if others > 0 {
        notes.push(format!("{} of other models likewise.", numbered(others, NUMBER_WIDTH)));
    }
    notes
}

/// `1 request`, `2 requests`; see `fitting`.
pub(super) fn numbered(requests: i64, width: usize) -> String {
    format!("{} request{}", fitting(requests, width), if requests == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, want) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (-1_384, "-1,384"),
            (71_904_551, "71,904,551"),
            (i64::MIN, "-9,223,372,036,854,775,808"),
        ] {
            assert_eq!(grouped(number), want);
        }
    }

    #[test]
    fn what_has_no_room_loses_digits_not_its_size() {
        for (number, width, want) in [
            (999_999, 7, "999,999"),
            (1_234_567, 8, "1,234 k"),
            (-71_904_551_000, 11, "-71,904 M"),
            (i64::MAX, 11, "9,223,372 T"),
            (i64::MAX, 6, "..."),
        ] {
            assert_eq!(fitting(number, width), want);
        }
        for (nano, want) in [
            (9_999_990_000_000, "$10,000"),
            (999_990_000_000, "$999.99"),
            (-12_345_670_000_000_000, "-$12 M"),
        ] {
            assert_eq!(money_fitting(nano, 8), want);
        }
    }

    #[test]
    fn money_shows_cents_and_less_when_there_is_little() {
        for (nano, want) in [
            (0, "$0.00"),
            (463_000_000, "$0.46"),
            (14_800_000, "$0.0148"),
            (99_999_999, "$0.1000"),
            (100_000_000, "$0.10"),
            (40_000, "$0.0000"),
            (-180_000_000, "-$0.18"),
            (1_234_565_000_000, "$1,234.57"),
            (18_774_999_999, "$18.77"),
        ] {
            assert_eq!(dollars(nano), want);
        }
    }

    #[test]
    fn unpriced_requests_are_named_up_to_a_point() {
        let of =
            |model: Option<&str>, requests| Unpriced { model: model.map(str::to_string), requests };
        let some = [of(None, 1), of(Some("a\u{7}"), 1), of(Some(""), 2)];
        assert_eq!(
            unpriced_lines(&some),
            "1 request got no usage with the answer and is not in the costs.\n\
             1 request of \"a?\" has no known price and is not in the costs.\n\
             2 requests of no named model have no known price and are not in the costs.\n"
        );
        let many: Vec<Unpriced> =
            (0..7).map(|number| of(Some(&format!("m{number}")), 1000)).collect();
        let end = "\"m4\" have no known price and are not in the costs.\n\
                   2,000 requests of other models likewise.\n";
        assert!(unpriced_lines(&many).ends_with(end));
    }

    #[test]
    fn shares_are_rounded_and_none_of_nothing() {
        for (part, whole, want) in [
            (67_406, 188_410, "36%"),
            (1, 2, "50%"),
            (5, 1000, "1%"),
            (4, 1000, "0%"),
            (-15, 100, "-15%"),
            (0, 0, "-"),
            (5, 0, "-"),
        ] {
            assert_eq!(percent(part, whole), want, "{part} of {whole}");
        }
    }

    #[test]
    fn times_and_names() {
        for (us, want) in
            [(0, "0 ms"), (85, "0.09 ms"), (999, "1.00 ms"), (1000, "1 ms"), (2600, "3 ms")]
        {
            assert_eq!(milliseconds(us), want);
        }
        assert_eq!(quoted("local-llama"), "\"local-llama\"");
        assert_eq!(quoted("modèle\n"), "\"mod?le?\"");
        assert_eq!(quoted(&"x".repeat(31)), format!("\"{}~\"", "x".repeat(29)));
        assert_eq!((name("gpt-4o", 6), name("gpt-4o", 5)), ("gpt-4o".into(), "gpt-~".into()));
    }
}
