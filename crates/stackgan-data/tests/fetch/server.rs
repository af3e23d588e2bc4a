//! A web server for tests: on 127.0.0.1 only, with one answer per connection, stopped when it is
//! dropped. Each test determines the answers. The tests of the program also use it.
#![allow(dead_code, reason = "each of the programs that include this uses a part of it")]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The path with its leading slash.
    pub(crate) path: String,
    /// First byte of the requested range.
    pub(crate) range: Option<u64>,
    /// The value of `If-Range`.
    pub(crate) if_range: Option<String>,
    /// The value of `Authorization`.
    pub(crate) token: Option<String>,
    /// Number of earlier connections.
    pub(crate) nth: usize,
}

/// A connection that counts the bytes sent.
pub(crate) struct Line {
    stream: TcpStream,
    sent: Arc<AtomicU64>,
}

impl Line {
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.stream.write_all(bytes)
    }
}

/// The server.
pub(crate) struct Server {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Ask>>>,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    port: u16,
}

impl Server {
    /// Starts a server that answers by `answer`, whose error ends the connection.
    pub(crate) fn start(
        answer: impl Fn(&Ask, &mut Line) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let sent = Arc::new(AtomicU64::new(0));
        let answer = Arc::new(answer);
        let thread = {
            let (asked, stop, sent) = (Arc::clone(&asked), Arc::clone(&stop), Arc::clone(&sent));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                    let sent = Arc::clone(&sent);
                    std::thread::spawn(move || {
                        let Ok(ask) = read(&stream, &asked) else { return };
                        let mut line = Line { stream, sent };
                        let _ = answer(&ask, &mut line); // the client may have gone
                        let _ = line.stream.shutdown(Shutdown::Write);
                        let _ = line.stream.read(&mut [0; 64]); // until the client has read all
                    });
                }
            })
        };
        let address = format!("http://127.0.0.1:{port}");
        Self { address, asked, sent, stop, thread: Some(thread), port }
    }

    /// Starts a server for `files` (path without its slash, contents) only.
    pub(crate) fn of(files: Vec<(&'static str, Vec<u8>)>) -> Self {
        Self::start(move |ask, line| {
            match files.iter().find(|(name, _)| ask.path == format!("/{name}")) {
                Some((_, body)) => {
                    let (head, rest) = honest(ask, body, Some("\"1\""));
                    line.send(head.as_bytes())?;
                    line.send(rest)
                }
                None => line.send(head(404, "Content-Length: 0").as_bytes()),
            }
        })
    }

    /// Returns all requests so far.
    pub(crate) fn asked(&self) -> Vec<Ask> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns the number of bytes sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port)); // wakes it
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(stream: &TcpStream, asked: &Mutex<Vec<Ask>>) -> io::Result<Ask> {
    let wait = Some(Duration::from_secs(10));
    stream.set_read_timeout(wait)?;
    stream.set_write_timeout(wait)?;
    let mut ask = Ask { path: String::new(), range: None, if_range: None, token: None, nth: 0 };
    for line in BufReader::new(stream.try_clone()?).lines().take(100) {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(path) = line.strip_prefix("GET ") {
            ask.path = path.split(' ').next().unwrap_or_default().to_owned();
        }
        if let Some((name, value)) = line.split_once(": ") {
            match name.to_lowercase().as_str() {
                "range" => {
                    let from = value.strip_prefix("bytes=").and_then(|v| v.strip_suffix('-'));
                    ask.range = from.and_then(|from| from.parse().ok());
                }
                "authorization" => ask.token = Some(value.to_owned()),
                "if-range" => ask.if_range = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    let mut asked = asked.lock().unwrap();
    ask.nth = asked.len();
    asked.push(ask.clone());
    Ok(ask)
}

/// Returns a status line and headers. `more` contains lines separated by `\n`.
pub(crate) fn head(status: u16, more: &str) -> String {
    let more = more.replace('\n', "\r\n");
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{more}\r\n\r\n")
}

/// Returns a good server's answer: headers, and the bytes that follow.
pub(crate) fn honest<'b>(ask: &Ask, body: &'b [u8], etag: Option<&str>) -> (String, &'b [u8]) {
    let tag = etag.map(|etag| format!("\nETag: {etag}")).unwrap_or_default();
    let same = ask.if_range.is_none() || ask.if_range.as_deref() == etag;
    let length = body.len();
    match ask.range.filter(|_| same) {
        Some(from) if from as usize >= length => {
            (head(416, &format!("Content-Range: bytes */{length}\nContent-Length: 0{tag}")), &[])
        }
        Some(from) => {
            let rest = &body[from as usize..];
            let more = format!(
                "Content-Range: bytes {from}-{}/{length}\nContent-Length: {}{tag}",
                length - 1,
                rest.len()
            );
            (head(206, &more), rest)
        }
        None => (head(200, &format!("Content-Length: {length}{tag}")), body),
    }
}
