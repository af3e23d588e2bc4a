//! The connection between the HTTP thread and the painting thread: a queue of bounded length, and
//! one painter.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::faults::Faults;
use crate::refusal::Refusal;
use crate::shelf::Painted;
use crate::wanted::Wanted;
use crate::{Error, Event, Result};

/// State that both threads change.
#[derive(Default)]
pub(crate) struct State {
    /// Whether no further requests are started.
    pub(crate) stopping: AtomicBool,
    /// Number of requests so far, which also numbers them.
    pub(crate) requests: AtomicU64,
    /// Number of pictures painted.
    pub(crate) painted: AtomicU64,
}

/// The result of a request.
pub(crate) type Reply = std::result::Result<Vec<Painted>, Refusal>;

/// A waiting request.
struct Job {
    request: u64,
    wanted: Wanted,
    queued: Instant,
    reply: oneshot::Sender<Reply>,
}

impl Job {
    /// Whether the client has left, or was told that it waited too long.
    fn is_given_up(&self) -> bool {
        self.reply.is_closed()
    }
}

/// The queue, which both threads hold.
#[derive(Default)]
struct Line {
    places: Mutex<Places>,
    changed: Condvar,
}

#[derive(Default)]
struct Places {
    jobs: VecDeque<Job>,
    /// Whether one of the two ends is gone.
    closed: bool,
}

impl Line {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending end of the queue.
pub(crate) struct Queue {
    line: Arc<Line>,
    length: usize,
}

/// The painter's end of the queue.
pub(crate) struct Jobs(Arc<Line>);

/// Creates a queue in which `length` requests can wait besides the current one.
pub(crate) fn new(length: usize) -> (Queue, Jobs) {
    let line = Arc::new(Line::default());
    (Queue { line: Arc::clone(&line), length }, Jobs(line))
}

impl Queue {
    /// Appends a request. It is left out if the answer's receiver is gone when its turn comes, or
    /// when its place is needed.
    pub(crate) fn put(
        &self,
        request: u64,
        wanted: Wanted,
    ) -> std::result::Result<oneshot::Receiver<Reply>, Refusal> {
        let mut places = self.line.places();
        if places.closed {
            return Err(stopping());
        }
        if places.jobs.len() >= self.length {
            places.jobs.retain(|job| !job.is_given_up());
        }
        if places.jobs.len() >= self.length {
            let full = "as many requests wait as can; try again in a second";
            return Err(Refusal::new(503, "queue", full));
        }
        let (reply, answer) = oneshot::channel();
        places.jobs.push_back(Job { request, wanted, queued: Instant::now(), reply });
        self.line.changed.notify_one();
        Ok(answer)
    }

    /// Number of requests whose clients wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.line.places().jobs.iter().filter(|job| !job.is_given_up()).count()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.line.places().closed = true;
        self.line.changed.notify_one();
    }
}

impl Jobs {
    /// Waits for the next request. There are no more when the queue is empty and its sending end is
    /// gone.
    fn next(&self) -> Option<Job> {
        let idle = |places: &mut Places| places.jobs.is_empty() && !places.closed;
        let places = self.0.changed.wait_while(self.0.places(), idle);
        places.unwrap_or_else(PoisonError::into_inner).jobs.pop_front()
    }
}

impl Drop for Jobs {
    /// Tells those who wait, by dropping the sender of their reply.
    fn drop(&mut self) {
        let mut places = self.0.places();
        places.closed = true;
        places.jobs.clear();
    }
}

/// The refusal of requests that arrive too late.
pub(crate) fn stopping() -> Refusal {
    Refusal::new(503, "server", "the server is stopping")
}

/// Paints one request after the other until the sending end is dropped.
pub(crate) fn work(
    jobs: &Jobs,
    state: &State,
    mut paint: impl FnMut(&Wanted) -> stackgan_core::Result<Vec<Painted>>,
    on_event: &dyn Fn(Event),
) -> Result<()> {
    let mut faults = Faults::default();
    while let Some(job) = jobs.next() {
        if job.is_given_up() {
            continue;
        }
        let Job { request, wanted, queued, reply } = job;
        let waited = queued.elapsed();
        if state.stopping.load(Ordering::Relaxed) {
            let _ = reply.send(Err(stopping())); // a client that has left needs no reply
            continue;
        }
        let begun = Instant::now();
        let done = faults.watch(|| paint(&wanted));
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
        if faults.are_many() {
            state.stopping.store(true, Ordering::Relaxed);
            return Err(Error::Broken);
        }
    }
    Ok(())
}
