//! The number of threads that candle's own products use, and what its errors say, set once.
#![allow(unsafe_code, reason = "the environment of the process")]

const THREADS: &str = "RAYON_NUM_THREADS";
const BACKTRACES: &str = "RUST_LIB_BACKTRACE";

/// Sets the environment variable `RAYON_NUM_THREADS` to the number of threads, unless it is set
/// already.
///
/// The value is the one that rayon uses by default. If the variable is not set, candle 0.11 counts
/// the cores again for every product of plain tensors, by reading and parsing `/proc/cpuinfo`:
/// about 580 times in each of twenty steps of the text encoder's training, which is 7 to 9 % of the
/// time on two cores. The file is longer on larger machines.
///
/// Also sets `RUST_LIB_BACKTRACE` to 0, unless it is set: with `RUST_BACKTRACE=1` candle would append
/// some 25 lines to the text of each of its errors. Panics still have their backtrace.
///
/// A program calls this once, at the beginning of `main`. If the process already has other threads,
/// nothing is changed, nor on systems other than Linux, where candle reads no such file. Returns whether the variable is set now.
pub fn tell_candle() -> bool {
    let tasks = || std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
    let alone = cfg!(target_os = "linux") && tasks();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (name, value) in [(THREADS, threads.to_string()), (BACKTRACES, "0".to_owned())] {
        if alone && std::env::var_os(name).is_none() {
            // SAFETY: the process has no other thread that could read the environment at the same
            // time.
            unsafe {
                std::env::set_var(name, value);
            }
        }
    }
    std::env::var_os(THREADS).is_some()
}

#[cfg(test)]
mod tests {
    /// Tests run beside other threads, which share the environment.
    #[test]
    fn with_other_threads_nothing_is_changed() {
        let before = std::env::var_os("RAYON_NUM_THREADS");
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(super::tell_candle(), before.is_some()));
        });
        assert_eq!(std::env::var_os("RAYON_NUM_THREADS"), before);
    }
}
