//! The number of threads that candle's own products use, set once.

/// Sets the environment variable `RAYON_NUM_THREADS` to the number of threads, unless it is set
/// already.
///
/// The value is the one that rayon uses by default. If the variable is not set, candle 0.11 counts
/// the cores again for every product of plain tensors, by reading and parsing `/proc/cpuinfo`:
/// about 580 times in each of twenty steps of the text encoder's training, which is 7 to 9 % of the
/// time on two cores. The file is longer on larger machines.
///
/// A program calls this once, at the beginning of `main`. If the process already has other threads,
/// nothing is changed. Returns whether the variable is set now.
pub fn tell_candle() -> bool {
    const NAME: &str = "RAYON_NUM_THREADS";
    if std::env::var_os(NAME).is_some() {
        return true;
    }
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
    let Some(threads) = std::thread::available_parallelism().ok().filter(|_| alone) else {
        return false;
    };
    // SAFETY: the process has no other thread that could read the environment at the same time.
    unsafe {
        std::env::set_var(NAME, threads.to_string());
    }
    true
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
