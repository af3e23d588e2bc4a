//! Limits on the size and duration of requests.

use std::time::Duration;

/// The limits of a server. The defaults suit a page for one person or a few. A number above the
/// most that its field allows counts as that, and a time of more than a year as a year.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum number of simultaneous connections, at most 65536; further ones are closed.
    pub connections: usize,
    /// Maximum number of requests that wait while one is painted, 1 to 65536; further ones are told
    /// to come back.
    pub waiting: usize,
    /// Maximum number of pictures per request, at most 4096.
    pub pictures: usize,
    /// Maximum number of characters of a sentence, at most 65536.
    pub caption: usize,
    /// Maximum size of a request's body in bytes, at most 64 MiB.
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
    /// The same limits, where they are more than can be counted, held or waited for.
    pub(crate) fn bounded(self) -> Self {
        const MANY: usize = 1 << 16;
        let year = |time: Duration| time.min(Duration::from_secs(365 * 24 * 3600));
        Self {
            connections: self.connections.min(MANY),
            waiting: self.waiting.clamp(1, MANY),
            pictures: self.pictures.min(4096),
            caption: self.caption.min(MANY),
            body: self.body.min(64 << 20),
            header_time: year(self.header_time),
            idle_time: year(self.idle_time),
            body_time: year(self.body_time),
            answer_time: year(self.answer_time),
            write_time: year(self.write_time),
            drain_time: year(self.drain_time),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_more_than_can_be_held() {
        let (pictures, caption, body) = (usize::MAX, usize::MAX, usize::MAX);
        let bounded = Limits { pictures, caption, body, ..Limits::default() }.bounded();
        assert_eq!((bounded.pictures, bounded.caption, bounded.body), (4096, 65_536, 1 << 26));
        let Limits { pictures, caption, body, .. } = Limits::default().bounded();
        assert_eq!((pictures, caption, body), (8, 1000, 65_536));
    }
}
