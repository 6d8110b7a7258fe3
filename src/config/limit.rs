//! How much memory this process may take, and the defaults that follow from it.
//!
//! The kernel ends a process that takes more than its control group may have, and fails what goes beyond
//! a limit on address space; it refuses nothing gently. So the defaults leave room, and what the user says
//! himself is taken as it is. Files as in cgroups(7), proc_pid_cgroup(5) and proc_pid_mountinfo(5).

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::{Loader, Origin, SETTINGS};

/// The smallest of the limits, and what sets it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Limit {
    bytes: u64,
    by: &'static str,
}

/// Files of a control group that say a limit, of either version. Beyond `high` a process is slowed down.
const FILES: [&str; 3] = ["memory.max", "memory.high", "memory.limit_in_bytes"];

const MB: u64 = 1024 * 1024;

/// What a worker takes when it has a stream, with its buffers.
const WORKER_BYTES: u64 = 160 * 1024;

/// Limits of this process; `None` if nothing but the machine limits it.
pub(super) fn of_process() -> Option<Limit> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let groups = of_groups(&read);
    let resource = |resource, by| Some(Limit { bytes: getrlimit(resource).current?, by });
    let all = [
        groups,
        resource(Resource::As, "the limit on address space"),
        resource(Resource::Data, "the limit on data"),
    ];
    all.into_iter().flatten().min_by_key(|limit| limit.bytes)
}

/// The smallest limit of the group that this process is in, and of all above it.
fn of_groups(read: &dyn Fn(&Path) -> Option<String>) -> Option<Limit> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mounts = read(Path::new("/proc/self/mountinfo"))?;
    let bytes = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (top, group) = mounts.lines().find_map(|mount| place(mount, controllers, path))?;
        smallest(&top, &group, read)
    });
    bytes.min().map(|bytes| Limit { bytes, by: "the control group's limit" })
}

/// Where a group is in the file system: the mount's own directory, and the group's.
fn place(mount: &str, controllers: &str, path: &str) -> Option<(PathBuf, PathBuf)> {
    let (place, kind) = mount.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let (kind, options) = (kind.next()?, kind.nth(1)?);
    let is_it = match controllers {
        "" => kind == "cgroup2",
        all => {
            let has_memory = |list: &str| list.split(',').any(|word| word == "memory");
            kind == "cgroup" && has_memory(all) && has_memory(options)
        }
    };
    let mut place = place.split(' ').skip(3);
    let (root, top) = (place.next()?, PathBuf::from(place.next()?));
    // In a container a part of the tree may be mounted, or the path be out of sight.
    let below = Path::new(path).strip_prefix(root).ok().filter(|_| !path.contains("/.."));
    let group = top.join(below.unwrap_or(Path::new("")));
    is_it.then_some((top, group))
}

fn smallest(top: &Path, group: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    /// Version 1 says no limit by a number of this size.
    const BYTES_MAX: u64 = 1 << 60;
    let groups = group.ancestors().take_while(|place| place.starts_with(top));
    let files = groups.flat_map(|place| FILES.map(|name| place.join(name)));
    let limits = files.filter_map(|file| read(&file)?.trim().parse().ok());
    limits.filter(|bytes| *bytes < BYTES_MAX).min()
}

impl Limit {
    /// What the settings are at most if nobody says otherwise, each at least what works at all.
    ///
    /// An eighth is for bodies: the work on them takes up to three times as much, and they come as fast as
    /// the machine's loopback. A quarter is for workers with streams. The rest is for the program, the
    /// database and what the C library does not give back.
    pub(super) fn defaults(&self) -> [(&'static str, u64); 3] {
        [
            ("proxy.workers", (self.bytes / 4 / WORKER_BYTES).max(16)),
            ("proxy.body_memory_mb", (self.bytes / 8 / MB).max(1)),
            ("compression.memo_mb", self.bytes / 32 / MB),
        ]
    }
}

impl Loader {
    /// Lowers the defaults that a limit leaves no room for.
    pub(super) fn fit(&mut self, limit: Option<Limit>) {
        let Some(limit) = limit else { return };
        let home = self.home.clone();
        for (key, value) in limit.defaults() {
            let usual = SETTINGS.iter().find(|setting| setting.key == key);
            let usual = usual.and_then(|setting| setting.default.parse().ok());
            if usual.is_some_and(|usual| value < usual) {
                self.set(key, &value.to_string(), Origin::Limit(limit.to_string()), &home);
            }
        }
    }
}

/// `the control group's limit of 64 MB`
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} MB", self.by, self.bytes / MB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct";
    const DOCKER: &str =
        "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";

    #[test]
    fn the_smallest_limit_of_the_group_and_those_above_it_counts() {
        let unit = "0::/system.slice/tokenpak.service\n";
        let max = "/sys/fs/cgroup/system.slice/tokenpak.service/memory.max";
        let above = "/sys/fs/cgroup/system.slice/memory.max";
        let high = "/sys/fs/cgroup/system.slice/tokenpak.service/memory.high";
        let memory = "/sys/fs/cgroup/memory/x/y/memory.limit_in_bytes";
        for (groups, mounts, files, want) in [
            (unit, V2, &[(max, "67108864\n")][..], Some(64)),
            (unit, V2, &[(max, "67108864\n"), (above, "33554432\n")], Some(32)),
            (unit, V2, &[(max, "max\n"), (above, "33554432\n")], Some(32)),
            (unit, V2, &[(max, "67108864\n"), (high, "16777216")], Some(16)),
            (unit, V2, &[(max, "max\n"), (high, "max\n")], None),
            (unit, V2, &[(max, "nonsense")], None),
            (unit, V2, &[], None),
            (unit, "", &[(max, "67108864")], None),
            // Its own name space: the mount is the group.
            ("0::/\n", V2, &[("/sys/fs/cgroup/memory.max", "67108864")], Some(64)),
            ("0::/../other\n", V2, &[("/sys/fs/cgroup/memory.max", "67108864")], Some(64)),
            ("4:memory:/x/y\n0::/\n", V1, &[(memory, "134217728")], Some(128)),
            ("4:memory:/x/y\n", V1, &[(memory, "9223372036854771712")], None),
            ("5:cpu,cpuacct:/x/y\n", V1, &[(memory, "134217728")], None),
            (
                "4:memory:/docker/abc/sub\n",
                DOCKER,
                &[("/sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864")],
                Some(64),
            ),
            (
                "4:memory:/docker/abc\n",
                DOCKER,
                &[("/sys/fs/cgroup/memory.limit_in_bytes", "67108864")],
                None,
            ),
            ("", V2, &[], None),
        ] {
            let read = |path: &Path| match path.to_str() {
                Some("/proc/self/cgroup") => Some(groups.to_owned()),
                Some("/proc/self/mountinfo") => Some(mounts.to_owned()),
                name => {
                    let file = files.iter().find(|(file, _)| Some(*file) == name);
                    file.map(|(_, text)| (*text).to_owned())
                }
            };
            let found = of_groups(&read).map(|limit| limit.bytes / MB);
            assert_eq!(found, want, "{groups:?} {files:?}");
        }
        assert_eq!(of_groups(&|_| None), None);
    }

    #[test]
    fn defaults_follow_from_the_limit() {
        for (megabytes, want) in [
            (16, [25, 2, 0]),
            (64, [102, 8, 2]),
            (128, [204, 16, 4]),
            (512, [819, 64, 16]),
            (4096, [6553, 512, 128]),
            (0, [16, 1, 0]),
        ] {
            let limit = Limit { bytes: megabytes * MB, by: "" };
            assert_eq!(limit.defaults().map(|(_, value)| value), want, "{megabytes}");
        }
    }
}
