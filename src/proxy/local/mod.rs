//! The answers that are our own: errors in the client's dialect, and /health.
//!
//! tiny_http prints them. No byte of a client's or a provider's goes into a header here.

pub(super) mod guard;
pub(super) mod metrics;
pub(super) mod pages;

use std::io::Cursor;

use tiny_http::{HTTPVersion, Header, Response, StatusCode};

use crate::proxy::Context;
use crate::wire::Format;

/// An error of the proxy itself.
pub(crate) struct Trouble<'a> {
    pub(crate) status: u16,
    /// For programs, in `x-tokenpak-error`.
    pub(crate) code: &'static str,
    pub(crate) text: &'a str,
    pub(crate) request_id: &'a str,
}

/// A whole answer in the dialect that the client's library parses.
pub(crate) fn error(format: Option<Format>, trouble: &Trouble) -> Vec<u8> {
    let text = format!("tokenpak: {}", trouble.text);
    let body = match format {
        Some(Format::Messages) | None => serde_json::json!({
            "type": "error", "error": {"type": kind(trouble.status), "message": text}
        }),
        Some(Format::Chat | Format::Responses) => serde_json::json!({
            "error": {"message": text, "type": kind(trouble.status), "param": null, "code": trouble.code}
        }),
        Some(Format::Gemini) => serde_json::json!({
            "error": {"code": trouble.status, "message": text, "status": google_status(trouble.status)}
        }),
    };
    let headers = [
        ("x-tokenpak-error", trouble.code),
        ("x-tokenpak-request-id", trouble.request_id),
        ("www-authenticate", "Bearer realm=\"tokenpak\""),
    ];
    let headers = if trouble.status == 401 { &headers[..] } else { &headers[..2] };
    print(trouble.status, "application/json", headers, body.to_string())
}

/// An answer to what was not even a request.
pub(crate) fn plain(status: u16, text: &str) -> Vec<u8> {
    let retry: &[_] = if status == 503 { &[("retry-after", "1")] } else { &[] };
    print(status, "text/plain; charset=utf-8", retry, format!("tokenpak: {text}\n"))
}

/// An answer that tells the client not to send anything more.
pub(crate) fn closing(answer: &[u8]) -> Vec<u8> {
    let line_end = memchr::memchr(b'\n', answer).map_or(0, |at| at + 1);
    [&answer[..line_end], b"connection: close\r\n", &answer[line_end..]].concat()
}

/// What a refusal by status is called in `x-tokenpak-error`.
pub(crate) fn code(status: u16) -> &'static str {
    match status {
        401 => "unauthorized",
        403 => "foreign-origin",
        405 => "method-not-served",
        408 => "request-timeout",
        413 => "body-too-large",
        421 => "wrong-host",
        _ => "bad-request",
    }
}

/// The answer to `GET /health`.
pub(crate) fn health_of(context: &Context) -> Vec<u8> {
    let uptime_s = context.started.elapsed().as_secs();
    health(context.is_draining(), uptime_s, !context.ledger.failing())
}

fn health(is_draining: bool, uptime_s: u64, is_recording: bool) -> Vec<u8> {
    let (status, word) = if is_draining { (503, "draining") } else { (200, "ok") };
    let body = serde_json::json!({
        "status": word,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": uptime_s,
        "db": if is_recording { "ok" } else { "failing" },
    });
    print(status, "application/json", &[], body.to_string())
}

/// Answers to questions without a credential: is somebody there?
pub(crate) fn greeting() -> Vec<u8> {
    print(200, "text/plain; charset=utf-8", &[], "tokenpak\n".to_owned())
}

/// The refusal of a WebSocket, which clients take as "use HTTP".
pub(crate) fn no_websocket() -> Vec<u8> {
    print(
        426,
        "text/plain; charset=utf-8",
        &[("connection", "upgrade"), ("upgrade", "HTTP/1.1")],
        "tokenpak: no WebSocket here\n".to_owned(),
    )
}

/// A whole answer with this content.
pub(crate) fn print(status: u16, kind: &str, headers: &[(&str, &str)], body: String) -> Vec<u8> {
    let length = body.len();
    let mut all = vec![("server", "tokenpak"), ("content-type", kind)];
    all.extend_from_slice(headers);
    let fields = all.iter().filter_map(|(name, value)| Header::from_bytes(*name, *value).ok());
    let response = Response::new(
        StatusCode(status),
        fields.collect(),
        Cursor::new(body.into_bytes()),
        Some(length),
        None,
    );
    let mut out = Vec::with_capacity(length + 256);
    // Writing to memory does not fail; and if it did, the client would see a cut answer.
    let _ = response.raw_print(&mut out, HTTPVersion(1, 1), &[], false, None);
    // tiny_http drops the headers that end a connection.
    insert_head_lines(&mut out, headers)
}

/// Adds the `connection` line that tiny_http would not write.
fn insert_head_lines(out: &mut Vec<u8>, headers: &[(&str, &str)]) -> Vec<u8> {
    let line_end = memchr::memchr(b'\n', out).map_or(0, |at| at + 1);
    let rest = out.split_off(line_end);
    for (name, value) in
        headers.iter().filter(|(name, _)| matches!(*name, "connection" | "upgrade"))
    {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(&rest);
    std::mem::take(out)
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        400..=499 => "INVALID_ARGUMENT",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNAVAILABLE",
    }
}
