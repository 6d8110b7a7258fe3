//! A model that works through a small task with whatever tools its client has.
//!
//! Ten steps and a closing word. Which one is next is told by the number of tool results in the
//! request's history, never by their text: that may have become shorter on its way. The same request
//! gets the same answer, ids included, however often and by whatever way it comes. A request that
//! offers no tool (a title, a summary, a probe) is answered in a sentence.

mod project;
mod request;
mod steps;
mod tools;

pub(crate) use project::EDITED;
pub(crate) use steps::CLOSING;

use super::answers::Ask;
use super::dialects::{Dialect, Turn};
use super::script::Billed;
use request::Request;
use std::path::{Path, PathBuf};

/// What a request that is no part of the task gets.
const ASIDE: &str = "Raise the limit of records";

/// The task, and where its project lies.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// An absolute path, as many tools want them.
    project: PathBuf,
}

impl Session {
    /// Writes the project afresh; the client is to work in this directory.
    pub(crate) fn create(project: &Path) -> Session {
        project::create(project);
        Session { project: std::fs::canonicalize(project).unwrap() }
    }

    pub(super) fn turn(&self, ask: &Ask) -> Turn {
        let request = Request::of(ask.dialect, &ask.request);
        let mut turn = Turn {
            model: ask.model.clone(),
            // Ids of the task are its steps', others lie above them.
            number: 1000 + request.items,
            thinking: None,
            words: words(ASIDE),
            call: None,
            billed: billed(ask, &request),
            tells_usage: ask.include_usage,
        };
        if request.edit_blocks {
            turn.words = words(&steps::edit_blocks());
        } else if let Some(step) = steps::STEPS.get(request.results) {
            let Some(call) = steps::call(step, &request.tools, &self.project) else {
                turn.billed.output = output(&turn);
                return turn;
            };
            turn.number = request.results;
            turn.words = words(step.words);
            turn.thinking = request.thinking.then(|| step.thought.to_owned());
            turn.call = Some(call);
        } else if !request.tools.is_empty() {
            turn.words = words(steps::CLOSING);
        }
        turn.billed.output = output(&turn);
        if turn.thinking.is_some() && ask.dialect != Dialect::Messages {
            turn.billed.reasoning = turn.billed.output / 3;
        }
        turn
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

/// A token for four bytes; what stood in the request before is read from the cache.
fn billed(ask: &Ask, request: &Request) -> Billed {
    let input = (ask.body.len() as u64 / 4).max(1);
    let fresh = (request.fresh_bytes as u64 / 4).min(input);
    let cache_read = input - fresh;
    // Only one of the dialects has writes; there, the last few tokens are never cached.
    let cache_write = if ask.dialect == Dialect::Messages { fresh - fresh.min(4) } else { 0 };
    Billed { input, cache_read, cache_write, cache_write_1h: 0, output: 0, reasoning: 0 }
}

fn output(turn: &Turn) -> u64 {
    let call = turn.call.as_ref().map_or(0, |call| call.input.text().len());
    let thinking = turn.thinking.as_ref().map_or(0, String::len);
    (turn.text().len() + thinking + call) as u64 / 4 + 3
}
