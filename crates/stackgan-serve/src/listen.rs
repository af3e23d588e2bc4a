//! The HTTP thread: accepts connections up to a limit, and ends on request.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::patience::{Patience, Turn};
use crate::routes::{self, Site};
use crate::{Error, Result};

/// Interval of the checks whether to stop.
const TICK: Duration = Duration::from_millis(50);
/// Maximum number of a request's headers, and of their bytes.
const HEADERS: usize = 64;
const HEADER_BYTES: usize = 16 << 10;

/// Answers requests until `stop` returns true, or until the painter has ended.
pub(crate) fn run(listener: TcpListener, site: Site, stop: impl Fn() -> bool) -> Result<()> {
    listener.set_nonblocking(true).map_err(Error::Listen)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::Listen)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(Error::Listen)?;
        accept(listener, Arc::new(site), stop).await;
        Ok(())
    })
}

async fn accept(listener: tokio::net::TcpListener, site: Arc<Site>, stop: impl Fn() -> bool) {
    let limits = site.options.limits.clone();
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    // hyper's limit is for the wait and the headers together; `Patience` limits the headers.
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.idle_time + limits.header_time)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES);
    while !stop() && !site.state.stopping.load(Ordering::Relaxed) {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => { // too many open files, or a peer that has left
                    sleep(TICK).await;
                    continue;
                }
            },
            () = sleep(TICK) => continue,
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let _ = stream.set_nodelay(true); // only for speed
        let turn = Arc::new(Turn::new());
        let stream = Patience::new(stream, &limits, Arc::clone(&turn));
        let site = Arc::clone(&site);
        let answer = service_fn(move |request| {
            turn.take();
            let (site, turn) = (Arc::clone(&site), Arc::clone(&turn));
            async move {
                let answer = routes::answer(&site, request).await;
                turn.give_back();
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), answer));
        tokio::spawn(async move {
            let _ = connection.await; // errors of a peer's connection are ignored
            drop(place);
        });
    }
    drop(listener);
    site.state.stopping.store(true, Ordering::Relaxed);
    let _ = timeout(limits.drain_time, graceful.shutdown()).await; // then cuts off the rest
}
