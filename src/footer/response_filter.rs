//! What watches an answer on its way, and what is changed in it: the footer put in, the usage that
//! only we asked for taken out. Pure: bytes in, bytes out.

use std::time::Duration;

use super::held_event::{HOLD_BYTES_MAX, HeldEvent};
use crate::footer;
use crate::wire::answer::{Reading, UsageObserver};
use crate::wire::event_template::EventTemplate;
use crate::wire::framing::{Part, Piece, Splitter, StreamFormat};
use crate::wire::{Usage, ask_usage};

/// How long anything of an answer is held back at most, wherever. Usage follows the reason for stopping
/// within milliseconds.
pub(crate) const HOLD_TIME_MAX: Duration = Duration::from_secs(1);

/// Makes the footer's text from what has been read of the usage.
pub(crate) type FooterLine<'a> = &'a dyn Fn(Option<&Usage>) -> String;

/// One answer's way through the proxy. A stream is cut into its events once, for all who look at it.
#[derive(Default)]
pub(crate) struct ResponseFilter<'a> {
    observer: Option<UsageObserver>,
    /// `None`: the answer is one body, or nobody looks at it.
    splitter: Option<Splitter>,
    edit: Option<Edit<'a>>,
    event_template: EventTemplate,
    out: Vec<u8>,
}

/// What is changed in a stream of events.
pub(crate) struct Edit<'a> {
    held: HeldEvent,
    footer: Option<(footer::Stream, FooterLine<'a>)>,
    /// The chunk with the usage is ours, and not for the client.
    drops_usage: bool,
    /// Counts events; and the one that began to be held back.
    number: u64,
    held_from: u64,
    /// How much of a comment has come, in bytes, whose line has not ended.
    comment_bytes: usize,
}

impl<'a> Edit<'a> {
    /// `None` if there is nothing to change.
    pub(crate) fn new(
        footer: Option<(footer::Stream, FooterLine<'a>)>,
        drops_usage: bool,
    ) -> Option<Edit<'a>> {
        let held = HeldEvent::default();
        let (number, held_from, comment_bytes) = (0, 0, 0);
        let edit = Edit { held, footer, drops_usage, number, held_from, comment_bytes };
        (edit.footer.is_some() || drops_usage).then_some(edit)
    }

    /// Takes the next piece. `is_odd`: no further event is to be changed.
    fn piece(
        &mut self,
        (piece, is_odd): (&Piece<'_>, bool),
        usage: &dyn Fn() -> Option<Usage>,
        out: &mut Vec<u8>,
    ) {
        let is_between = piece.part == Part::Between;
        let begun = if is_between { self.comment_bytes } else { self.held.bytes.len() };
        let size = begun + piece.bytes.len();
        let is_open = is_between && !piece.bytes.ends_with(b"\n");
        self.comment_bytes = if is_open { size } else { 0 };
        if let Some((stream, _)) = &mut self.footer
            && !is_between
            && stream.is_over(size)
        {
            stream.give_up(footer::Refusal::Large, out);
        }
        if self.is_idle() || is_odd || size > HOLD_BYTES_MAX {
            self.release(footer::Refusal::Odd, out);
            self.drops_usage = false;
            return out.extend_from_slice(piece.bytes);
        }
        match piece.part {
            // A ping shows the client that the answer goes on: it is not held back with what is.
            Part::Between => out.extend_from_slice(piece.bytes),
            Part::Whole(data) => self.event((piece.bytes, data, 0), usage, out),
            Part::Data(data) => self.held.extend(piece.bytes, Some(data)),
            Part::Field => self.held.extend(piece.bytes, None),
            Part::End => {
                self.held.extend(piece.bytes, None);
                self.held_event(usage, out);
            }
        }
    }

    /// All that has come is looked at: what nobody changes does not wait for its end.
    fn settle(&mut self, out: &mut Vec<u8>) {
        let is_held = self.footer.as_ref().is_some_and(|(stream, _)| stream.is_waiting());
        if self.is_holding() && (self.is_idle() || !is_held && self.held.is_settled()) {
            out.extend_from_slice(self.held.let_go());
        }
    }

    /// Whether nothing is changed any more.
    fn is_idle(&self) -> bool {
        !self.drops_usage && self.footer.as_ref().is_none_or(|(stream, _)| stream.is_done())
    }

    /// Whether some of an event waits for the rest.
    fn is_holding(&self) -> bool {
        self.held.bytes.len() > self.held.gone
    }

    /// Whether it stands between two events, and one that brings text would change nothing.
    fn is_steady(&self) -> bool {
        let is_steady = self.footer.as_ref().is_none_or(|(stream, _)| stream.is_steady());
        is_steady && self.held.bytes.is_empty()
    }

    /// What is held back, by a number that is another one for everything else.
    fn hold(&self) -> Option<u64> {
        match self.footer.as_ref().is_some_and(|(stream, _)| stream.is_waiting()) {
            true => Some(self.held_from),
            false => self.is_holding().then_some(self.number),
        }
    }

    /// Nothing is held back any longer; what comes goes on to be looked at.
    fn let_go(&mut self, out: &mut Vec<u8>) {
        if let Some((stream, _)) = &mut self.footer
            && stream.is_waiting()
        {
            stream.give_up(footer::Refusal::KeptWaiting, out);
        }
        out.extend_from_slice(self.held.let_go());
    }

    /// What was held has come to its end.
    fn held_event(&mut self, usage: &dyn Fn() -> Option<Usage>, out: &mut Vec<u8>) {
        let mut held = std::mem::take(&mut self.held);
        match held.has_data {
            true => self.event((&held.bytes, &held.data, held.gone), usage, out),
            false => out.extend_from_slice(&held.bytes[held.gone..]),
        }
        held.clear();
        self.held = held;
    }

    /// One event: its bytes, its data, and how many of the bytes have left.
    fn event(
        &mut self,
        (bytes, data, gone): (&[u8], &[u8], usize),
        usage: &dyn Fn() -> Option<Usage>,
        out: &mut Vec<u8>,
    ) {
        self.number += 1;
        // What is no text is left alone, and as a ping not held back.
        let (Ok(_), Ok(data)) = (std::str::from_utf8(bytes), std::str::from_utf8(data)) else {
            return out.extend_from_slice(&bytes[gone..]);
        };
        let mut event = footer::Event::new(bytes, data, gone);
        if self.drops_usage && ask_usage::is_usage_chunk(data) && !event.has_begun() {
            event.bytes = &[];
        }
        match &mut self.footer {
            Some((stream, line)) if !stream.is_done() => {
                let was_waiting = stream.is_waiting();
                stream.event(&event, &mut || line(usage().as_ref()), out);
                if !was_waiting {
                    self.held_from = self.number - 1;
                }
            }
            _ => self.pass(event.bytes, out),
        }
    }

    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.footer {
            Some((stream, _)) => stream.pass(bytes, out),
            None => out.extend_from_slice(bytes),
        }
    }

    /// Hands out what is held back.
    fn release(&mut self, why: footer::Refusal, out: &mut Vec<u8>) {
        if let Some((stream, _)) = &mut self.footer {
            stream.give_up(why, out);
        }
        out.extend_from_slice(self.held.let_go());
        self.held.clear();
    }
}

impl<'a> ResponseFilter<'a> {
    /// An answer that is one body.
    pub(crate) fn of_body(observer: Option<UsageObserver>) -> ResponseFilter<'a> {
        ResponseFilter { observer, ..ResponseFilter::default() }
    }

    /// An answer that is a stream.
    pub(crate) fn of_stream(
        format: StreamFormat,
        observer: Option<UsageObserver>,
        edit: Option<Edit<'a>>,
    ) -> ResponseFilter<'a> {
        let is_read = observer.is_some() || edit.is_some();
        let splitter = is_read.then(|| Splitter::new(format));
        ResponseFilter { observer, splitter, edit, ..ResponseFilter::default() }
    }

    /// Shows the next bytes of the answer. `None`: they pass as they are; else what goes on in
    /// their place, which may be nothing.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        if self.splitter.is_none() {
            self.observer.as_mut()?.feed(bytes);
            return None;
        }
        self.out.clear();
        let mut at = 0;
        while at < bytes.len() {
            // Events that repeat an earlier one pass where that one did.
            let is_steady = self.is_steady();
            let count = if is_steady { self.event_template.count(&bytes[at..]) } else { 0 };
            if count == bytes.len() {
                return None;
            }
            if self.edit.is_some() {
                self.out.extend_from_slice(&bytes[at..at + count]);
            }
            at += count;
            at += self.piece(&bytes[at..], is_steady);
        }
        self.edit.as_mut()?.settle(&mut self.out);
        Some(&self.out)
    }

    /// Whether events may pass that were found to repeat.
    fn is_steady(&self) -> bool {
        self.observer.is_some()
            && self.splitter.as_ref().is_some_and(Splitter::is_between)
            && self.edit.as_ref().is_none_or(Edit::is_steady)
    }

    /// Shows the next piece to all who read the stream; returns its length.
    fn piece(&mut self, bytes: &[u8], is_steady: bool) -> usize {
        let ResponseFilter { observer, splitter, edit, event_template, out } = self;
        let Some((splitter, piece)) =
            splitter.as_mut().and_then(|it| it.next(bytes).map(|piece| (it, piece)))
        else {
            return bytes.len();
        };
        let before = out.len();
        let says = observer.as_mut().is_none_or(|observer| observer.piece(&piece));
        if let Some(edit) = edit {
            let usage = || observer.as_ref().and_then(UsageObserver::usage);
            edit.piece((&piece, splitter.has_bare_cr()), &usage, out);
        }
        if is_steady
            && !says
            && matches!(piece.part, Part::Whole(_))
            && (edit.is_none() || out[before..] == *piece.bytes)
        {
            event_template.learn(piece.bytes);
        }
        piece.bytes.len()
    }

    /// What is held back since bytes were last shown, if anything is: the same number is the same thing.
    pub(crate) fn hold(&self) -> Option<u64> {
        self.edit.as_ref().and_then(Edit::hold)
    }

    /// It has been held back for long enough: what goes on now.
    pub(crate) fn let_go(&mut self) -> &[u8] {
        self.out.clear();
        if let Some(edit) = &mut self.edit {
            edit.let_go(&mut self.out);
        }
        &self.out
    }

    /// There are no more bytes: what was held back, and goes on. `is_whole`: the answer has come to
    /// its end, where some servers leave out the last empty line.
    pub(crate) fn rest(&mut self, is_whole: bool) -> &[u8] {
        let ResponseFilter { observer, edit, out, .. } = self;
        out.clear();
        if let Some(edit) = edit {
            if is_whole {
                edit.held_event(&|| observer.as_ref().and_then(UsageObserver::usage), out);
            }
            edit.release(footer::Refusal::Unfinished, out);
        }
        &self.out
    }

    /// What was read, and what became of the footer; `None` if there was not to be one.
    pub(crate) fn finish(self) -> (Option<Reading>, Option<footer::Outcome>) {
        let reading = self.observer.map(|observer| match &self.splitter {
            Some(splitter) => observer.finish_stream(splitter.is_inside()),
            None => observer.finish(),
        });
        let footer = self.edit.and_then(|edit| edit.footer);
        (reading, footer.map(|(stream, _)| stream.outcome()))
    }
}
