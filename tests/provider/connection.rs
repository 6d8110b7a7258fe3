//! One connection to the stand-in: requests in, scripted answers out, and an eye on who leaves.

use super::answers::{self, Ask};
use super::script::{End, Framing, Script};
use super::{Seen, Shared};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant, SystemTime};

/// Heads above this size are a mistake of the other side.
const HEAD_BYTES_MAX: usize = 1 << 20;

const FLOOD_PIECE_BYTES: usize = 64 * 1024;

/// Longer than any test waits.
const HANG_TIME: Duration = Duration::from_secs(3600);

/// Serves a connection until one side closes it.
pub(super) fn serve(shared: &Shared, stream: TcpStream, number: usize) {
    let _ = stream.set_nodelay(true);
    let Ok(read_half) = stream.try_clone() else {
        return;
    };
    let mut reader = BufReader::new(read_half);
    for nth in 0.. {
        let Ok(Some(head)) = read_head(&mut reader) else {
            return;
        };
        shared.busy(number, true);
        let script = match websocket(&head) {
            true => Script::status(426),
            false => shared.script(),
        };
        let body = if script.early { Ok(Vec::new()) } else { read_body(&mut reader, &head) };
        let Ok(body) = body else { return };
        let script = script.keeper.as_ref().map_or(script.clone(), |keeper| keeper.answer(&body));
        let seen = Seen {
            connection: number,
            nth,
            at: Instant::now(),
            head,
            body,
            answer: Vec::new(),
            flooded: 0,
            left: None,
            answered: false,
        };
        let index = shared.change(|state| {
            state.seen.push(seen.clone());
            state.seen.len() - 1
        });
        if script.drop_reused && nth > 0 {
            return;
        }
        let mut out = Out { shared, stream: &stream, index, chunked: false, silent: false };
        let keep = match out.answer(&script, &Ask::of(&seen, index)) {
            Ok(keep) => keep,
            Err(_) => {
                shared.change(|state| state.seen[index].left = Some(Instant::now()));
                false
            }
        };
        if !keep {
            return;
        }
        shared.busy(number, false);
    }
}

/// The way back on a connection, for one request.
struct Out<'a> {
    shared: &'a Shared,
    stream: &'a TcpStream,
    index: usize,
    chunked: bool,
    /// Answers to HEAD, 204 and 304 have no body.
    silent: bool,
}

impl Out<'_> {
    /// Whether the connection may be used again; an error when the other side left first.
    fn answer(&mut self, script: &Script, ask: &Ask) -> io::Result<bool> {
        if let Some(raw) = &script.raw {
            self.stream.write_all(raw)?;
            return Ok(script.raw_open);
        }
        self.stay(script.head_delay)?;
        if let Some(end) = script.unanswered {
            self.reset_if(end)?;
            return Ok(false);
        }
        if script.hang {
            self.stay(HANG_TIME)?;
            return Ok(false);
        }
        self.stream.write_all(&script.interim)?;
        if let Some(bytes) = script.flood {
            self.flood(script, bytes)?;
            return Ok(script.framing != Framing::UntilClose);
        }
        let (content_type, pieces) = answers::pieces(script, ask);
        self.head(script, ask, &content_type, &pieces)?;
        let wanted = script.cut.map_or(pieces.len(), |(after, _)| after.min(pieces.len()));
        for (k, piece) in pieces[..wanted].iter().enumerate() {
            self.stay(if k == 0 { Duration::ZERO } else { script.gap })?;
            while script.gate.as_ref().is_some_and(|gate| !gate.wait_briefly(k)) {
                self.stay(Duration::from_millis(1))?;
            }
            // The record first: whoever has read the last byte may ask for it at once.
            let last = k + 1 == pieces.len() && script.cut.is_none();
            self.shared.change(|state| state.seen[self.index].answered = last);
            self.piece(&stamped(piece, script.stamps))?;
        }
        if let Some((_, end)) = script.cut {
            self.reset_if(end)?;
            return Ok(false);
        }
        if self.chunked {
            self.stream.write_all(b"0\r\n\r\n")?;
        }
        if script.deaf {
            // Room in the buffers aside, the other side cannot send on; it leaves.
            while self.stay_deaf() {}
            return Ok(false);
        }
        if script.abrupt {
            return Ok(false);
        }
        if script.early {
            // Closing with the body unread would reset the connection and take the answer with it.
            self.stream.shutdown(Shutdown::Write)?;
            let mut rest = self.stream;
            let _ = io::copy(&mut rest, &mut io::sink());
            return Ok(false);
        }
        let close = script.framing == Framing::UntilClose || script.short_by > 0;
        Ok(!(close || script.close_after || ask.close))
    }

    /// With no time to linger, the last close resets.
    fn reset_if(&self, end: End) -> io::Result<()> {
        if end == End::Reset {
            rustix::net::sockopt::set_socket_linger(self.stream, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Writes as fast as the other side reads.
    fn flood(&mut self, script: &Script, bytes: usize) -> io::Result<()> {
        let framing = match script.framing {
            Framing::Chunked => "transfer-encoding: chunked".to_owned(),
            Framing::UntilClose => "connection: close".to_owned(),
            _ => format!("content-length: {bytes}"),
        };
        write!(&*self.stream, "HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")?;
        let piece: Vec<u8> = (0..FLOOD_PIECE_BYTES).map(|n| (n % 251) as u8).collect();
        let mut left = bytes;
        while left > 0 {
            let piece = &piece[..left.min(FLOOD_PIECE_BYTES)];
            match script.framing {
                Framing::Chunked => self.stream.write_all(
                    &[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat(),
                )?,
                _ => self.stream.write_all(piece)?,
            }
            left -= piece.len();
            self.shared.change(|state| state.seen[self.index].flooded = bytes - left);
        }
        if script.framing == Framing::Chunked {
            self.stream.write_all(b"0\r\n\r\n")?;
        }
        self.shared.change(|state| state.seen[self.index].answered = true);
        Ok(())
    }

    fn head(
        &mut self,
        script: &Script,
        ask: &Ask,
        content_type: &str,
        pieces: &[Vec<u8>],
    ) -> io::Result<()> {
        self.silent = ask.method == "HEAD" || matches!(script.status, 204 | 304);
        let mut head =
            format!("HTTP/1.1 {} {}\r\n", script.status, reason(script.status)).into_bytes();
        for (name, value) in &script.headers {
            head.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if !matches!(script.status, 204 | 304) {
            head.extend_from_slice(format!("content-type: {content_type}\r\n").as_bytes());
            let framing = match script.framing {
                Framing::Usual if ask.stream && script.status == 200 => Framing::Chunked,
                Framing::Usual => Framing::Sized,
                given => given,
            };
            self.chunked = framing == Framing::Chunked && !self.silent;
            head.extend_from_slice(&match framing {
                Framing::Chunked => b"transfer-encoding: chunked\r\n".to_vec(),
                Framing::UntilClose => b"connection: close\r\n".to_vec(),
                _ => {
                    let length = pieces.iter().map(Vec::len).sum::<usize>() + script.short_by;
                    format!("content-length: {length}\r\n").into_bytes()
                }
            });
        }
        head.extend_from_slice(b"\r\n");
        self.stream.write_all(&head)
    }

    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        // An empty chunk would be the last one.
        if self.silent || piece.is_empty() {
            return Ok(());
        }
        self.shared.change(|state| state.seen[self.index].answer.extend_from_slice(piece));
        if self.chunked {
            let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            return self.stream.write_all(&framed);
        }
        self.stream.write_all(piece)
    }

    /// Whether the other side is still there, without reading what it sends.
    fn stay_deaf(&self) -> bool {
        let mut fds = [rustix::event::PollFd::new(self.stream, rustix::event::PollFlags::RDHUP)];
        let wait = rustix::event::Timespec { tv_sec: 3600, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&wait)).is_err()
    }

    /// Waits, but not for somebody who has left.
    fn stay(&self, time: Duration) -> io::Result<()> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let peeked = self.stream.peek(&mut [0]);
            self.stream.set_read_timeout(None)?;
            match peeked {
                Ok(0) => return Err(io::ErrorKind::ConnectionAborted.into()),
                // The next request is here already; its turn comes.
                Ok(_) => std::thread::sleep(left),
                Err(err)
                    if matches!(
                        err.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(err) => return Err(err),
            }
        }
    }
}

/// A word that asks for the time gets it when it leaves.
fn stamped(piece: &[u8], stamps: bool) -> Vec<u8> {
    let text = String::from_utf8_lossy(piece);
    if !stamps || !text.contains(answers::STAMP) {
        return piece.to_vec();
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    text.replace(answers::STAMP, &format!("{now:016}")).into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301..=308 => "Elsewhere",
        400..=499 => "Refused",
        500..=599 => "Failed",
        _ => "Other",
    }
}

/// Whether somebody wants another protocol, which is not spoken here.
fn websocket(head: &[u8]) -> bool {
    headers(head).iter().any(|(name, value)| name == "upgrade" && value == b"websocket")
}

/// A head with its empty line; `None` when the connection ended before one.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head)? == 0 || head.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

fn read_body(reader: &mut impl BufRead, head: &[u8]) -> io::Result<Vec<u8>> {
    let headers = headers(head);
    let value =
        |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.to_ascii_lowercase());
    if value("transfer-encoding").is_some_and(|v| v == b"chunked") {
        return read_chunks(reader);
    }
    let length = value("content-length").and_then(|v| String::from_utf8(v).ok()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let digits = line.trim_end().split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// The header lines of a head: names in lower case, values without the blanks around them.
pub(crate) fn headers(head: &[u8]) -> Vec<(String, Vec<u8>)> {
    let lines = head.split(|b| *b == b'\n').skip(1);
    lines
        .filter_map(|line| {
            let colon = line.iter().position(|b| *b == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            Some((name, line[colon + 1..].trim_ascii().to_vec()))
        })
        .collect()
}
