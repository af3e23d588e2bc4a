//! A complete server over real connections on this machine, with a painter that the test chooses.

mod described;
mod hostile;
mod load;
mod page;
mod slow;
mod stop;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use stackgan_core::{Provenance, Stage};

use crate::card::{Card, Scales, StageScales};
use crate::shelf::Painted;
use crate::wanted::Wanted;
use crate::{Event, Limits, Options, Result, serve_with};

/// A server that runs until it is dropped.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
    events: Arc<Mutex<Vec<Event>>>,
    /// Number of requests painted, and the maximum at one time.
    painted: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// Short time limits, so that tests are short too.
fn limits() -> Limits {
    Limits {
        header_time: Duration::from_millis(400),
        idle_time: Duration::from_millis(400),
        body_time: Duration::from_millis(400),
        write_time: Duration::from_millis(400),
        drain_time: Duration::from_secs(2),
        ..Limits::default()
    }
}

fn start(
    limits: Limits,
    mut paint: impl FnMut(&Wanted) -> Vec<Painted> + Send + 'static,
) -> Server {
    start_with(limits, move |wanted| Ok(paint(wanted)))
}

/// As [`start`], with a painter that can fail.
fn start_with(
    limits: Limits,
    mut paint: impl FnMut(&Wanted) -> stackgan_core::Result<Vec<Painted>> + Send + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let events = Arc::new(Mutex::new(Vec::new()));
    let (painted, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let thread = std::thread::spawn({
        let (stop, events) = (Arc::clone(&stop), Arc::clone(&events));
        let (painted, most) = (Arc::clone(&painted), Arc::clone(&most));
        let running = AtomicUsize::new(0);
        move || {
            let of_stage = |(stage, z_scale, eps_scale)| StageScales {
                stage,
                scales: Scales { z_scale, eps_scale },
            };
            let card = Card {
                id: "toy".to_owned(),
                dataset: "toy birds".to_owned(),
                last_stage: Stage::Two,
                last: Scales { z_scale: 1.0, eps_scale: 1.0 },
                scales: [(Stage::One, 0.5, 3.5), (Stage::Two, 1.0, 1.0)].map(of_stage).to_vec(),
                sha256: "0".repeat(64),
            };
            let options = Options { limits, ..Options::default() };
            let on_event = move |event| events.lock().unwrap().push(event);
            let stop = move || stop.load(Ordering::Relaxed);
            serve_with(listener, vec![card], options, on_event, stop, |wanted| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                painted.fetch_add(1, Ordering::SeqCst);
                let files = paint(wanted);
                running.fetch_sub(1, Ordering::SeqCst);
                files
            })
        }
    });
    Server { address, stop, thread: Some(thread), events, painted, most }
}

impl Server {
    /// Stops the server. Returns its result and how long that took.
    fn end(&mut self) -> (Result<()>, Duration) {
        let begun = Instant::now();
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join().unwrap();
        (ended, begun.elapsed())
    }

    /// Requests pictures of a sentence.
    fn paint(&self, caption: &str, seed: u64) -> Answer {
        let body = format!(r#"{{"caption": "{caption}", "seed": {seed}}}"#);
        self.send(&post("/api/v1/generate", &body))
    }

    fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"))
    }

    /// Sends a request, in which HOST stands for the server's name, and reads the whole response.
    fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(self.filled(request).as_bytes()).unwrap();
        Answer::read(&mut stream)
    }

    fn filled(&self, request: &str) -> String {
        request.replace("HOST", &self.address.to_string())
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Waits until the health endpoint reports something; a test that never sees it fails.
    fn wait_for(&self, seen: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        while !seen(&self.get("/healthz").json()) {
            assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the server still paints correctly.
    fn is_well(&self) -> bool {
        let answer = self.paint("a well bird", 3);
        answer.status == 200 && answer.pictures() == ["a well bird 3"]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[derive(Debug)]
struct Answer {
    /// 0 if the connection was closed without a response.
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn read(stream: &mut TcpStream) -> Self {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all); // what was sent before a reset counts
        Self::of(&all)
    }

    fn of(all: &[u8]) -> Self {
        let text = String::from_utf8_lossy(all);
        let head = text.split("\r\n\r\n").next().unwrap().to_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = all.get(head.len() + 4..).unwrap_or_default().to_vec();
        Self { status, head: head.to_ascii_lowercase(), body }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The contents of the files from these tests' painter.
    fn pictures(&self) -> Vec<String> {
        use base64::Engine as _;
        let read = |picture: &Value| {
            let file = picture["png"].as_str().unwrap();
            let file = base64::engine::general_purpose::STANDARD.decode(file).unwrap();
            String::from_utf8_lossy(&file).trim_end().to_owned()
        };
        self.json()["pictures"].as_array().unwrap().iter().map(read).collect()
    }
}

/// Files that name their contents and are at least `size` bytes long.
fn files(wanted: &Wanted, size: usize) -> Vec<Painted> {
    let all = wanted.captions.iter().flat_map(|c| wanted.seeds.iter().map(move |s| (c, *s)));
    let file = |caption: &str, seed| {
        let mut file = format!("{caption} {seed}").into_bytes();
        file.resize(size.max(file.len()), b' ');
        file
    };
    all.map(|(caption, seed)| Painted {
        png: file(caption, seed),
        unread: caption.contains('é').then(|| format!("not all of {caption}")),
        provenance: Provenance {
            caption: caption.clone(),
            seed,
            stage: Stage::Two,
            width: 256,
            height: 256,
            z_scale: 1.0,
            eps_scale: 1.0,
            model_sha256: String::new(),
            encoder: String::new(),
            pixels_sha256: String::new(),
            version: String::new(),
            arithmetic: None,
            embedding_sha256: None,
        },
    })
    .collect()
}
