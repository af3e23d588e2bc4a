//! Conditions for stopping: signals and the time budget. A program listens once: signals reach every
//! listener, and Windows takes only one.
//!
//! A thread receives signals and sets a number; the training loop checks it between steps, saves,
//! and returns. A second signal ends the program at once, which only loses the steps since the last
//! checkpoint. It must come a second after the first, because `timeout` sends its signal to the
//! program and then to its process group. A command that loses little wherever it ends can be ended
//! by the first signal ([`Stopper::or_end`]).

#[cfg(unix)]
#[path = "signals/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "signals/windows.rs"]
mod system;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use stackgan_train::event::StopReason;

use crate::exit::Stopped;
use crate::progress::Manner;
pub(crate) use system::survive_file_limits;
use system::{SIGINT, exit};

/// A signal within this time of the first one is the same one again.
const REPEATED: Duration = Duration::from_secs(1);

/// The stop conditions, checked between steps.
#[derive(Clone)]
pub(crate) struct Stopper {
    signal: Arc<AtomicUsize>,
    farewell: Arc<Mutex<Option<Farewell>>>,
    until: Option<Instant>,
}

/// What is said when a signal ends the program at once.
struct Farewell {
    manner: Manner,
    text: String,
}

impl Stopper {
    /// Handles what asks a program to stop: on Unix SIGINT, SIGTERM, and SIGHUP unless it is ignored,
    /// as under `nohup`; on Windows Ctrl-C, Ctrl-Break and a closed window, all as SIGINT
    /// (Windows ends the program of a closed window whether it has saved or not).
    ///
    /// # Errors
    /// When the system does not allow the handlers.
    pub(crate) fn listen() -> Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        let (first, farewell) = (Arc::clone(&signal), Arc::default());
        let said = Arc::clone(&farewell);
        let mut since = None;
        system::receive(move |number| {
            if let Some(farewell) = taken(&said) {
                farewell.say();
                exit(128 + number);
            }
            if is_second(&mut since, Instant::now()) {
                exit(128 + number);
            }
            let (order, relaxed) = (Ordering::Relaxed, Ordering::Relaxed);
            let _ = first.compare_exchange(0, number as usize, order, relaxed);
        })
        .context("signals cannot be handled on this system")?;
        Ok(Self { signal, farewell, until: None })
    }

    /// Lets the first signal end the program at once, except during [`Self::carefully`]. `text` is
    /// said then.
    #[must_use]
    pub(crate) fn or_end(self, manner: Manner, text: String) -> Self {
        put(&self.farewell, Some(Farewell { manner, text }));
        self
    }

    /// Does work that looks at this stopper and saves before it ends. After a signal, whoever called
    /// this ends the program.
    pub(crate) fn carefully<T>(&self, work: impl FnOnce(&Self) -> T) -> T {
        let farewell = taken(&self.farewell);
        let done = work(self);
        if self.signal.load(Ordering::Relaxed) == 0 {
            put(&self.farewell, farewell);
        }
        done
    }

    /// Stops at this time.
    #[must_use]
    pub(crate) const fn until(mut self, end: Option<Instant>) -> Self {
        self.until = end;
        self
    }

    /// Another stopper for the same signals that stops `seconds` from now.
    pub(crate) fn for_seconds(&self, seconds: f64) -> Self {
        Self { until: Some(in_seconds(seconds)), ..self.clone() }
    }

    /// The reason to stop now, if any.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        let over = self.until.is_some_and(|end| Instant::now() >= end);
        self.signalled().or(over.then_some(StopReason::TimeBudget))
    }

    /// Ends a command for a signal that came, unless that [ended the program](Self::or_end) at once.
    /// `message` says what is stopped.
    ///
    /// # Errors
    /// [`Stopped`].
    pub(crate) fn check_signal(&self, message: &str) -> Result<()> {
        let message = message.to_owned();
        self.signalled().map_or(Ok(()), |reason| Err(Stopped { reason, message }.into()))
    }

    fn signalled(&self) -> Option<StopReason> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            number => Some(StopReason::Signal(i32::try_from(number).unwrap_or(SIGINT))),
        }
    }
}

impl Farewell {
    fn say(&self) {
        // Below a bar that is cut short.
        let above = if self.manner == Manner::Bar { "\n" } else { "" };
        self.manner.say(format!("{above}{}", self.text));
    }
}

/// Takes a farewell out. A poisoned lock holds what was put there last.
fn taken(farewell: &Mutex<Option<Farewell>>) -> Option<Farewell> {
    farewell.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn put(farewell: &Mutex<Option<Farewell>>, value: Option<Farewell>) {
    *farewell.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

/// The end of a time budget that begins now.
pub(crate) fn in_hours(hours: f64) -> Instant {
    in_seconds(hours * 3600.0)
}

fn in_seconds(seconds: f64) -> Instant {
    Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, 1e9))
}

/// Whether a signal that arrives `now` is a second one. `since` is the time of the first.
fn is_second(since: &mut Option<Instant>, now: Instant) -> bool {
    now.saturating_duration_since(*since.get_or_insert(now)) > REPEATED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_repeated_at_once_is_the_same_one() {
        let (start, mut since) = (Instant::now(), None);
        for (after, second) in [(0, false), (3, false), (1000, false), (1001, true), (60_000, true)]
        {
            let now = start + Duration::from_millis(after);
            assert_eq!(is_second(&mut since, now), second, "{after} ms");
        }
    }

    #[test]
    fn a_signal_and_the_end_of_the_budget_are_seen() {
        let stopper = Stopper::listen().unwrap();
        assert_eq!(stopper.reason(), None);
        let over = stopper.until(Some(in_hours(0.0)));
        assert_eq!(over.reason(), Some(StopReason::TimeBudget));
        over.check_signal("stopped").unwrap(); // the budget is none
        over.signal.store(15, Ordering::Relaxed);
        assert_eq!(over.reason(), Some(StopReason::Signal(15)));
        let stopped = over.check_signal("stopped").unwrap_err();
        assert_eq!(crate::exit::code(&stopped), crate::exit::Exit::Terminated);
    }
}
