//! A connection with time limits for writing, and for receiving the headers of a request. hyper has
//! none for sending a response, and one for headers that also runs before their first byte.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::Limits;

/// Whose turn it is on a connection, which its stream and what answers its requests tell each
/// other.
pub(crate) struct Turn {
    /// Whether headers have begun and are not complete.
    receiving: AtomicBool,
    /// Whether a request is being answered.
    answering: AtomicBool,
}

impl Turn {
    /// The peer's, whose first request is expected.
    pub(crate) fn new() -> Self {
        Self { receiving: AtomicBool::new(true), answering: AtomicBool::new(false) }
    }

    /// The headers of a request are complete.
    pub(crate) fn take(&self) {
        self.receiving.store(false, Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
    }

    /// The answer is ready to be sent.
    pub(crate) fn give_back(&self) {
        self.answering.store(false, Ordering::Relaxed);
    }

    /// Notes received bytes, and returns whether headers begin with them.
    fn begins(&self) -> bool {
        !self.answering.load(Ordering::Relaxed) && !self.receiving.swap(true, Ordering::Relaxed)
    }

    fn is_receiving(&self) -> bool {
        self.receiving.load(Ordering::Relaxed)
    }
}

/// A stream that fails when the peer has accepted nothing for `write_time`, or has not completed
/// its headers after `header_time`.
pub(crate) struct Patience {
    stream: TcpStream,
    write_time: Duration,
    /// Runs while the peer accepts nothing.
    timer: Pin<Box<Sleep>>,
    stuck: bool,
    header_time: Duration,
    /// Runs from the first byte of headers.
    headers: Pin<Box<Sleep>>,
    turn: Arc<Turn>,
}

impl Patience {
    pub(crate) fn new(stream: TcpStream, limits: &Limits, turn: Arc<Turn>) -> Self {
        let Limits { write_time, header_time, .. } = *limits;
        let (timer, headers) = (Box::pin(sleep(write_time)), Box::pin(sleep(header_time)));
        Self { stream, write_time, timer, stuck: false, header_time, headers, turn }
    }

    /// Returns `poll`, the result of a write, or an error if it has taken too long.
    fn within<T>(
        &mut self,
        poll: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stuck = false;
            return poll;
        }
        if !self.stuck {
            self.stuck = true;
            self.timer.as_mut().reset(Instant::now() + self.write_time);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }

    /// Waits for more bytes, or for the end of the headers' time.
    fn more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.turn.is_receiving() {
            return Poll::Pending;
        }
        ready!(self.headers.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the headers do not end")))
    }
}

impl AsyncRead for Patience {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        if poll.is_pending() {
            return self.more(context);
        }
        if buffer.filled().len() > before && self.turn.begins() {
            let until = Instant::now() + self.header_time;
            self.headers.as_mut().reset(until);
        }
        poll
    }
}

impl AsyncWrite for Patience {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within(poll, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(context);
        self.within(poll, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(context);
        self.within(poll, context)
    }
}
