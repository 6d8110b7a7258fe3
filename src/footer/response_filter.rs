//! What watches an answer on its way, and what is changed in it: the footer put in, the usage that
//! only we asked for taken out. Pure: bytes in, bytes out.

use std::time::Duration;

use crate::footer;
use crate::wire::answer::{Reading, UsageObserver};
use crate::wire::blocks::{self, Blocks};
use crate::wire::event_template::EventTemplate;
use crate::wire::{Usage, ask_usage};

/// How long anything of an answer is held back at most, wherever. Usage follows the reason for stopping
/// within milliseconds.
pub(crate) const HOLD_TIME_MAX: Duration = Duration::from_secs(1);

/// Makes the footer's text from what has been read of the usage.
pub(crate) type FooterLine<'a> = &'a dyn Fn(Option<&Usage>) -> String;

/// One answer's way through the proxy.
#[derive(Default)]
pub(crate) struct ResponseFilter<'a> {
    observer: Option<UsageObserver>,
    edit: Option<Edit<'a>>,
    event_template: EventTemplate,
    out: Vec<u8>,
}

/// What is changed in a stream of events.
pub(crate) struct Edit<'a> {
    blocks: Blocks,
    footer: Option<(footer::Stream, FooterLine<'a>)>,
    /// The chunk with the usage is ours, and not for the client.
    drops_usage: bool,
    /// Counts blocks; and the one that began to be held back.
    number: u64,
    held_from: u64,
}

impl<'a> Edit<'a> {
    /// `None` if there is nothing to change.
    pub(crate) fn new(
        footer: Option<(footer::Stream, FooterLine<'a>)>,
        drops_usage: bool,
    ) -> Option<Edit<'a>> {
        let blocks = Blocks::default();
        let edit = Edit { blocks, footer, drops_usage, number: 0, held_from: 0 };
        (edit.footer.is_some() || drops_usage).then_some(edit)
    }

    fn feed(&mut self, bytes: &[u8], usage: &dyn Fn() -> Option<Usage>, out: &mut Vec<u8>) {
        let mut blocks = std::mem::take(&mut self.blocks);
        let is_blocks = blocks.feed(bytes, |block, gone| self.block((block, gone), usage, out));
        self.blocks = blocks;
        let begun = self.blocks.begun();
        if let Some((stream, _)) = &mut self.footer
            && !is_comment(begun)
            && stream.is_over(begun.len())
        {
            stream.give_up("large", out);
        }
        if !is_blocks {
            self.release("odd", out);
            self.drops_usage = false;
        } else if self.may_flow() {
            out.extend_from_slice(self.blocks.let_go());
        }
    }

    /// Whether it stands between two events, and one that brings text would change nothing.
    fn is_steady(&self) -> bool {
        let is_steady = self.footer.as_ref().is_none_or(|(stream, _)| stream.is_steady());
        is_steady && self.blocks.begun().is_empty()
    }

    /// Whether the block whose end has not come is left as it is, so that nobody waits for its end.
    fn may_flow(&self) -> bool {
        let footer = self.footer.as_ref().map(|(stream, _)| stream);
        let is_idle = footer.is_none_or(footer::Stream::is_done) && !self.drops_usage;
        let is_held = footer.is_some_and(footer::Stream::is_waiting);
        let begun = self.blocks.begun();
        is_idle || is_comment(begun) || !is_held && blocks::is_settled(begun)
    }

    /// What is held back, by a number that is another one for everything else.
    fn hold(&self) -> Option<u64> {
        match self.footer.as_ref().is_some_and(|(stream, _)| stream.is_waiting()) {
            true => Some(self.held_from),
            false => self.blocks.is_holding().then_some(self.number),
        }
    }

    /// Nothing is held back any longer; what comes goes on to be looked at.
    fn let_go(&mut self, out: &mut Vec<u8>) {
        if let Some((stream, _)) = &mut self.footer
            && stream.is_waiting()
        {
            stream.give_up("kept-waiting", out);
        }
        out.extend_from_slice(self.blocks.let_go());
    }

    /// `gone`: so many of its bytes have left.
    fn block(
        &mut self,
        (block, gone): (&[u8], usize),
        usage: &dyn Fn() -> Option<Usage>,
        out: &mut Vec<u8>,
    ) {
        self.number += 1;
        // A ping shows the client that the answer goes on: it is not held back with what is.
        let Some(data) = blocks::data(block) else {
            return out.extend_from_slice(&block[gone..]);
        };
        let mut event = footer::Event::new(block, &data, gone);
        if self.drops_usage && ask_usage::is_usage_chunk(&data) && !event.has_begun() {
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
        let (held, gone) = self.blocks.take();
        out.extend_from_slice(&held[gone..]);
    }
}

/// Whether what has come of a block is a comment, which nobody changes.
fn is_comment(begun: &[u8]) -> bool {
    begun.starts_with(b":")
}

impl<'a> ResponseFilter<'a> {
    pub(crate) fn new(
        observer: Option<UsageObserver>,
        edit: Option<Edit<'a>>,
    ) -> ResponseFilter<'a> {
        ResponseFilter { observer, edit, ..ResponseFilter::default() }
    }

    /// Shows the next bytes of the answer. `None`: they pass as they are; else what goes on in
    /// their place, which may be nothing.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        let is_stream = self.observer.as_ref().is_some_and(UsageObserver::is_stream);
        if !is_stream && self.edit.is_none() {
            self.observer.as_mut().map(|observer| observer.feed(bytes));
            return None;
        }
        self.out.clear();
        let mut at = self.repeated(bytes);
        if at == bytes.len() {
            return None;
        }
        let is_edited = self.edit.is_some();
        let mut passed = 0;
        while at < bytes.len() {
            if is_edited {
                self.out.extend_from_slice(&bytes[passed..at]);
            }
            at += self.event(&bytes[at..]);
            passed = at;
            at += self.repeated(&bytes[at..]);
        }
        if is_edited {
            self.out.extend_from_slice(&bytes[passed..]);
        }
        is_edited.then_some(&self.out)
    }

    /// Whether events may pass that were found to repeat.
    fn is_steady(&self) -> bool {
        self.observer.as_ref().is_some_and(UsageObserver::is_between)
            && self.edit.as_ref().is_none_or(Edit::is_steady)
    }

    /// How many of the next bytes are events that say nothing new.
    fn repeated(&mut self, bytes: &[u8]) -> usize {
        if self.is_steady() { self.event_template.count(bytes) } else { 0 }
    }

    /// Reads one event, or what has come of it; returns its length.
    fn event(&mut self, bytes: &[u8]) -> usize {
        let was_steady = self.is_steady();
        let end = blocks::event_end(bytes);
        let event = &bytes[..end.unwrap_or(bytes.len())];
        let ResponseFilter { observer, edit, out, .. } = self;
        let before = out.len();
        let says = observer.as_mut().is_none_or(|observer| observer.feed(event));
        if let Some(edit) = edit {
            edit.feed(event, &|| observer.as_ref().and_then(UsageObserver::usage), out);
        }
        let is_same = edit.is_none() || out[before..] == *event;
        if was_steady && end.is_some() && !says && is_same {
            self.event_template.learn(event);
        }
        event.len()
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
                let (last, gone) = edit.blocks.take();
                edit.block(
                    (&last, gone),
                    &|| observer.as_ref().and_then(UsageObserver::usage),
                    out,
                );
            }
            edit.release("unfinished", out);
        }
        &self.out
    }

    /// What was read, and what became of the footer; `None` if there was not to be one.
    pub(crate) fn finish(self) -> (Option<Reading>, Option<&'static str>) {
        let footer = self.edit.and_then(|edit| edit.footer);
        (self.observer.map(UsageObserver::finish), footer.map(|(stream, _)| stream.outcome()))
    }
}
