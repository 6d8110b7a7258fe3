//! The head of a request as it goes upstream: the client's headers in its order and its spelling, with
//! what this hop says itself in their places.
//!
//! ureq-proto writes what this hop says: the first line, the host, how the body is framed. The client's
//! headers were checked when its head was read, and are copied as they are: as values of ureq-proto they
//! would take up to five allocations each, and those of one name would be moved together.

use ureq_proto::client::Call;
use ureq_proto::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use ureq_proto::http::uri::PathAndQuery;
use ureq_proto::http::{HeaderValue, Method, Request, Uri};

use super::error::TransportError;
use super::failure::Failure;
use super::hop_by_hop::{Named, is_hop_by_hop, is_ours};
use crate::proxy::buffer_pool;
use crate::proxy::request::{Framing, Head};

/// Where a request goes.
pub(crate) struct Target<'a> {
    pub(crate) url: &'a str,
    /// The answer's usage is read, so it must not come encoded.
    pub(crate) identity_only: bool,
}

pub(super) struct RequestHead {
    /// As it is sent, keys included.
    pub(super) bytes: Vec<u8>,
    pub(super) method: Method,
    pub(super) uri: Uri,
}

impl RequestHead {
    /// `framing` is the body's; `None` announces no body.
    pub(super) fn new(
        target: &Target,
        head: &Head,
        framing: Option<Framing>,
    ) -> Result<RequestHead, Failure> {
        let uri = uri(target, head)?;
        let method = Method::from_bytes(head.method().as_bytes());
        let method = method.map_err(|_| Failure::Refused("the method is not valid"))?;
        let own = write_own(&method, &uri, framing);
        let own = own.ok_or_else(|| Failure::Unreachable(TransportError::Unsendable.words()))?;
        let bytes = merge(&own, head, target.identity_only);
        buffer_pool::keep(own);
        Ok(RequestHead { bytes, method, uri })
    }
}

fn uri(target: &Target, head: &Head) -> Result<Uri, Failure> {
    let bad_target = || Failure::Refused("the target is not a valid URI");
    let mut uri: Uri = target.url.parse().map_err(|_| bad_target())?;
    if head.target() == "*" {
        // The one target that is no path: it asks about the server as a whole.
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("*"));
        uri = Uri::from_parts(parts).map_err(|_| bad_target())?;
    }
    match target.url.contains('#') {
        // It would be cut off: fragments are not sent.
        true => Err(Failure::Refused("the target has a fragment")),
        false => Ok(uri),
    }
}

/// The first line and the headers of this hop. `None` if ureq-proto finds that no request can have them.
fn write_own(method: &Method, uri: &Uri, framing: Option<Framing>) -> Option<Vec<u8>> {
    let mut request = Request::new(());
    (*request.method_mut(), *request.uri_mut()) = (method.clone(), uri.clone());
    let framing = framing.map(|framing| match framing {
        Framing::Length(length) => (CONTENT_LENGTH, HeaderValue::from(length)),
        Framing::Chunked => (TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
    });
    request.headers_mut().extend(framing);
    let mut bytes = buffer_pool::take(own_bytes_max(&request));
    let mut call = Call::new(request).ok()?;
    call.allow_non_standard_methods(true);
    // Whether the method usually has a body does not matter: what the client sent goes on.
    call.force_send_body();
    let mut call = call.proceed();
    let count = call.write(&mut bytes).ok()?;
    bytes.truncate(count);
    call.can_proceed().then_some(bytes)
}

/// Room for all of it: it is written at once.
fn own_bytes_max(request: &Request<()>) -> usize {
    /// The names of the headers, the length, and what stands between.
    const REST: usize = 256;
    let uri = request.uri();
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let host = uri.authority().map_or(0, |host| host.as_str().len());
    request.method().as_str().len() + target + host + REST
}

/// A header of this hop, which stands where the client has one of that name.
struct Own<'a> {
    name: &'a [u8],
    value: &'a [u8],
    is_placed: bool,
}

/// The client's headers, without those of its own hop, behind the first line of `own`, and the others of it
/// in their places.
fn merge(own: &[u8], head: &Head, identity_only: bool) -> Vec<u8> {
    let mut lines = own.split_inclusive(|byte| *byte == b'\n');
    let mut out = buffer_pool::take(0);
    out.extend_from_slice(lines.next().unwrap_or_default());
    let mut own: Vec<Own> = lines.filter_map(read_line).collect();
    for host in own.iter_mut().filter(|own| own.name == b"host") {
        // HTTP/1.0 need not name one. Where there is none, ours comes first (RFC 9110 7.2).
        host.is_placed = head.header("host").is_none();
        if host.is_placed {
            line(&mut out, host.name, host.value);
        }
    }
    let named = Named::of(connection_tokens(head));
    for (name, value) in head.headers() {
        match own.iter_mut().find(|own| own.name.eq_ignore_ascii_case(name)) {
            Some(own) if !own.is_placed => {
                own.is_placed = true;
                line(&mut out, name, own.value);
            }
            Some(_) => {}
            None if is_ours(name) || named.has(name) || is_hop_by_hop(name) => {}
            // Providers send plain text unless asked; one that the client did not ask gets no word of ours.
            None if identity_only && name.eq_ignore_ascii_case(b"accept-encoding") => {
                own.push(Own { name: b"accept-encoding", value: b"identity", is_placed: true });
                line(&mut out, name, b"identity");
            }
            None => line(&mut out, name, value),
        }
    }
    for own in own.iter().filter(|own| !own.is_placed) {
        line(&mut out, own.name, own.value);
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// `None` for the empty line at the end.
fn read_line(line: &[u8]) -> Option<Own<'_>> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    Some(Own { name, value, is_placed: false })
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// The words of the client's `Connection`.
fn connection_tokens(head: &Head) -> impl Iterator<Item = &[u8]> {
    let words = head.values("connection").flat_map(|value| value.split(|byte| *byte == b','));
    words.map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::request::HeadReader;

    const TARGET: Target = Target { url: "http://up.test:81/v1/x?y=1", identity_only: true };

    fn read(client: &str) -> Head {
        let text = format!("{client}\r\n").replace('|', "\r\n");
        HeadReader::default().read(text.as_bytes()).unwrap().unwrap().0
    }

    /// What is sent of a client's head, without its first line.
    fn sent(client: &str, framing: Option<Framing>) -> String {
        let head = RequestHead::new(&TARGET, &read(client), framing);
        let Ok(head) = head else { panic!("{client}") };
        let text = String::from_utf8(head.bytes).unwrap();
        let (line, rest) = text.split_once("\r\n").unwrap();
        assert!(line.ends_with(" /v1/x?y=1 HTTP/1.1"), "{line}");
        rest.strip_suffix("\r\n").unwrap().replace("\r\n", "|")
    }

    #[test]
    fn names_keep_order_and_spelling() {
        let length = |bytes| Some(Framing::Length(bytes));
        for (client, framing, want) in [
            ("Host: a|X-One: 1|x-two: 2|", None, "Host: up.test:81|X-One: 1|x-two: 2|"),
            ("x-Z: 1|HOST: a|A: 2|", None, "x-Z: 1|HOST: up.test:81|A: 2|"),
            ("hOsT: a|b: 1|B: 2|b: 3|", None, "hOsT: up.test:81|b: 1|B: 2|b: 3|"),
            ("Host: a|B: 1|C: 2|b: 3|", None, "Host: up.test:81|B: 1|C: 2|b: 3|"),
            // Ours in the places of theirs, and where there is none, at the end.
            (
                "Host: a|Content-Length: 9|Accept-Encoding: gzip|Z: 1|",
                length(7),
                "Host: up.test:81|Content-Length: 7|Accept-Encoding: identity|Z: 1|",
            ),
            ("Host: a|Z: 1|", length(7), "Host: up.test:81|Z: 1|content-length: 7|"),
            (
                "Host: a|accept-encoding: br|Accept-Encoding: gzip|",
                None,
                "Host: up.test:81|accept-encoding: identity|",
            ),
            (
                "Host: a|Transfer-Encoding: chunked|Z: 1|",
                Some(Framing::Chunked),
                "Host: up.test:81|Transfer-Encoding: chunked|Z: 1|",
            ),
            // A body that was read whole, and one that was left out.
            (
                "Host: a|Transfer-Encoding: chunked|Z: 1|",
                length(7),
                "Host: up.test:81|Z: 1|content-length: 7|",
            ),
            ("Host: a|Content-Length: 0|Z: 1|", None, "Host: up.test:81|Z: 1|"),
            // A key may have bytes outside ASCII.
            (
                "Host: a|AUTHORIZATION: Bearer \u{e9}|",
                None,
                "Host: up.test:81|AUTHORIZATION: Bearer \u{e9}|",
            ),
            ("Host: a|Connection: X-One|X-One: 1|TE: x|Z: 1|", None, "Host: up.test:81|Z: 1|"),
        ] {
            for method in ["GET", "POST", "DELETE", "HEAD", "PROPFIND"] {
                let framing = match (method, framing) {
                    ("POST", None) => continue,
                    _ => framing,
                };
                let head = format!("{method} /x HTTP/1.1|{client}");
                assert_eq!(sent(&head, framing), want, "{method} {client}");
            }
        }
        assert_eq!(sent("GET /x HTTP/1.0|A: 1|", None), "host: up.test:81|A: 1|");
    }

    /// None of them for a header of the client's, however it is spelled.
    #[test]
    fn a_head_allocates_little() {
        let client = "Host: a|Accept-Encoding: gzip|Connection: keep-alive|Accept: */*|\
            Content-Type: application/json|User-Agent: OpenAI/Python 1.2.3|X-Stainless-Lang: python|\
            X-Stainless-OS: Linux|X-Stainless-Arch: x64|Authorization: Bearer sk-not-a-key|\
            Content-Length: 400|";
        let more = "X-One: 1|X-Two: 2|X-Three: 3|".repeat(10);
        let make = |lines: &str| {
            let head = read(&format!("POST /x HTTP/1.1|{lines}"));
            allocation_counter::measure(|| {
                let head = RequestHead::new(&TARGET, &head, Some(Framing::Length(400)));
                buffer_pool::keep(head.ok().unwrap().bytes);
            })
        };
        // The first one makes the buffers.
        make(client);
        for lines in [client.to_owned(), client.to_lowercase(), format!("{client}{more}")] {
            let info = make(&lines);
            println!("{info:?}");
            assert!(info.count_total <= 13 && info.bytes_total <= 820, "{info:?}");
        }
    }

    #[test]
    fn hosts_have_a_port_where_it_is_not_the_usual_one() {
        for (url, want) in [
            ("https://a.test/x", "a.test"),
            ("https://a.test:443/x", "a.test"),
            ("https://a.test:80/x", "a.test:80"),
            ("http://a.test:80", "a.test"),
            ("http://[::1]:8080/x", "[::1]:8080"),
            ("http://[::1]/x", "[::1]"),
        ] {
            let own = write_own(&Method::GET, &url.parse().unwrap(), None).unwrap();
            let line = own.split(|byte| *byte == b'\n').nth(1).unwrap();
            assert_eq!(line, format!("host: {want}\r").as_bytes(), "{url}");
        }
    }
}
