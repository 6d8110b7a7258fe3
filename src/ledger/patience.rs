//! Work that may take long says so, to a person at a terminal and to nobody else.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc;
use std::time::Duration;

/// A person wonders after about this long.
const SILENCE: Duration = Duration::from_secs(1);

/// Does the work; if it is not done after a second, a line on the terminal says what it is.
pub(super) fn while_waiting<T>(what: &str, work: impl FnOnce() -> T) -> T {
    match io::stderr().is_terminal() {
        true => announced(what, SILENCE, &mut io::stderr(), work),
        false => work(),
    }
}

fn announced<T>(
    what: &str,
    silence: Duration,
    out: &mut (impl Write + Send),
    work: impl FnOnce() -> T,
) -> T {
    std::thread::scope(|scope| {
        let (done, over) = mpsc::channel::<()>();
        scope.spawn(move || {
            if over.recv_timeout(silence) == Err(mpsc::RecvTimeoutError::Timeout) {
                // A terminal that is gone is no reason to stop.
                let _ = writeln!(out, "tokenpak: note: {what}; this can take a minute");
            }
        });
        let result = work();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_work_is_announced() {
        let mut said = Vec::new();
        assert_eq!(announced("counting", Duration::from_secs(60), &mut said, || 7), 7);
        assert_eq!(said, b"");
        // The announcement itself ends the work, so that no clock decides.
        let (heard, hear) = mpsc::channel();
        struct Ear(Vec<u8>, mpsc::Sender<()>);
        impl Write for Ear {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.extend_from_slice(bytes);
                if bytes.ends_with(b"\n") {
                    let _ = self.1.send(());
                }
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut ear = Ear(Vec::new(), heard);
        announced("counting", Duration::from_millis(1), &mut ear, || hear.recv().unwrap());
        assert_eq!(ear.0, b"tokenpak: note: counting; this can take a minute\n");
    }
}
