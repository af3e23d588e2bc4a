//! How many threads candle's own products use, said once.

/// Says in the environment how many threads there are (`RAYON_NUM_THREADS`, the number that rayon takes by itself), unless that
/// is said already.
///
/// Where it is not, candle 0.11 counts cores anew for every product of plain tensors, by reading and parsing `/proc/cpuinfo`:
/// some 580 times for each of twenty steps of the text encoder's training, 7 to 9 % of its time on two cores. The file is longer
/// on larger machines. A program calls this once, at the beginning of `main`: where the process has other threads already nothing is changed.
/// Whether it is said now.
pub fn tell_candle() -> bool {
    const NAME: &str = "RAYON_NUM_THREADS";
    if std::env::var_os(NAME).is_some() {
        return true;
    }
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
    let Some(threads) = std::thread::available_parallelism().ok().filter(|_| alone) else {
        return false;
    };
    // SAFETY: the process has no other thread that could read the environment meanwhile.
    unsafe {
        std::env::set_var(NAME, threads.to_string());
    }
    true
}

#[cfg(test)]
mod tests {
    /// Tests have threads beside them: the environment is theirs, too.
    #[test]
    fn with_other_threads_nothing_is_changed() {
        let before = std::env::var_os("RAYON_NUM_THREADS");
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(super::tell_candle(), before.is_some()));
        });
        assert_eq!(std::env::var_os("RAYON_NUM_THREADS"), before);
    }
}
