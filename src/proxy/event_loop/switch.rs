//! Tells debug mode when its switch may have changed, so that no request has to look.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::debug::Debug;

/// Of its events in the event loop's epoll.
pub(super) const TOKEN: u64 = u64::MAX - 17;

/// Hears of every file that comes to the home or goes from it. Writing to one is not heard of, or
/// the log would ring it.
pub(super) struct Switch(File);

impl Switch {
    /// `None` where the system has none to give; then each request looks for itself.
    pub(super) fn watch(epoll: &OwnedFd, debug: &Debug) -> Option<Switch> {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        let comes = WatchFlags::CREATE | WatchFlags::MOVED_TO;
        let goes = WatchFlags::DELETE | WatchFlags::MOVED_FROM;
        inotify::add_watch(&watch, debug.home(), comes | goes).ok()?;
        epoll::add(epoll, &watch, EventData::new_u64(TOKEN), EventFlags::IN).ok()?;
        debug.refresh();
        Some(Switch(watch.into()))
    }

    /// Something has changed. This comes before the requests that were sent after it.
    pub(super) fn apply_to(&self, debug: &Debug) {
        // What has changed does not matter; a whole event fits.
        let mut events = [0; 4096];
        while (&self.0).read(&mut events).is_ok_and(|count| count > 0) {}
        debug.refresh();
    }
}
