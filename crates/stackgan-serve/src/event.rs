//! Events that a server reports to its operator.

use std::time::Duration;

/// An event of a server. Captions are unmodified: escape them before they reach a terminal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Pictures were painted.
    Painted {
        /// The number of the request.
        request: u64,
        /// The first of its sentences.
        caption: String,
        /// Number of pictures.
        pictures: usize,
        /// Time in the queue.
        waited: Duration,
        /// Time for painting.
        took: Duration,
    },
    /// A request was answered with an error.
    Refused {
        /// The number of the request.
        request: u64,
        /// The HTTP status.
        status: u16,
        /// The message of the response.
        message: String,
    },
    /// A model or this program failed.
    Failed {
        /// The number of the request.
        request: u64,
        /// A description of the failure.
        message: String,
    },
}
