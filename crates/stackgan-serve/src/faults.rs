//! Failures of painting that no request is to blame for, and how many of them end the server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use stackgan_core::Error;
use stackgan_core::kernels::gpu;

use crate::shelf::Painted;

/// Number of panics within [`SPELL`] that ends the server.
const PANICS: usize = 3;
const SPELL: Duration = Duration::from_secs(60);
/// Number of paintings in a row whose failure ends the server. After some errors a GPU does nothing
/// more for the process.
const FAILURES: usize = 3;

/// The failures so far.
#[derive(Default)]
pub(crate) struct Faults {
    /// When paintings began that panicked.
    panics: Vec<Instant>,
    /// Number of failures of the device since the last success.
    failures: usize,
}

impl Faults {
    /// Paints. Returns the pictures, or what went wrong.
    pub(crate) fn watch(
        &mut self,
        paint: impl FnOnce() -> stackgan_core::Result<Vec<Painted>>,
    ) -> Result<Vec<Painted>, String> {
        let begun = Instant::now();
        // Whatever a panic leaves behind is dropped: a painter keeps no state between requests.
        match catch_unwind(AssertUnwindSafe(paint)) {
            Ok(Ok(painted)) => {
                self.failures = 0;
                Ok(painted)
            }
            Ok(Err(error)) => {
                self.failures += usize::from(is_of_the_device(&error));
                Err(error.to_string())
            }
            Err(_) => {
                self.panics.retain(|panic| panic.elapsed() < SPELL);
                self.panics.push(begun);
                Err("painting panicked".to_owned())
            }
        }
    }

    /// Whether there are so many that the server must end.
    pub(crate) fn are_many(&self) -> bool {
        self.panics.len() >= PANICS || self.failures >= FAILURES
    }
}

/// Whether an operation failed that a request cannot make fail. Memory that is full can become free
/// again.
fn is_of_the_device(error: &Error) -> bool {
    matches!(error, Error::Tensor(_)) && !gpu::memory_is_full(error)
}
