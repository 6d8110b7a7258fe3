//! Clocks, the corpus, numbers without a pattern, and how a cost grows.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::wire::Format;

/// A request body of the corpus.
pub(crate) struct Request {
    pub(crate) name: String,
    pub(crate) body: Vec<u8>,
    pub(crate) format: Format,
}

/// The corpus in the order of its names; empty if it is not there.
pub(crate) fn corpus() -> Vec<Request> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("TOKENPAK_CORPUS").map(PathBuf::from);
    let beside = ["../shared/corpus", "../../shared/corpus"].map(|folder| root.join(folder));
    let mut folders = named.into_iter().chain(beside);
    let entries = folders.find_map(|folder| folder.read_dir().ok()).into_iter().flatten();
    let read = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
        let body = std::fs::read(&path).ok()?;
        let format = Format::of_body(&body)?;
        Some(Request { name, body, format })
    };
    let mut corpus: Vec<Request> =
        entries.flatten().filter_map(|entry| read(entry.path())).collect();
    corpus.sort_by(|a, b| a.name.cmp(&b.name));
    corpus
}

/// Of this thread: what other programs do on the machine is left out.
pub(crate) fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Of all threads of this program.
pub(crate) fn process_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// The least processor time of several runs, and what the last of them gave.
pub(crate) fn best<T>(runs: usize, mut run: impl FnMut() -> T) -> (Duration, Option<T>) {
    let mut best = Duration::MAX;
    let mut last = None;
    for _ in 0..runs {
        let started = thread_time();
        last = Some(run());
        best = best.min(thread_time() - started);
    }
    (best, last)
}

/// The shortest of several runs by the clock: for what other threads or programs do.
pub(crate) fn quickest<T>(runs: usize, mut run: impl FnMut() -> T) -> Duration {
    let once = |run: &mut dyn FnMut() -> T| {
        let started = Instant::now();
        run();
        started.elapsed()
    };
    (0..runs).map(|_| once(&mut run)).min().unwrap_or_default()
}

/// The exponent of growth: how steeply the logarithm of the second value rises with that of the
/// first, by least squares.
pub(crate) fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
    let slope: f64 = logs.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    slope / logs.iter().map(|(x, _)| (x - x_mean).powi(2)).sum::<f64>()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Numbers without a pattern, the same in every run (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Random {
        Random(88_172_645_463_325_252)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % limit
    }
}
