//! Numbers as a reader wants them. ASCII only, so that mails and terminals agree on widths.

/// `12,410`; from ten thousand millions on `71,904 M`, so that a column keeps its width.
pub(super) fn count(number: i64) -> String {
    const MILLION: i64 = 1_000_000;
    if number.unsigned_abs() >= 10_000 * MILLION.unsigned_abs() {
        return format!("{} M", grouped(number / MILLION));
    }
    grouped(number)
}

fn grouped(number: i64) -> String {
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

/// `$18.77`; below ten cents with four places, or a first day would be all zeros.
pub(super) fn dollars(nano: i64) -> String {
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

/// A name from outside, in quotes: printable ASCII, and not endless.
pub(super) fn quoted(name: &str) -> String {
    const SHOWN_MAX: usize = 40;
    let mut text: String =
        name.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    if text.len() > SHOWN_MAX {
        text.truncate(SHOWN_MAX - 1);
        text.push('~');
    }
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_bounded() {
        for (number, want) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (-1_384, "-1,384"),
            (71_904_551, "71,904,551"),
            (9_999_999_999, "9,999,999,999"),
            (10_000_000_000, "10,000 M"),
            (i64::MIN, "-9,223,372,036,854 M"),
        ] {
            assert_eq!(count(number), want);
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
        assert_eq!(quoted(&"x".repeat(41)), format!("\"{}~\"", "x".repeat(39)));
    }
}
