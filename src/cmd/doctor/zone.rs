//! Whether `TZ` is known. An unknown one silently means UTC in libc, and days begin elsewhere.

use std::path::Path;

use super::{Case, Finding};

const ZONE_FILES: &str = "/usr/share/zoneinfo";

pub(super) fn check(case: &Case) -> Vec<Finding> {
    vec![match case.around.variable("TZ") {
        None if Path::new("/etc/localtime").exists() => Finding::ok("that of /etc/localtime"),
        None => Finding::ok("UTC: neither TZ nor /etc/localtime is there"),
        Some(zone) if is_known(zone) => Finding::ok(format!("TZ=\"{zone}\"")),
        Some(zone) => Finding::warn(format!("TZ=\"{zone}\" is not known here; reports use UTC")),
    }]
}

fn is_known(zone: &str) -> bool {
    let name = zone.strip_prefix(':').unwrap_or(zone);
    // An absolute name replaces the folder.
    name == "UTC" || is_rule(name) || Path::new(ZONE_FILES).join(name).is_file()
}

/// `CET-1CEST,M3.5.0,M10.5.0/3`, `<+0530>-5:30`: a name of three letters or more, then an offset.
fn is_rule(zone: &str) -> bool {
    let (name, rest) = match zone.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some(parts) => parts,
        None => zone.split_at(zone.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(zone.len())),
    };
    let offset = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    name.len() >= 3 && offset.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_a_name_and_an_offset() {
        for zone in ["CET-1CEST,M3.5.0,M10.5.0/3", "<+0530>-5:30", "EST5EDT", "UTC0"] {
            assert!(is_rule(zone), "{zone}");
        }
        for zone in ["Europe/Berln", "CET", "X5", "", "<CET"] {
            assert!(!is_rule(zone), "{zone}");
        }
    }
}
