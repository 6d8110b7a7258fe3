//! How long the proxy waits for whom: the deadlines of connections and threads, in one table.
//!
//! They free what is dead, and are no settings: the client's patience decides, and its leaving is
//! watched. The process takes them once, at its start. A debug build, which is what the tests run, then
//! takes other values from a variable, as milliseconds (`body=3000 keep_alive=2000`), so that the test
//! of a minute's silence does not last one. A release has no way in.

use std::sync::OnceLock;
use std::time::Duration;

use crate::config::TEST_VARIABLE;
use crate::error::Error;

static DEADLINES: OnceLock<Deadlines> = OnceLock::new();

macro_rules! deadlines {
    ($($(#[$why:meta])* $name:ident: $milliseconds:literal,)*) => {
        #[derive(Clone, Copy)]
        pub(crate) struct Deadlines {
            $($(#[$why])* pub(crate) $name: Duration,)*
        }

        impl Deadlines {
            const DEFAULT: Deadlines =
                Deadlines { $($name: Duration::from_millis($milliseconds),)* };

            fn field(&mut self, name: &str) -> Option<&mut Duration> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

deadlines! {
    /// From a head's first byte to its last.
    head: 10_000,
    /// Between two pieces of a body, and for memory to become free.
    body: 30_000,
    /// Between two pieces of a body while others wait for its memory.
    body_contended: 2_000,
    /// Between two pieces of what goes to the provider as it comes.
    upload: 30_000,
    /// Between two requests.
    keep_alive: 75_000,
    /// For a worker to become free, which streams may not be for minutes.
    queue: 10_000,
    /// For a client to take a refusal, or to send a body that nobody wants.
    linger: 5_000,
    /// For all of such a body.
    discard: 30_000,
    /// For a client to take anything of its answer.
    write: 60_000,
    /// For requests in flight to finish after the first SIGTERM.
    drain: 30_000,
    /// For a worker without work to get some; then it ends.
    worker: 10_000,
    /// For an idle connection to a provider to be of use; providers close older ones.
    upstream_idle: 60_000,
    /// Of silence from a provider until the kernel asks whether the path lives; in whole seconds.
    path_silent: 60_000,
    /// Until it asks again; in whole seconds.
    path_again: 15_000,
    /// For what was sent to a provider to be acknowledged.
    path: 60_000,
}

pub(crate) fn deadlines() -> &'static Deadlines {
    DEADLINES.get().unwrap_or(&Deadlines::DEFAULT)
}

/// Before anything waits: other values, in a debug build.
pub(crate) fn replace(text: &str) -> Result<(), Error> {
    let replaced = parse(text).ok_or_else(|| {
        Error::config(vec![format!("environment: {TEST_VARIABLE}: not deadlines: {text}")])
    })?;
    DEADLINES.get_or_init(|| replaced);
    Ok(())
}

fn parse(text: &str) -> Option<Deadlines> {
    let mut deadlines = Deadlines::DEFAULT;
    for word in text.split(' ') {
        let (name, value) = word.split_once('=')?;
        *deadlines.field(name)? = Duration::from_millis(value.parse().ok()?);
    }
    Some(deadlines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests replace them; so these are proved here, in seconds, as documents and manual name them.
    #[test]
    fn deadlines_are_those_that_are_promised() {
        let mut table = *deadlines();
        for (name, seconds) in [
            ("head", 10),
            ("body", 30),
            ("body_contended", 2),
            ("upload", 30),
            ("keep_alive", 75),
            ("queue", 10),
            ("linger", 5),
            ("discard", 30),
            ("write", 60),
            ("drain", 30),
            ("worker", 10),
            ("upstream_idle", 60),
            ("path_silent", 60),
            ("path_again", 15),
            ("path", 60),
        ] {
            assert_eq!(table.field(name), Some(&mut Duration::from_secs(seconds)), "{name}");
        }
        let pages =
            [include_str!("../../man/tokenpak.1"), include_str!("../../man/tokenpak-config.5")];
        let pages = pages.concat().replace('\n', " ");
        for promise in [
            "finish what is running within 30 seconds",
            "All workers were busy for ten seconds, or all memory for bodies was in use for thirty",
            "one that has waited for 30 seconds is",
        ] {
            assert!(pages.contains(promise), "{promise}");
        }
    }

    #[test]
    fn tests_may_set_others() {
        let set = parse("body=30 head=1500").unwrap();
        assert_eq!((set.body.as_millis(), set.head.as_millis()), (30, 1500));
        assert_eq!(set.linger, Deadlines::DEFAULT.linger);
        assert!(
            ["", "body", "body=", "body=3s", "nothing=3", "body=3,head=4"]
                .iter()
                .all(|text| parse(text).is_none())
        );
    }
}
