//! How much a request may ask for, and how long it may take.

use std::time::Duration;

/// Bounds of a server. The defaults are those of a page for one person, or a few.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; more are closed as they come.
    pub connections: usize,
    /// Requests that wait for the one that is painted; more are told to come back.
    pub waiting: usize,
    /// Pictures of a request.
    pub pictures: usize,
    /// Characters of a sentence.
    pub caption: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// For all headers of a request to come, and for the next request on a connection.
    pub header_time: Duration,
    /// For a body to come.
    pub body_time: Duration,
    /// For pictures, with the time in the queue.
    pub answer_time: Duration,
    /// For the peer to take some of an answer.
    pub write_time: Duration,
    /// For what has begun to end, when the server stops.
    pub drain_time: Duration,
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
            body_time: Duration::from_secs(10),
            answer_time: Duration::from_secs(30),
            write_time: Duration::from_secs(10),
            drain_time: Duration::from_secs(10),
        }
    }
}
