//! The answers that are our own: errors in the client's dialect, and /health.
//!
//! tiny_http prints them. No byte of a client's or a provider's goes into a header here.

pub(super) mod guard;
pub(super) mod metrics;
pub(super) mod pages;

use std::borrow::Cow;
use std::io::Cursor;

use tiny_http::{HTTPVersion, Header, Response, StatusCode};

use crate::proxy::Context;
use crate::proxy::request::{Head, Refusal};
use crate::route::Unrouted;
use crate::wire::Format;

/// What keeps a place from being free does not last, in seconds.
const RETRY_AFTER: (&str, &str) = ("retry-after", "1");

/// An error of the proxy itself.
pub(crate) struct ErrorReply<'a> {
    pub(crate) status: u16,
    /// For programs, in `x-tokenpak-error`.
    pub(crate) code: &'static str,
    pub(crate) text: &'a str,
    pub(crate) request_id: &'a str,
}

/// A whole answer in the dialect that the client's library parses.
pub(crate) fn error(format: Option<Format>, reply: &ErrorReply) -> Vec<u8> {
    let text = format!("tokenpak: {}", reply.text);
    let body = match format {
        Some(Format::Messages) | None => serde_json::json!({
            "type": "error", "error": {"type": kind(reply.status), "message": text}
        }),
        Some(Format::Chat | Format::Responses) => serde_json::json!({
            "error": {"message": text, "type": kind(reply.status), "param": null, "code": reply.code}
        }),
        Some(Format::Gemini) => serde_json::json!({
            "error": {"code": reply.status, "message": text, "status": google_status(reply.status)}
        }),
    };
    let third = match reply.status {
        401 => Some(("www-authenticate", "Bearer realm=\"tokenpak\"")),
        503 => Some(RETRY_AFTER),
        _ => None,
    };
    let headers = [("x-tokenpak-error", reply.code), ("x-tokenpak-request-id", reply.request_id)];
    let headers: Vec<_> = headers.into_iter().chain(third).collect();
    print(reply.status, "application/json", &headers, body.to_string())
}

/// Why a request goes nowhere, and the way out.
pub(crate) fn no_route(why: Unrouted) -> Cow<'static, str> {
    match why {
        Unrouted::UnknownName => {
            "no provider has the name that x-tokenpak-provider gives; see proxy.providers".into()
        }
        Unrouted::TwoOwners => {
            "the credentials of this request belong to different providers, so it was not sent; \
             leave one out, or put the provider's name first in the path"
                .into()
        }
        Unrouted::NoAddress(name) => format!(
            "the key of this request is for {name}, which has no address here; set \
             proxy.providers.{name}.url or proxy.passthrough_url, or put a provider's name first \
             in the path"
        )
        .into(),
        Unrouted::Unclaimed => {
            "no provider for this request: nothing tells whose its credential is, or where its path \
             is served; set proxy.passthrough_url or the provider's own address, or put the \
             provider's name first in the path"
                .into()
        }
    }
}

/// What an answer of ours depends on in the request that it answers.
#[derive(Clone, Copy)]
pub(crate) struct ErrorContext {
    /// `None`: there is no whole head, and what there is of it names no dialect.
    dialect: Option<Option<Format>>,
    is_head: bool,
    is_http10: bool,
}

impl ErrorContext {
    pub(crate) fn of(head: &Head) -> ErrorContext {
        ErrorContext {
            dialect: Some(Format::of_path(head.target())),
            is_head: head.method() == "HEAD",
            is_http10: head.is_http10,
        }
    }

    /// As far as the request line tells, of which not all need have come.
    pub(crate) fn of_start(bytes: &[u8]) -> ErrorContext {
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let line = bytes[blank..].split(|byte| *byte == b'\r').next().unwrap_or_default();
        let mut words = line.split(|byte| *byte == b' ');
        let is_head = words.next() == Some(b"HEAD");
        let target = words.next().and_then(|word| std::str::from_utf8(word).ok());
        ErrorContext {
            dialect: target.and_then(Format::of_path).map(Some),
            is_head,
            is_http10: words.next() == Some(b"HTTP/1.0"),
        }
    }
}

/// A refusal in the dialect that the client's library parses, or as a line of text.
pub(crate) fn refusal(asked_by: &ErrorContext, refusal: Refusal, request_id: &str) -> Vec<u8> {
    let Refusal { status, why } = refusal;
    let code = guard::code(refusal);
    match asked_by.dialect {
        Some(format) => error(format, &ErrorReply { status, code, text: why, request_id }),
        None => {
            let headers = [("x-tokenpak-error", code), RETRY_AFTER];
            let headers = if status == 503 { &headers[..] } else { &headers[..1] };
            print(status, "text/plain; charset=utf-8", headers, format!("tokenpak: {why}\n"))
        }
    }
}

/// An answer of ours as this client has to get it: every one passes here. Without its body if the request
/// is HEAD's, since a client would take that for the next answer's head; and with the fate of the
/// connection, where the version does not imply it.
pub(crate) fn fit<'a>(
    answer: &'a [u8],
    asked_by: &ErrorContext,
    keep_alive: bool,
) -> Cow<'a, [u8]> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let answer = if asked_by.is_head { &answer[..end] } else { answer };
    let fate: &[u8] = match (keep_alive, asked_by.is_http10) {
        (true, false) => return answer.into(),
        (true, true) => b"connection: keep-alive\r\n",
        (false, _) => b"connection: close\r\n",
    };
    let line_end = memchr::memchr(b'\n', answer).map_or(0, |at| at + 1);
    [&answer[..line_end], fate, &answer[line_end..]].concat().into()
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
        500 => "internal-error",
        503 => "busy",
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
