//! The limit on what a text may become on the way back, and on the work for it.
//!
//! A text may say anything, also that it stands for a thousand times its length. Whoever checks what was
//! made of a text knows how long that was, and whoever asks for the way back says how much he wants: beyond
//! that nothing is written, and what is read in vain counts as well.

/// Work for each byte that may be written: what all passes read of other texts, and look up. Blank lines
/// that are copied without their numbers cost most, about ten.
const WORK_PER_BYTE: usize = 16;

/// What may be written for a moment beyond that, in bytes: the key of a member that turns out to be absent.
const SLACK_BYTES: usize = 1024;

pub(super) struct Budget {
    /// The most that a text may become, in bytes.
    bytes_max: usize,
    work: usize,
    is_spent: bool,
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Budget {
        let bytes_max = bytes_max.saturating_add(SLACK_BYTES);
        Budget { bytes_max, work: bytes_max.saturating_mul(WORK_PER_BYTE), is_spent: false }
    }

    /// Room for a text that is made from one of so many bytes.
    pub(super) fn room(&self, bytes: usize) -> String {
        String::with_capacity(bytes.min(self.bytes_max))
    }

    /// Adds to a text that is being written.
    pub(super) fn push(&mut self, out: &mut String, text: &str) -> Option<()> {
        self.take(out.len(), text.len())?;
        out.push_str(text);
        Some(())
    }

    /// Sees to it that a text of so many bytes may have so many more.
    pub(super) fn take(&mut self, written: usize, more: usize) -> Option<()> {
        self.is_spent |= more > self.bytes_max.saturating_sub(written);
        self.spend(more)
    }

    /// Work that writes nothing.
    pub(super) fn spend(&mut self, work: usize) -> Option<()> {
        match self.work.checked_sub(work).filter(|_| !self.is_spent) {
            Some(left) => self.work = left,
            None => self.is_spent = true,
        }
        (!self.is_spent).then_some(())
    }

    /// Whether it was not enough: then nothing is known of the text.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent
    }
}
