//! Limits on the size and duration of requests.

use std::time::Duration;

/// The limits of a server. The defaults suit a page for one person or a few.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum number of simultaneous connections; further ones are closed.
    pub connections: usize,
    /// Maximum number of requests that wait while one is painted; further ones are told to come
    /// back.
    pub waiting: usize,
    /// Maximum number of pictures per request.
    pub pictures: usize,
    /// Maximum number of characters of a sentence.
    pub caption: usize,
    /// Maximum size of a request's body in bytes.
    pub body: usize,
    /// Time limit for receiving all headers of a request: of the first one on a connection from the
    /// time when it is accepted, of the others from their first byte.
    pub header_time: Duration,
    /// How long a connection is kept for its next request to begin.
    pub idle_time: Duration,
    /// Time limit for receiving a body.
    pub body_time: Duration,
    /// Time limit for the pictures, including the time in the queue.
    pub answer_time: Duration,
    /// Time limit for the peer to accept part of a response.
    pub write_time: Duration,
    /// Time limit for finishing open requests when the server stops.
    pub drain_time: Duration,
}

impl Limits {
    /// The same limits, where they are more than can be counted or waited for: a year, and thousands.
    pub(crate) fn bounded(self) -> Self {
        const MANY: usize = 1 << 16;
        let year = |time: Duration| time.min(Duration::from_secs(365 * 24 * 3600));
        Self {
            connections: self.connections.min(MANY),
            waiting: self.waiting.clamp(1, MANY),
            header_time: year(self.header_time),
            idle_time: year(self.idle_time),
            body_time: year(self.body_time),
            answer_time: year(self.answer_time),
            write_time: year(self.write_time),
            drain_time: year(self.drain_time),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            waiting: 16,
            pictures: 8,
            caption: 1000,
            body: 64 << 10,
            header_time: Duration::from_secs(5),
            idle_time: Duration::from_secs(75),
            body_time: Duration::from_secs(10),
            answer_time: Duration::from_secs(30),
            write_time: Duration::from_secs(10),
            drain_time: Duration::from_secs(10),
        }
    }
}
