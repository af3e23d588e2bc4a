//! A local web page and an HTTP API for models: a sentence in, pictures out.
//!
//! There are two threads. One handles HTTP (hyper's, with an accept loop of our own), checks who
//! asks (`guard`) and for what (`wanted`), and puts accepted requests into a queue of bounded
//! length. The thread that called [`serve`] paints one request at a time. Simultaneous requests
//! wait or are told to come back, and pictures do not depend on what else is painted. A response is
//! a function of the request and the models: the same PNG, byte for byte, that `stackgan generate`
//! writes.
//!
//! Nothing is written to disk, and no request opens a file: models are named by an id from the list
//! given at the start, and pages are compiled in. The library prints nothing; it reports
//! [`Event`]s.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use stackgan_serve::{Options, Shelf, serve};
//!
//! let mut shelf = Shelf::default();
//! let bytes = std::fs::read("birds.safetensors")?;
//! let model = stackgan_core::Model::from_bytes(&bytes, &stackgan_core::Device::Cpu)?;
//! shelf.put("birds", model, &stackgan_core::digest::sha256(&bytes))?;
//! let listener = std::net::TcpListener::bind("127.0.0.1:7860")?;
//! serve(listener, &shelf, Options::default(), |event| println!("{event:?}"), || false)?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod answer;
mod card;
mod error;
mod event;
mod faults;
mod guard;
mod host;
mod limits;
mod listen;
mod options;
mod pages;
mod patience;
mod queue;
mod refusal;
mod routes;
mod shelf;
#[cfg(test)]
mod tests;
mod token;
mod wanted;
mod whole;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use error::{Error, Result};
pub use event::Event;
pub use host::Host;
pub use limits::Limits;
pub use options::Options;
pub use shelf::Shelf;
pub use token::Token;

use card::Card;
use queue::State;
use routes::Site;
use shelf::Painted;
use wanted::Wanted;

/// Serves until `stop` returns true, which is checked twenty times per second. Then the current
/// painting is finished, and waiting requests are told to come back.
///
/// # Errors
/// [`Error::Exposed`] when other machines can reach the address and there is no token;
/// [`Error::Broken`] when painting panicked three times within a minute, or the device failed three
/// times in a row; [`Error::Listen`] when the system does not allow listening.
pub fn serve(
    listener: TcpListener,
    shelf: &Shelf,
    options: Options,
    on_event: impl Fn(Event) + Send + Sync + 'static,
    stop: impl Fn() -> bool + Send + 'static,
) -> Result<()> {
    serve_with(listener, shelf.cards(), options, on_event, stop, |wanted| shelf.paint(wanted))
}

/// As [`serve`], with another painter.
fn serve_with(
    listener: TcpListener,
    cards: Vec<Card>,
    options: Options,
    on_event: impl Fn(Event) + Send + Sync + 'static,
    stop: impl Fn() -> bool + Send + 'static,
    paint: impl FnMut(&Wanted) -> stackgan_core::Result<Vec<Painted>>,
) -> Result<()> {
    let address = listener.local_addr().map_err(Error::Listen)?;
    if options.token.is_none() && !address.ip().is_loopback() {
        return Err(Error::Exposed(address));
    }
    let options = Options { limits: options.limits.bounded(), ..options };
    let state = Arc::new(State::default());
    let on_event: Arc<dyn Fn(Event) + Send + Sync> = Arc::new(on_event);
    let (queue, jobs) = queue::new(options.limits.waiting);
    let told = Arc::clone(&on_event);
    let site = Site { cards, options, address, queue, state: Arc::clone(&state), on_event };
    let http = std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || listen::run(listener, site, stop))
        .map_err(Error::Listen)?;
    let ends = Ends(&state);
    let painted = queue::work(&jobs, &state, paint, &*told);
    drop((jobs, ends));
    http.join().unwrap_or_else(|_| Err(Error::Broken)).and(painted)
}

/// Tells the thread that listens to end, also if a panic of `on_event` ends the painting.
struct Ends<'a>(&'a State);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }
}
