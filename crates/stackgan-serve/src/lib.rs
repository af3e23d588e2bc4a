//! A local web page and an HTTP API in front of models: a sentence in, pictures out.
//!
//! Two threads. One speaks HTTP (hyper's, with an accept loop of its own), looks at who asks
//! (`guard`) and for what (`wanted`), and puts what may be painted into a queue of bounded length. The one that called
//! [`serve`] paints, a request at a time: what is asked at once waits, or is told to come back, and pictures do not depend on
//! what is painted beside them. An answer is a function of the request and the models: the same PNG, byte for byte, as
//! `stackgan generate` writes.
//!
//! Nothing is written to disk, and no request opens a file: models are named by an id from the list that the server began
//! with, pages are compiled in. The library prints nothing; what happens is told as [`Event`]s.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use stackgan_serve::{Options, Shelf, serve};
//!
//! let mut shelf = Shelf::default();
//! let bytes = std::fs::read("birds.safetensors")?;
//! shelf.put("birds", stackgan_core::Model::from_bytes(&bytes, &stackgan_core::Device::Cpu)?, "SHA-256 of the file")?;
//! let listener = std::net::TcpListener::bind("127.0.0.1:7860")?;
//! serve(listener, &shelf, Options::default(), |event| println!("{event:?}"), || false)?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod answer;
mod error;
mod event;
mod guard;
mod host;
mod limits;
mod listen;
mod pages;
mod patience;
mod queue;
mod routes;
mod shelf;
#[cfg(test)]
mod tests;
mod token;
mod wanted;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

pub use error::{Error, Result};
pub use event::Event;
pub use host::Host;
pub use limits::Limits;
pub use shelf::Shelf;
pub use token::Token;

/// Who may ask, and for how much.
#[derive(Debug, Default)]
pub struct Options {
    /// Names under which the server is reached besides those of this machine.
    pub hosts: Vec<Host>,
    /// What whoever asks has to know; without it only this machine is listened to.
    pub token: Option<Token>,
    /// How much one may ask for, and how long it may take.
    pub limits: Limits,
}

/// What both threads know.
struct Site {
    cards: Vec<shelf::Card>,
    options: Options,
    address: std::net::SocketAddr,
    queue: queue::Queue,
    state: Arc<State>,
    on_event: Arc<dyn Fn(Event) + Send + Sync>,
}

/// What goes on.
#[derive(Default)]
struct State {
    /// No more is begun.
    stopping: AtomicBool,
    /// Requests in the queue.
    waiting: AtomicUsize,
    /// Requests so far, which are their numbers.
    requests: AtomicU64,
    /// Pictures painted.
    painted: AtomicU64,
}

/// Listens and paints until `stop` says so, which is asked twenty times a second; then what is being painted is finished, and
/// what waits is told to come back.
///
/// # Errors
/// [`Error::Exposed`] when others than this machine can reach the address and there is no token; [`Error::Broken`] when
/// painting panicked three times in a minute; [`Error::Listen`] when the system refuses.
pub fn serve(
    listener: TcpListener,
    shelf: &Shelf,
    options: Options,
    on_event: impl Fn(Event) + Send + Sync + 'static,
    stop: impl Fn() -> bool + Send + 'static,
) -> Result<()> {
    serve_with(listener, shelf.cards(), options, on_event, stop, |wanted| shelf.paint(wanted))
}

/// The same with another painter.
fn serve_with(
    listener: TcpListener,
    cards: Vec<shelf::Card>,
    options: Options,
    on_event: impl Fn(Event) + Send + Sync + 'static,
    stop: impl Fn() -> bool + Send + 'static,
    paint: impl FnMut(&wanted::Wanted) -> stackgan_core::Result<Vec<shelf::Painted>>,
) -> Result<()> {
    let address = listener.local_addr().map_err(Error::Listen)?;
    if options.token.is_none() && !address.ip().is_loopback() {
        return Err(Error::Exposed(address));
    }
    let state = Arc::new(State::default());
    let on_event: Arc<dyn Fn(Event) + Send + Sync> = Arc::new(on_event);
    let (queue, jobs) = queue::new(options.limits.waiting, Arc::clone(&state));
    let told = Arc::clone(&on_event);
    let site = Site { cards, options, address, queue, state: Arc::clone(&state), on_event };
    let http = std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || listen::run(listener, site, stop))
        .map_err(Error::Listen)?;
    let painted = queue::work(&jobs, &state, paint, &*told);
    drop(jobs);
    http.join().unwrap_or_else(|_| Err(Error::Broken)).and(painted)
}
