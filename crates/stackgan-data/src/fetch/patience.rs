//! How long a download waits, and how often it tries again.

use std::time::Duration;

/// Timeouts and retries.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Time limit for resolving a name, and for connecting.
    pub connect: Duration,
    /// Time limit for the next bytes of a connection.
    pub stall: Duration,
    /// Minimum speed of a connection, in bytes per second.
    pub slowest: u64,
    /// Maximum number of consecutive attempts that bring less than `progress`.
    pub tries: u32,
    /// Number of bytes from which an attempt counts as progress.
    pub progress: u64,
    /// Pause before the second attempt; doubled before each further one.
    pub pause: Duration,
}

impl Default for Patience {
    /// For interactive use: 30 s without a byte, five attempts, pauses of 1 to 8 s.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            slowest: 1024,
            tries: 5,
            progress: 256 << 10,
            pause: Duration::from_secs(1),
        }
    }
}
