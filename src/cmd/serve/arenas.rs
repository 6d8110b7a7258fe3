//! glibc's memory under a limit on addresses.
//!
//! For each of eight threads a processor glibc reserves 64 MB of addresses, touched or not. Under
//! `ulimit -v` of 256 MB three threads take all there is, and the next small allocation ends the process.
//! One arena for all is set by a variable that is read before the program begins, so it begins again.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, getrlimit};

use crate::config::Environment;

const VARIABLE: &str = "MALLOC_ARENA_MAX";
/// Room for all arenas of sixteen processors, in bytes.
const ENOUGH: u64 = 8 << 30;

/// Starts this very process again with one arena, where addresses are short and nothing else is set.
pub(super) fn share_one(around: &Environment) {
    let is_short = getrlimit(Resource::As).current.is_some_and(|bytes| bytes < ENOUGH);
    if cfg!(target_env = "gnu") && is_short && around.variable(VARIABLE).is_none() {
        let mut all = env::args_os();
        if let (Some(name), Ok(program)) = (all.next(), env::current_exe()) {
            // It returns only where that cannot be done, and then it must do without.
            let _ = Command::new(program).arg0(name).args(all).env(VARIABLE, "1").exec();
        }
    }
}
