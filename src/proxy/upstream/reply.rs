//! Bytes to an answer's head. Pure.
//!
//! ureq's own reader refuses what providers and the boxes before them send: more than 128 headers,
//! chunk sizes with long extensions, interim answers with headers. Here the rule is the opposite
//! of the request reader's: whatever has one meaning is read, since the client would have read it
//! too, and only what has none is an error.

/// A head, all lines together: twice what a client may send.
pub(crate) const HEAD_BYTES_MAX: usize = 128 * 1024;
/// Header lines that are read without an allocation for them; nearly all answers have fewer.
const HEADERS_USUAL: usize = 64;
/// Header lines in a head; the most that clients are known to accept is 2,000, and most take 100.
const HEADERS_MAX: usize = 4096;

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

type Span = (u32, u32);

/// An answer's head, kept as the provider's bytes with the places of its parts.
pub(crate) struct ReplyHead {
    raw: Vec<u8>,
    status: u16,
    reason: Span,
    is_http10: bool,
    fields: Vec<(Span, Span)>,
}

impl ReplyHead {
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The words behind the status, as they came; often none.
    pub(crate) fn reason(&self) -> &[u8] {
        self.bytes(self.reason)
    }

    /// All headers in order, repeats included.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (self.bytes(*name), self.bytes(*value)))
    }

    /// The first value of a header; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let name = name.as_bytes();
        // Nearly all others differ in length.
        let is_it = move |((start, end), _): &&(Span, Span)| {
            (end - start) as usize == name.len()
                && self.bytes((*start, *end)).eq_ignore_ascii_case(name)
        };
        self.fields.iter().filter(is_it).map(|(_, value)| self.bytes(*value))
    }

    /// The comma-separated words of all values of a header.
    pub(crate) fn tokens<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let words = self.values(name).flat_map(|value| value.split(|byte| *byte == b','));
        words.map(<[u8]>::trim_ascii).filter(|word| !word.is_empty())
    }

    /// Whether the connection may serve another request once the body has been read.
    pub(crate) fn is_persistent(&self) -> bool {
        let says =
            |word: &[u8]| self.tokens("connection").any(|token| token.eq_ignore_ascii_case(word));
        // A length beside chunks is how answers are smuggled: read, but not trusted any further.
        let is_doubtful =
            self.header("transfer-encoding").is_some() && self.header("content-length").is_some();
        !says(b"close") && (!self.is_http10 || says(b"keep-alive")) && !is_doubtful
    }

    /// How the body is framed (RFC 9112 6.3); `method` is the request's.
    pub(crate) fn framing(&self, method: &str) -> Result<Framing, Malformed> {
        if method == "HEAD" || matches!(self.status, 204 | 304) {
            return Ok(Framing::None);
        }
        let mut codings =
            self.tokens("transfer-encoding").filter(|word| !word.eq_ignore_ascii_case(b"identity"));
        match (codings.next(), codings.next()) {
            (None, _) => {}
            (Some(word), None) if word.eq_ignore_ascii_case(b"chunked") => {
                return Ok(Framing::Chunks);
            }
            _ => return Err(Malformed("its transfer coding is unknown")),
        }
        let mut lengths = self.tokens("content-length");
        let Some(first) = lengths.next() else {
            return match self.header("content-length") {
                Some(_) => Err(Malformed("its length is not a number")),
                None => Ok(Framing::Close),
            };
        };
        match length_of(first) {
            Some(length) if lengths.all(|other| length_of(other) == Some(length)) => {
                Ok(Framing::Length(length))
            }
            _ => Err(Malformed("its length is not a number")),
        }
    }

    fn bytes(&self, (start, end): Span) -> &[u8] {
        &self.raw[start as usize..end as usize]
    }
}

/// How an answer's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunks,
    /// It ends with the connection.
    Close,
}

fn length_of(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

/// Collects a head from pieces of any size.
#[derive(Default)]
pub(crate) struct HeadReader {
    raw: Vec<u8>,
}

impl HeadReader {
    /// Takes what belongs to the head from `input`; says how much that was, and the head once it
    /// is complete.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<ReplyHead>), Malformed> {
        let before = self.raw.len();
        // Nearly every head comes in one piece, and is copied as long as it is.
        if before == 0
            && let Some(end) = head_end(input, 0)
        {
            check_start(input)?;
            self.raw.extend_from_slice(&input[..end]);
            return self.finish(end).map(|head| (end, Some(head)));
        }
        self.raw.extend_from_slice(input);
        check_start(&self.raw)?;
        // An end may have begun in the piece before.
        let Some(end) = head_end(&self.raw, before.saturating_sub(3)) else {
            return match self.raw.len() > HEAD_BYTES_MAX {
                true => Err(Malformed("its head is too large")),
                false => Ok((input.len(), None)),
            };
        };
        self.finish(end).map(|head| (end - before, Some(head)))
    }

    /// The head that ends there.
    fn finish(&mut self, end: usize) -> Result<ReplyHead, Malformed> {
        if end > HEAD_BYTES_MAX {
            return Err(Malformed("its head is too large"));
        }
        self.raw.truncate(end);
        // It stays for as long as the answer takes.
        self.raw.shrink_to_fit();
        parse(std::mem::take(&mut self.raw))
    }
}

/// What does not begin like HTTP is not waited for.
fn check_start(raw: &[u8]) -> Result<(), Malformed> {
    const START: &[u8] = b"HTTP/1.";
    let blank = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let begun = &raw[blank..];
    let known = begun.len().min(START.len());
    match begun[..known] == START[..known] && blank <= 4 {
        true => Ok(()),
        false => Err(Malformed("it is not HTTP")),
    }
}

/// Where the empty line ends that ends the head. Bare LFs are read as well.
fn head_end(raw: &[u8], from: usize) -> Option<usize> {
    let blank = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let from = from.max(blank);
    memchr::memchr_iter(b'\n', &raw[from..]).map(|at| from + at + 1).find_map(|next| {
        match &raw[next..] {
            [b'\n', ..] => Some(next + 1),
            [b'\r', b'\n', ..] => Some(next + 2),
            _ => None,
        }
    })
}

fn parse(mut raw: Vec<u8>) -> Result<ReplyHead, Malformed> {
    let blank = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    // A later HTTP/1 is read as the latest that there is (RFC 9110 2.5).
    if let Some([b'/', b'1', b'.', minor @ b'2'..=b'9', b' ']) = raw.get_mut(blank + 4..blank + 9) {
        *minor = b'1';
    }
    let mut usual = [httparse::EMPTY_HEADER; HEADERS_USUAL];
    let (status, reason, is_http10, fields) = match spans(&raw, &mut usual) {
        Err(httparse::Error::TooManyHeaders) => {
            spans(&raw, &mut vec![httparse::EMPTY_HEADER; HEADERS_MAX])
        }
        other => other,
    }
    .map_err(|_| Malformed("its head is malformed"))?;
    if !(100..=999).contains(&status) {
        return Err(Malformed("its status is not a number"));
    }
    // A value that went on in the next line becomes one line (RFC 9112 5.2).
    for (_, (start, end)) in &fields {
        for byte in &mut raw[*start as usize..*end as usize] {
            if matches!(*byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }
    Ok(ReplyHead { raw, status, reason, is_http10, fields })
}

type Parts = (u16, Span, bool, Vec<(Span, Span)>);

/// Reads a whole head with room for as many headers as `room` has.
fn spans<'a>(raw: &'a [u8], room: &mut [httparse::Header<'a>]) -> Result<Parts, httparse::Error> {
    let mut config = httparse::ParserConfig::default();
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    let mut response = httparse::Response::new(room);
    let parsed = config.parse_response(&mut response, raw)?;
    let (httparse::Status::Complete(_), Some(status)) = (parsed, response.code) else {
        return Err(httparse::Error::Status);
    };
    let span = |part: &[u8]| {
        // It points into `raw`, and a head is far below 4 GiB.
        let start = part.as_ptr() as usize - raw.as_ptr() as usize;
        (start as u32, (start + part.len()) as u32)
    };
    let fields = response.headers.iter().map(|f| (span(f.name.as_bytes()), span(f.value)));
    Ok((status, reason(raw), response.version == Some(0), fields.collect()))
}

/// The place of the reason phrase. httparse gives none that holds a byte outside ASCII.
fn reason(raw: &[u8]) -> Span {
    let start = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let end = memchr::memchr2(b'\r', b'\n', &raw[start..]).map_or(raw.len(), |at| start + at);
    let words = raw[start..end].splitn(3, |byte| *byte == b' ').nth(2).map_or(0, <[u8]>::len);
    ((end - words) as u32, end as u32)
}

#[cfg(test)]
mod tests;
