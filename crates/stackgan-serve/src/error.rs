//! The errors of a server as a whole. Errors of a request are reported in its response.

use std::net::SocketAddr;

/// The result type of a server.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a server did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Others could reach the server, and it has no token.
    #[error(
        "others could use this server\n  expected an address of this machine alone, such as 127.0.0.1, or a token; found {0} \
         without one\n  do: listen on 127.0.0.1, or give a token"
    )]
    Exposed(SocketAddr),
    /// The token could be guessed.
    #[error(
        "the token cannot be used\n  expected 32 to 4096 visible ASCII characters in a line, found {0}\n  do: make one: \
         `openssl rand -hex 32`"
    )]
    Token(&'static str),
    /// A name that no browser sends.
    #[error(
        "no request comes under this name\n  expected a name as browsers send it, such as birds.example or birds.example:8443, \
         found `{}`\n  do: give the name alone, without http:// and path; a name in other letters as `xn--…`", .0.escape_debug()
    )]
    Host(String),
    /// Two models have the same name, or a model cannot read sentences.
    #[error(
        "the model `{id}` cannot be served\n  expected {expected}, found {found}\n  do: {remedy}"
    )]
    Model {
        /// The name of the model.
        id: String,
        /// The requirement.
        expected: &'static str,
        /// What was found.
        found: &'static str,
        /// What the user can do.
        remedy: &'static str,
    },
    /// The system does not allow listening.
    #[error(
        "the server cannot listen\n  expected a socket that accepts, found: {0}\n  do: try again, or another port"
    )]
    Listen(#[source] std::io::Error),
    /// Painting panicked repeatedly, or the device failed again and again.
    #[error(
        "painting failed three times\n  expected pictures, found panics within a minute, or one failure of the device after the \
         other\n  do: start the server again; if it goes on, report it with what was asked and with the log"
    )]
    Broken,
    /// A model reported an error.
    #[error(transparent)]
    Core(#[from] stackgan_core::Error),
}
