//! A sitting of a run: from when it was started, or gone on with, to its end. Where and when the
//! steps of a run were taken cannot be told from its bytes, which are the same everywhere.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use candle_core::Device;
use humantime::format_rfc3339_seconds;
use serde::{Deserialize, Serialize};

use crate::version::{COMMIT, VERSION};

/// One sitting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sitting {
    /// When it began: UTC, as in RFC 3339.
    began: String,
    /// When it ended; none while it goes on, and after a kill.
    ended: Option<String>,
    /// Steps that had been taken when it began.
    from_step: u64,
    /// Steps that had been taken when it ended; none after a failure.
    to_step: Option<u64>,
    /// How it ended: what was reached, what stopped it, or the error.
    how: Option<String>,
    /// The program's version.
    version: String,
    /// The commit that the program was built from; none if that is not known, as in records of earlier
    /// versions.
    #[serde(default)]
    commit: Option<String>,
    /// What it was computed with, such as `cpu avx512`.
    arithmetic: String,
    /// Number of threads.
    threads: usize,
}

impl Sitting {
    /// Begins one now.
    pub(super) fn begin(step: u64, device: &Device) -> Self {
        Self {
            began: now(),
            ended: None,
            from_step: step,
            to_step: None,
            how: None,
            version: VERSION.to_owned(),
            commit: COMMIT.map(str::to_owned),
            arithmetic: stackgan_kernels::arithmetic(device).to_owned(),
            threads: rayon::current_num_threads(),
        }
    }

    /// Ends it now.
    pub(super) fn end(&mut self, step: Option<u64>, how: &str) {
        self.ended = Some(now());
        self.to_step = step;
        self.how = Some(how.to_owned());
    }

    /// A line about it.
    pub(crate) fn line(&self) -> String {
        let Self { began, from_step, version, arithmetic, threads, .. } = self;
        let to = self.to_step.map_or_else(String::new, |step| format!(" to {step}"));
        let until = self.ended.as_ref().map_or_else(String::new, |ended| format!(" to {ended}"));
        let how =
            self.how.as_deref().map_or_else(String::new, |how| format!(": {}", in_one_line(how)));
        let threads = stackgan_data::counted(*threads, "thread");
        let commit = self.commit.as_ref().map_or_else(String::new, |c| format!(" ({c})"));
        format!(
            "{began}{until}, from step {from_step}{to}, {arithmetic}, {threads}, version {version}{commit}{how}"
        )
    }
}

/// The lines of an error that say what failed, where and why, without what to do.
fn in_one_line(how: &str) -> String {
    let lines = how.lines().map(str::trim).take_while(|line| !line.starts_with("do: "));
    lines.collect::<Vec<_>>().join("; ")
}

fn now() -> String {
    told(SystemTime::now())
}

/// A time in words. That of a clock that was never set may be one that cannot be written.
pub(crate) fn told(time: SystemTime) -> String {
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799); // of the year 9999
    format_rfc3339_seconds(time.clamp(UNIX_EPOCH, last)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_how_far_with_what_and_why_it_ended() {
        let mut sitting = Sitting::begin(12, &Device::Cpu);
        sitting.began = "2026-01-02T03:04:05Z".to_owned();
        let begun = sitting.line();
        assert!(begun.starts_with("2026-01-02T03:04:05Z, from step 12, cpu "), "{begun}");
        sitting.end(None, "no space is left\n  file: x");
        let ended = sitting.line();
        assert!(ended.contains("Z to 20"), "{ended}");
        assert!(ended.ends_with(": no space is left; file: x"), "{ended}");
        let text = serde_json::to_string(&sitting).unwrap();
        assert_eq!(serde_json::from_str::<Sitting>(&text).unwrap(), sitting);
        assert!(ended.contains(&format!("version {}", crate::version::BUILD)), "{ended}");
        // Earlier versions did not say which commit it was.
        let mut earlier: serde_json::Value = serde_json::from_str(&text).unwrap();
        earlier.as_object_mut().unwrap().remove("commit");
        let earlier: Sitting = serde_json::from_value(earlier).unwrap();
        assert_eq!(earlier, Sitting { commit: None, ..sitting });
    }

    #[test]
    fn an_error_is_told_in_a_line_with_its_file_and_cause() {
        let error =
            "cannot write\n  file: run/.tmp-x\n  No space left on device\n  do: make room\nmore";
        assert_eq!(in_one_line(error), "cannot write; file: run/.tmp-x; No space left on device");
        assert_eq!(in_one_line("stopped by a signal"), "stopped by a signal");
    }

    #[test]
    fn a_clock_may_be_set_to_any_time() {
        assert_eq!(told(UNIX_EPOCH - Duration::from_secs(5)), "1970-01-01T00:00:00Z");
        assert_eq!(told(UNIX_EPOCH + Duration::from_secs(86_400)), "1970-01-02T00:00:00Z");
        let late = UNIX_EPOCH + Duration::from_secs(400_000_000_000);
        assert_eq!(told(late), "9999-12-31T23:59:59Z");
    }
}
