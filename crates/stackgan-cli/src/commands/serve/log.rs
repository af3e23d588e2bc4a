//! A server's log on stderr: one line per request. External text is escaped, and frequent refusals
//! are summarised so that they fill neither the terminal nor the disk.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use stackgan_data::counted;
use stackgan_serve::Event;

use crate::output::beginning;
use crate::progress::Manner;

/// Number of characters of a sentence that are shown.
const SHOWN: usize = 80;
/// Characters of a refusal that are shown.
const REFUSAL: usize = 260;
/// Number of refusals per second that are logged individually.
const TOLD: u32 = 5;

/// The log.
pub(super) struct Log {
    manner: Manner,
    refusals: Mutex<Refusals>,
}

/// The refusals of one second.
#[derive(Default)]
struct Refusals {
    /// The time of the first refusal, and the second of the current ones relative to it.
    first: Option<Instant>,
    second: u64,
    told: u32,
    left_out: u64,
}

impl Log {
    pub(super) fn new(manner: Manner) -> Self {
        Self { manner, refusals: Mutex::default() }
    }

    /// Logs an event.
    pub(super) fn tell(&self, event: &Event) {
        match event {
            Event::Painted { request, caption, pictures, waited, took } => {
                self.say_rest();
                self.manner.say(format!(
                    "request {request}: `{}`, {} in {:.2} s, waited {:.2} s",
                    beginning(caption, SHOWN),
                    counted(*pictures, "picture"),
                    took.as_secs_f64(),
                    waited.as_secs_f64()
                ));
            }
            Event::Refused { request, status, message } => {
                // A poisoned lock means that writing a line panicked: continue with the next ones.
                let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
                let (told, before) = refusals.next(Instant::now());
                self.say_more(before);
                if told {
                    let message = beginning(message, REFUSAL);
                    self.manner.say(format!("request {request}: {status}, {message}"));
                }
            }
            Event::Failed { request, message } => {
                self.manner.say(format!("request {request}: failed: {message}"));
            }
            _ => {}
        }
    }

    /// Says how many refusals were left out since the last that was told.
    fn say_rest(&self) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        self.say_more(std::mem::take(&mut refusals.left_out));
    }

    fn say_more(&self, left_out: u64) {
        if left_out > 0 {
            self.manner.say(format!("refused: {}", counted(left_out, "more request")));
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.say_rest();
    }
}

impl Refusals {
    /// Whether a refusal at `now` is logged, and how many of the previous second were not.
    fn next(&mut self, now: Instant) -> (bool, u64) {
        let second = now.duration_since(*self.first.get_or_insert(now)).as_secs();
        let mut before = 0;
        if second != self.second {
            before = std::mem::take(&mut self.left_out);
            (self.second, self.told) = (second, 0);
        }
        let told = self.told < TOLD;
        self.told += u32::from(told);
        self.left_out += u64::from(!told);
        (told, before)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn many_refusals_are_a_few_lines() {
        let (mut refusals, begun) = (Refusals::default(), Instant::now());
        let at = |millis: u64| begun + Duration::from_millis(millis);
        let told = (0..100).filter(|i| refusals.next(at(i * 9)).0).count();
        assert_eq!(told, 5);
        assert_eq!(refusals.next(at(1000)), (true, 95));
        assert_eq!(refusals.next(at(1001)), (true, 0));
        assert_eq!(refusals.next(at(9000)), (true, 0));
    }
}
