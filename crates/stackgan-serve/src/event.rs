//! What a server tells whoever runs it.

use std::time::Duration;

/// What has happened. Captions are as they came: escape them before they reach a terminal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Pictures were painted.
    Painted {
        /// The number of the request.
        request: u64,
        /// The first of its sentences.
        caption: String,
        /// How many pictures.
        pictures: usize,
        /// In the queue.
        waited: Duration,
        /// At work.
        took: Duration,
    },
    /// A request was answered with an error.
    Refused {
        /// The number of the request.
        request: u64,
        /// The HTTP status.
        status: u16,
        /// What it was told.
        message: String,
    },
    /// A model failed, or this program did.
    Failed {
        /// The number of the request.
        request: u64,
        /// What is known of it.
        message: String,
    },
}
