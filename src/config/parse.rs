//! From a setting's text to its value, or to what is wrong with it.

use std::fmt::Display;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use super::{AllowHttp, Endpoints, LogLevel, Secret, TlsRoots};
use crate::compress::{Level, Mode};

/// `true` is for all of them.
pub(super) fn allow_http(value: &str) -> Result<AllowHttp, String> {
    let names = match yes_or_no(value) {
        Ok(true) => return Ok(AllowHttp::All),
        Ok(false) => Vec::new(),
        Err(_) => list(value),
    };
    names.iter().try_for_each(|name| check_name(name))?;
    Ok(AllowHttp::Of(names))
}

pub(super) fn port(value: &str) -> Result<u16, String> {
    match value.parse::<i64>() {
        // 0 lets the system choose; the banner says which.
        Ok(port @ 0..=65_535) => Ok(port as u16),
        Ok(_) => Err(format!("{value} is not a port (1 to 65535)")),
        Err(_) => Err(format!("\"{value}\" is not a number")),
    }
}

pub(super) fn number<T: FromStr + PartialOrd + Display>(
    value: &str,
    least: T,
    most: T,
) -> Result<T, String> {
    match value.parse::<T>() {
        Ok(number) if number >= least && number <= most => Ok(number),
        Ok(_) => Err(format!("{value} is out of range ({least} to {most})")),
        Err(_) => Err(format!("\"{value}\" is not a number")),
    }
}

pub(super) fn yes_or_no(value: &str) -> Result<bool, String> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(format!("unknown value \"{value}\"; one of true, false")),
    }
}

pub(super) fn mode(value: &str) -> Result<Mode, String> {
    one_of(
        value,
        &["strict", "hybrid", "aggressive"],
        Mode::parse(value).filter(|mode| *mode != Mode::Off),
    )
}

pub(super) fn unknown_history(value: &str) -> Result<bool, String> {
    const NAMES: [&str; 2] = ["original", "same"];
    one_of(value, &NAMES, NAMES.contains(&value).then_some(value == NAMES[1]))
}

pub(super) fn level(value: &str) -> Result<Level, String> {
    one_of(value, &["light", "balanced", "aggressive"], Level::parse(value))
}

pub(super) fn log_level(value: &str) -> Result<LogLevel, String> {
    let level = match value {
        "error" => Some(LogLevel::Error),
        "warn" => Some(LogLevel::Warn),
        "info" => Some(LogLevel::Info),
        "debug" => Some(LogLevel::Debug),
        _ => None,
    };
    one_of(value, &["error", "warn", "info", "debug"], level)
}

/// Anything but the two words is a file, whose place the caller knows.
pub(super) fn roots(value: &str) -> TlsRoots {
    match value {
        "bundled" => TlsRoots::Bundled,
        "system" => TlsRoots::System(None),
        path => TlsRoots::File(PathBuf::from(path)),
    }
}

fn one_of<T>(value: &str, names: &[&str], found: Option<T>) -> Result<T, String> {
    found.ok_or_else(|| format!("unknown value \"{value}\"; one of {}", names.join(", ")))
}

pub(super) fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

pub(super) fn address(value: &str) -> Result<String, String> {
    match value == "localhost" || value.parse::<std::net::IpAddr>().is_ok() {
        true => Ok(value.to_owned()),
        false => Err(format!("{value} is not localhost or an IP address")),
    }
}

pub(super) fn endpoints(value: &str) -> Result<Endpoints, String> {
    let found = match value {
        "local" => Some(Endpoints::Local),
        "all" => Some(Endpoints::All),
        "off" => Some(Endpoints::Off),
        _ => None,
    };
    one_of(value, &["local", "all", "off"], found)
}

/// Fewer could be tried one by one.
const TOKEN_BYTES_MIN: usize = 16;

/// A token that can stand in a header and in a path as it is. A wrong one is not repeated.
pub(super) fn token(value: &str) -> Result<Secret, String> {
    const BYTES_MAX: usize = 256;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+=!$&*:@".contains(&byte);
    match (TOKEN_BYTES_MIN..=BYTES_MAX).contains(&value.len()) && value.bytes().all(plain) {
        true => Ok(Secret(value.to_owned())),
        false => Err("not a token (16 to 256 letters, digits and -._~+=!$&*:@)".to_owned()),
    }
}

/// A base URL without its trailing slash. A query or fragment would be lost when paths are joined.
pub(super) fn url(value: &str) -> Result<String, String> {
    let host = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    let host = host.unwrap_or_default().split('/').next().unwrap_or_default();
    let clean =
        value.bytes().all(|byte| byte.is_ascii_graphic()) && !value.contains(['?', '#', '@']);
    // Of an IPv6 address the last group stands behind a colon, too.
    let port = host.rsplit_once(':').filter(|(name, _)| !name.contains('[') || name.ends_with(']'));
    let is_port = port.is_none_or(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok());
    let name = port.map_or(host, |(name, _)| name);
    let is_name = match name.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        Some(address) => address.is_some_and(|text| text.parse::<Ipv6Addr>().is_ok()),
        None => !name.is_empty() && !name.contains(['[', ']', ':']),
    };
    match is_name && clean && is_port {
        true => Ok(value.trim_end_matches('/').to_owned()),
        false => Err(format!("\"{value}\" is not a URL (https://host or https://host/path)")),
    }
}

pub(super) fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match !name.is_empty() && name.bytes().all(plain) {
        true => Ok(()),
        false => Err(format!("\"{name}\" is not a provider's name (letters, digits, - _ .)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_bases() {
        check("https://api.example.com/", Ok("https://api.example.com"));
        check("http://127.0.0.1:8080/base", Ok("http://127.0.0.1:8080/base"));
        check("api.example.com", Err(()));
        check("https://", Err(()));
        check("https://user@host", Err(()));
        check("https://host/?key=1", Err(()));
        check("http://[::1]:8080/", Ok("http://[::1]:8080"));
        check("http://[::1]", Ok("http://[::1]"));
        for broken in
            ["[::1", "[::1]x", "::1]", "[", "[]", "[::g]", "fe80::1", "a[b]", "[::1]:", "h:"]
        {
            check(&format!("http://{broken}/v1"), Err(()));
        }

        #[track_caller]
        fn check(value: &str, want: Result<&str, ()>) {
            assert_eq!(url(value).as_deref().map_err(|_| ()), want, "{value}");
        }
    }
}
