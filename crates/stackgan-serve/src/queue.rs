//! The connection between the HTTP thread and the painting thread: a queue of bounded length, and
//! one painter.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::refusal::Refusal;
use crate::shelf::Painted;
use crate::wanted::Wanted;
use crate::{Error, Event, Result};

/// Number of panics within [`SPELL`] that ends the server.
const PANICS: usize = 3;
const SPELL: Duration = Duration::from_secs(60);

/// State that both threads change.
#[derive(Default)]
pub(crate) struct State {
    /// Whether no further requests are started.
    pub(crate) stopping: AtomicBool,
    /// Number of requests in the queue.
    pub(crate) waiting: AtomicUsize,
    /// Number of requests so far, which also numbers them.
    pub(crate) requests: AtomicU64,
    /// Number of pictures painted.
    pub(crate) painted: AtomicU64,
}

/// The result of a request.
pub(crate) type Reply = std::result::Result<Vec<Painted>, Refusal>;

/// A waiting request.
pub(crate) struct Job {
    request: u64,
    wanted: Wanted,
    queued: Instant,
    reply: oneshot::Sender<Reply>,
}

/// The sending end of the queue.
pub(crate) struct Queue {
    jobs: SyncSender<Job>,
    state: Arc<State>,
}

/// Creates a queue in which `length` requests can wait besides the current one.
pub(crate) fn new(length: usize, state: Arc<State>) -> (Queue, Receiver<Job>) {
    let (jobs, painter) = sync_channel(length);
    (Queue { jobs, state }, painter)
}

impl Queue {
    /// Appends a request. It is left out if the answer's receiver is gone when its turn comes.
    pub(crate) fn put(
        &self,
        request: u64,
        wanted: Wanted,
    ) -> std::result::Result<oneshot::Receiver<Reply>, Refusal> {
        let (reply, answer) = oneshot::channel();
        let job = Job { request, wanted, queued: Instant::now(), reply };
        self.state.waiting.fetch_add(1, Ordering::Relaxed);
        self.jobs.try_send(job).map_err(|error| {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => Refusal::new(
                    503,
                    "queue",
                    "as many requests wait as can; try again in a second",
                ),
                TrySendError::Disconnected(_) => stopping(),
            }
        })?;
        Ok(answer)
    }
}

/// The refusal of requests that arrive too late.
pub(crate) fn stopping() -> Refusal {
    Refusal::new(503, "server", "the server is stopping")
}

/// Paints one request after the other until all senders are dropped.
pub(crate) fn work(
    jobs: &Receiver<Job>,
    state: &State,
    mut paint: impl FnMut(&Wanted) -> stackgan_core::Result<Vec<Painted>>,
    on_event: &dyn Fn(Event),
) -> Result<()> {
    let mut panics: Vec<Instant> = Vec::new();
    while let Ok(job) = jobs.recv() {
        state.waiting.fetch_sub(1, Ordering::Relaxed);
        let Job { request, wanted, queued, reply } = job;
        let waited = queued.elapsed();
        if reply.is_closed() {
            continue; // the client has left, or was told that it waited too long
        }
        if state.stopping.load(Ordering::Relaxed) {
            let _ = reply.send(Err(stopping())); // a client that has left needs no reply
            continue;
        }
        let begun = Instant::now();
        // Whatever a panic leaves behind is dropped: a painter keeps no state between requests.
        let done = match catch_unwind(AssertUnwindSafe(|| paint(&wanted))) {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => {
                panics.retain(|panic| panic.elapsed() < SPELL);
                panics.push(begun);
                Err("painting panicked".to_owned())
            }
        };
        match &done {
            Ok(painted) => {
                state.painted.fetch_add(painted.len() as u64, Ordering::Relaxed);
            }
            Err(message) => on_event(Event::Failed { request, message: message.clone() }),
        }
        let failed = "the pictures could not be painted: whoever runs the server has been told why";
        let told = (wanted.captions.into_iter().next(), done.as_ref().map_or(0, Vec::len));
        let _ = reply.send(done.map_err(|_| Refusal::new(500, "server", failed)));
        if let (Some(caption), pictures @ 1..) = told {
            let took = begun.elapsed();
            on_event(Event::Painted { request, caption, pictures, waited, took });
        }
        if panics.len() >= PANICS {
            state.stopping.store(true, Ordering::Relaxed);
            return Err(Error::Broken);
        }
    }
    Ok(())
}
