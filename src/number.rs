//! Numbers as a reader wants them, the same wherever they are printed.

use std::fmt::Write;

/// 12345 as `12,345`.
pub(crate) fn commas(number: u64) -> String {
    // The largest has 20 digits and 6 commas.
    let mut out = String::with_capacity(26);
    let mut power = 1000_u64.pow(number.checked_ilog(1000).unwrap_or(0));
    let _ = write!(out, "{}", number / power);
    while power > 1 {
        power /= 1000;
        let _ = write!(out, ",{:03}", number / power % 1000);
    }
    out
}

/// The saved share in percent, to the nearest; what has grown has saved nothing.
pub(crate) fn saved_percent(before: u64, after: u64) -> u64 {
    let (saved, before) = (u128::from(before.saturating_sub(after)), u128::from(before));
    (saved * 200 + before).checked_div(before * 2).map_or(0, |percent| percent as u64)
}

/// Nano-dollars in dollars. The division yields the double nearest to the exact value, which prints with its own digits.
pub(crate) fn usd(nano: i64) -> f64 {
    nano as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, want) in [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (1000, "1,000"),
            (12_034, "12,034"),
            (1_000_000, "1,000,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(commas(number), want);
        }
    }
}
