//! A conversation keeps the form in which its beginning was sent.
//!
//! Providers cache prompts by their bytes, and Claude's newest models refuse a history whose bytes
//! have changed. So with each request the digest of its messages is remembered together with the form
//! that they were sent in, and the next turn, which begins with them, goes on in that form, whatever
//! the settings say by then. Digests are keyed and of messages and credential only: system prompts,
//! tools and models change in mid-conversation. To forget a form costs cache, never an answer: a
//! history that nobody knows stays as it came where anything could be lost.

mod chain;
mod form;
mod key;
mod owner;

pub(crate) use chain::is_bound;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::compress::Mode;
use crate::ledger::{self, Ledger};
use crate::rewrite::{Plan, Rewritten, Skip};
use crate::tokens::Digest;
use crate::wire::Format;
use chain::Chain;
use form::Form;
pub(crate) use owner::{ACCOUNT_HEADERS, is_lasting};

/// Forms in memory, one for each message; the others are in the database. They take a quarter of a
/// megabyte.
const FORMS_MAX: usize = 2048;

/// Of a history that is not known yet, so many messages are remembered.
const LINKS_MAX: usize = 256;

/// How many messages of conversations the database knows the form of, and how many of them in a form of
/// other settings than these.
pub(crate) fn count(database: &Path, plan: &Plan) -> (u64, u64) {
    ledger::forms(database).into_iter().fold((0, 0), |(all, old), (settings, count)| {
        let is_old = Form::is_of_others(settings, plan);
        (all + count, old + if is_old { count } else { 0 })
    })
}

/// Forms of the conversations of late.
pub(crate) struct Forms {
    digest: Digest,
    /// Whether the key outlives this process; else the database is of no use.
    is_lasting: bool,
    /// Whether anything was ever sent cut, as far as this process knows.
    has_cut: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    forms: HashMap<u128, (Form, u64)>,
    /// Counts uses.
    clock: u64,
}

/// Whose request this is, and what the settings say.
pub(crate) struct Ask<'a> {
    pub(crate) format: Format,
    pub(crate) body: &'a [u8],
    /// See `Forms::owner`.
    pub(crate) owner: u128,
    pub(crate) present: Plan,
    /// Nothing new is changed on this route.
    pub(crate) is_paused: bool,
    /// History that is not known was sent by a peer with the same settings.
    pub(crate) is_shared: bool,
}

/// One request of a conversation.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    chain: Chain,
    form: Form,
    /// The settings, for a history that may be ours and was forgotten.
    present: Plan,
    /// So many messages of it are known.
    known: usize,
}

impl Forms {
    /// With the key that lies beside the database, which is made where it is missing.
    pub(crate) fn new(database: &Path, random: impl Fn() -> u64) -> Forms {
        let (digest, is_lasting) = key::open(database, random);
        let (has_cut, held) = Default::default();
        Forms { digest, is_lasting, has_cut, held }
    }

    /// Whether a request with compression off may have to go on in a form.
    pub(crate) fn may_have_cut(&self, ledger: &Ledger) -> bool {
        self.has_cut.load(Ordering::Relaxed) || self.is_lasting && ledger.has_forms()
    }

    /// By what those are told apart who bring these credentials.
    pub(crate) fn owner<'a>(&self, credentials: impl Iterator<Item = &'a [u8]>) -> u128 {
        // The state to begin with.
        credentials.fold(1, |state, name| self.digest.after(state, name))
    }

    /// In which form a request goes on; `None` if its messages are not understood.
    pub(crate) fn turn(&self, ledger: &Ledger, ask: Ask) -> Option<Turn> {
        let body = std::str::from_utf8(ask.body).ok()?;
        let chain = Chain::read(&self.digest, ask.owner, ask.format, body)?;
        let known = match chain.history {
            // A first message begins a conversation, though another one may have begun with it. But
            // what was refused is not tried again.
            0 => self.find_held(&chain).filter(|(form, _)| form.is_refused()),
            _ => self.find_held(&chain).or_else(|| self.find_written(ledger, &chain)),
        };
        let mut form = match &known {
            Some((form, _)) => *form,
            None if ask.is_paused => Form::as_it_came(&ask.present, true),
            None => Form::new(ask.present),
        };
        let length = known.map_or(0, |(_, length)| length);
        let is_left = form.began().is_none() && !ask.is_shared;
        if is_left && chain.has_more_behind(length) && chain::is_at_stake(body) {
            form.leave(chain.history as u32, known.is_none());
        }
        form.go_on(length as u32, ask.present.mode == Mode::Off);
        let present = ask.present;
        Some(Turn { chain, form, present, known: length })
    }

    /// The form of the longest beginning that is in memory, and how many messages that has.
    fn find_held(&self, chain: &Chain) -> Option<(Form, usize)> {
        let mut held = self.held();
        held.clock += 1;
        let now = held.clock;
        (1..=chain.links.len()).rev().find_map(|length| {
            let (form, used) = held.forms.get_mut(&chain.links[length - 1].key)?;
            *used = now;
            Some((*form, length))
        })
    }

    /// The same of the database.
    fn find_written(&self, ledger: &Ledger, chain: &Chain) -> Option<(Form, usize)> {
        if !self.is_lasting {
            return None;
        }
        let mut keys = chain.links.iter().rev().map(|link| link.key);
        let (back, bytes) = ledger.form(&mut keys)?;
        Some((Form::read(&bytes)?, chain.links.len() - back))
    }

    /// Remembers what a request is sent as, before it is sent.
    pub(crate) fn keep(&self, ledger: &Ledger, turn: &mut Turn, rewritten: Option<&Rewritten>) {
        if let Some(rewritten) = rewritten {
            turn.form.began_at(rewritten.began, rewritten.floor);
        }
        if turn.form.began().is_some() {
            self.has_cut.store(true, Ordering::Relaxed);
        }
        // All that it begins with has been sent so, too: clients go back, and change their last message.
        let new = turn.chain.links.len().saturating_sub(turn.known).max(1);
        let links = turn.chain.links.iter().rev().take(new.min(LINKS_MAX));
        let mut held = self.held();
        held.clock += 1;
        let now = held.clock;
        for key in links.map(|link| link.key) {
            let old = held.forms.insert(key, (turn.form, now));
            if self.is_lasting && old.is_none_or(|(form, _)| form.bytes() != turn.form.bytes()) {
                ledger.keep_form(key, turn.form.bytes());
            }
        }
        if held.forms.len() > FORMS_MAX {
            held.forget_oldest();
        }
    }

    /// The provider has taken the client's own bytes, and not what was made of them.
    pub(crate) fn refused(&self, ledger: &Ledger, turn: &mut Turn) {
        turn.form = Form::as_it_came(&turn.present, true);
        turn.known = 0;
        self.keep(ledger, turn, None);
    }

    /// The provider has taken what was sent, but has left out thoughts that did not fit it.
    pub(crate) fn dropped(&self, ledger: &Ledger, remedy: Remedy) {
        let Remedy { key, form } = remedy;
        let mut held = self.held();
        held.clock += 1;
        let now = held.clock;
        held.forms.insert(key, (form, now));
        if self.is_lasting {
            ledger.keep_form(key, form.bytes());
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The form in which a conversation goes on if the provider leaves out thoughts of it.
#[derive(Clone, Copy)]
pub(crate) struct Remedy {
    key: u128,
    form: Form,
}

impl Held {
    /// A quarter at once: to look for the oldest takes a walk through all.
    fn forget_oldest(&mut self) {
        let mut uses: Vec<u64> = self.forms.values().map(|(_, used)| *used).collect();
        let at = uses.len() / 4;
        let (_, last, _) = uses.select_nth_unstable(at);
        self.forms.retain(|_, (_, used)| *used > *last);
    }
}

impl Turn {
    /// What may be done to this request.
    pub(crate) fn plan(&self) -> Plan {
        self.form.plan(|length| match length {
            0 => 0,
            length => {
                self.chain.links.get(length as usize - 1).map_or(u64::MAX, |link| link.number)
            }
        })
    }

    /// Whether anything of it was sent cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.form.began().is_some()
    }

    /// What the conversation is told by among others of the route.
    pub(crate) fn name(&self) -> u128 {
        self.chain.links.first().map_or(0, |link| link.key)
    }

    /// The reason why nothing was saved, as far as the form is one.
    pub(crate) fn skip(&self, skip: Option<Skip>) -> Option<Skip> {
        let skip = skip?;
        match skip {
            Skip::Off | Skip::BelowThreshold | Skip::NothingToGain if self.form.is_refused() => {
                Some(Skip::Refused)
            }
            _ if self.present.mode == Mode::Off => Some(Skip::Off),
            Skip::BelowThreshold | Skip::NothingToGain if self.form.is_foreign() => {
                Some(Skip::UnknownHistory)
            }
            skip => Some(skip),
        }
    }

    /// What to do if the provider leaves out thoughts: as after a refusal, but from the next turn on, since
    /// the answer is given. `None`: nothing of it is our doing.
    pub(crate) fn remedy(&self) -> Option<Remedy> {
        let key = self.chain.links.last()?.key;
        let form = match () {
            () if self.form.is_changed() => return None,
            () if self.known == 0 && self.form.is_foreign() => Form::anew(self.present),
            () if self.form.began().is_some() => Form::as_it_came(&self.present, true),
            () => return None,
        };
        Some(Remedy { key, form })
    }

    /// The same request as if its history had been sent by us, if nobody knows how it was sent.
    pub(crate) fn as_if_ours(&self) -> Option<Turn> {
        let is_foreign = self.known == 0 && self.form.is_foreign();
        is_foreign.then(|| Turn { form: Form::new(self.present), ..self.clone() })
    }
}
