//! What a conversation is sent as, and how that is written down.

use crate::compress::{Level, Mode};
use crate::ledger::{FORM_BYTES, SETTINGS_BYTES};
use crate::rewrite::{Plan, Reach};

/// The passes that make the texts. A release that changes what any of them writes gives them a new
/// number, and keeps the old ones for conversations that have begun with them.
const PASSES_VERSION: u8 = 1;

const NEVER: u32 = u32::MAX;

const JSON: u8 = 1;
const CODE: u8 = 2;
/// Its history came from elsewhere.
const FOREIGN: u8 = 4;
/// The provider did not take what was made of it.
const REFUSED: u8 = 8;

/// Its history was sent as it came, which was not how it had been sent before.
const ANEW: u8 = 16;
/// Its form was changed once, as thoughts were left out: what was thought in between fits none.
const CHANGED: u8 = 32;

/// Messages are counted from the front of the conversation, instructions apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    mode: Mode,
    level: Level,
    flags: u8,
    threshold: u32,
    floor: u32,
    /// So many messages were sent as they came.
    from: u32,
    /// So many messages of a conversation in which nothing was cut yet have been sent.
    known: u32,
    /// Nothing is cut behind so many.
    until: u32,
    /// The text that was the first to be cut, counted from 1, and the tokens that were sent before it;
    /// 0: none was yet.
    began: u32,
    at: u32,
}

impl Form {
    pub(super) fn new(plan: Plan) -> Form {
        let flags =
            if plan.preserve_json { JSON } else { 0 } | if plan.preserve_code { CODE } else { 0 };
        Form {
            mode: plan.mode,
            level: plan.level,
            flags,
            threshold: whole(plan.threshold),
            floor: NEVER,
            from: 0,
            known: 0,
            until: NEVER,
            began: 0,
            at: 0,
        }
    }

    pub(super) fn as_it_came(plan: &Plan, is_refused: bool) -> Form {
        let form = Form::new(Plan { mode: Mode::Off, ..*plan });
        Form { flags: form.flags | if is_refused { REFUSED } else { 0 }, ..form }
    }

    /// For a history that may have been sent by us, but was taken for another's.
    pub(super) fn anew(plan: Plan) -> Form {
        let form = Form::new(plan);
        Form { flags: form.flags | ANEW | CHANGED, ..form }
    }

    pub(super) fn began(&self) -> Option<u32> {
        (self.began > 0).then_some(self.began)
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.flags & FOREIGN != 0
    }

    pub(super) fn is_changed(&self) -> bool {
        self.flags & CHANGED != 0
    }

    pub(super) fn is_refused(&self) -> bool {
        self.flags & REFUSED != 0
    }

    /// So many messages have been sent elsewhere, and stay as they came.
    pub(super) fn leave(&mut self, messages: u32, is_foreign: bool) {
        self.from = self.from.max(messages);
        self.flags |= if is_foreign { FOREIGN } else { 0 };
    }

    /// So many messages have been sent in this form. Where compression is off by now, no more is cut.
    pub(super) fn go_on(&mut self, messages: u32, is_off: bool) {
        self.known = if self.flags & ANEW == 0 { messages } else { 0 };
        self.flags &= !ANEW;
        if is_off && self.mode != Mode::Off {
            self.until = self.until.min(messages);
        }
    }

    /// Where cutting began, once it has.
    pub(super) fn began_at(&mut self, began: Option<(u32, u64)>, floor: Option<u64>) {
        if self.floor == NEVER {
            self.floor = floor.map_or(NEVER, whole);
        }
        if let (0, Some((began, at))) = (self.began, began) {
            (self.began, self.at) = (began, whole(at));
        }
    }

    /// As a plan for a body in which a count of messages ends where `end` says.
    pub(super) fn plan(&self, end: impl Fn(u32) -> u64) -> Plan {
        let has = |flag| self.flags & flag != 0;
        let began = self.began().map(|began| (began, u64::from(self.at)));
        let is_open = self.until == NEVER;
        Plan {
            mode: self.mode,
            level: self.level,
            threshold: u64::from(self.threshold),
            preserve_json: has(JSON),
            preserve_code: has(CODE),
            reach: Reach {
                from: end(self.from),
                known: if began.is_none() { end(self.known) } else { 0 },
                until: if is_open { u64::MAX } else { end(self.until) },
                began,
                floor: (self.floor != NEVER).then_some(u64::from(self.floor)),
            },
        }
    }

    pub(super) fn bytes(&self) -> [u8; FORM_BYTES] {
        let mut bytes = [0; FORM_BYTES];
        bytes[..4].copy_from_slice(&[
            PASSES_VERSION,
            self.mode as u8,
            self.level as u8,
            self.flags,
        ]);
        let numbers = [self.threshold, self.floor, self.from, self.until, self.began, self.at];
        for (place, number) in bytes[4..].chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Whether one that begins with these bytes is of other settings than these. One that stays as it came is
    /// of none.
    pub(super) fn is_of_others(settings: [u8; SETTINGS_BYTES], plan: &Plan) -> bool {
        let mut present = Form::new(*plan).bytes();
        let [.., flags, _, _, _, _] = settings;
        present[3] |= flags & !(JSON | CODE);
        flags & REFUSED == 0 && present[..SETTINGS_BYTES] != settings
    }

    /// `None`: of passes that this program does not have.
    pub(super) fn read(bytes: &[u8; FORM_BYTES]) -> Option<Form> {
        let [version, mode, level, flags, ..] = *bytes;
        let (words, _) = bytes[4..].as_chunks::<4>();
        let number = |at: usize| words.get(at).map_or(0, |word| u32::from_le_bytes(*word));
        Some(Form {
            mode: *MODES.get(usize::from(mode)).filter(|_| version == PASSES_VERSION)?,
            level: *LEVELS.get(usize::from(level))?,
            flags,
            threshold: number(0),
            floor: number(1),
            from: number(2),
            known: 0,
            until: number(3),
            began: number(4),
            at: number(5),
        })
    }
}

const MODES: [Mode; 4] = [Mode::Off, Mode::Strict, Mode::Hybrid, Mode::Aggressive];
const LEVELS: [Level; 3] = [Level::Light, Level::Balanced, Level::Aggressive];

/// No prompt has so many tokens.
fn whole(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (mode, level) in MODES.into_iter().zip(LEVELS.into_iter().cycle()) {
            for (number, preserve_json) in [(0, false), (7, true), (NEVER - 1, false)] {
                let plan =
                    Plan { level, preserve_json, threshold: number.into(), ..Plan::of(mode) };
                let mut form = Form::new(plan);
                form.leave(number, preserve_json);
                form.began_at((number > 0).then_some((number, 5)), Some(1024));
                form.go_on(number, preserve_json);
                let form = Form { known: 0, ..form };
                assert_eq!(Form::read(&form.bytes()), Some(form));
            }
        }
        let mut bytes = Form::new(Plan::of(Mode::Hybrid)).bytes();
        bytes[0] += 1;
        assert_eq!(Form::read(&bytes), None, "of other passes");
    }
}
