//! What a server is started with.

use crate::{Host, Limits, Token};

/// Access and limits of a server.
#[derive(Debug, Default)]
pub struct Options {
    /// Names under which the server is reached besides those of this machine.
    pub hosts: Vec<Host>,
    /// The token that clients must send. Without it, the server only listens on this machine.
    pub token: Option<Token>,
    /// Limits on the size and duration of requests.
    pub limits: Limits,
}
