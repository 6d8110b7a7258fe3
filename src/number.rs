//! Numbers as a reader wants them, the same wherever they are printed.

/// 12345 as `12,345`.
pub(crate) fn commas(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

/// The saved share in percent, to the nearest; what has grown has saved nothing.
pub(crate) fn saved_percent(before: u64, after: u64) -> u64 {
    let (saved, before) = (u128::from(before.saturating_sub(after)), u128::from(before));
    (saved * 200 + before).checked_div(before * 2).map_or(0, |percent| percent as u64)
}
