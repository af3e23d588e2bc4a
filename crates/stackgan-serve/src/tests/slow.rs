//! Peers that send or accept nothing.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::{Answer, Server, files, limits, post, start};
use crate::Limits;

/// Size of a response that exceeds any socket's buffer.
const LARGE: usize = 16 << 20;

fn large() -> Server {
    start(limits(), |wanted| {
        let size = if wanted.captions.iter().any(|caption| caption == "large") { LARGE } else { 0 };
        files(wanted, size)
    })
}

/// How long the server keeps a connection on which `stream` does nothing more. Received data is
/// ignored.
fn kept(mut stream: TcpStream) -> Duration {
    let begun = Instant::now();
    let mut bytes = [0; 4096];
    while matches!(stream.read(&mut bytes), Ok(1..)) {}
    begun.elapsed()
}

#[test]
fn who_does_nothing_is_not_waited_for() {
    let server = large();
    let head = "POST /api/v1/generate HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n";
    let kinds = [
        ("nothing", String::new()),
        ("half a head", "GET /healthz HTTP/1.1\r\nHo".to_owned()),
        ("no body", head.to_owned()),
        ("half a body", format!("{head}{{\"caption\": ")),
        ("idle after an answer", "GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned()),
    ];
    let open = |(kind, bytes): &(&'static str, String)| {
        let mut stream = server.connect();
        stream.write_all(server.filled(bytes).as_bytes()).unwrap();
        (*kind, stream)
    };
    let mut streams: Vec<_> = kinds.iter().cycle().take(60).map(open).collect();
    for (kind, stream) in kinds.iter().map(open) {
        stream.shutdown(Shutdown::Write).unwrap(); // half-open
        streams.push((kind, stream));
    }
    for _ in 0..5 {
        assert!(server.is_well());
    }
    for (kind, stream) in streams {
        let kept = kept(stream);
        assert!(kept < Duration::from_secs(5), "{kind}: {kept:?}");
    }
}

/// Browsers and servers in between keep connections for their next request.
#[test]
fn between_requests_a_connection_may_rest() {
    let idle_time = Duration::from_secs(60);
    let server = start(Limits { idle_time, ..limits() }, |wanted| files(wanted, 0));
    let mut stream = server.connect();
    let request = server.filled("GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n");
    for round in 0..3 {
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).unwrap();
        let answer = String::from_utf8_lossy(&bytes[..count]);
        assert!(answer.starts_with("HTTP/1.1 200"), "round {round}: {answer}");
        std::thread::sleep(Duration::from_millis(1200));
    }
    stream.write_all(b"GET /healthz HT").unwrap();
    let kept = kept(stream);
    assert!(kept < Duration::from_secs(5), "half a head: {kept:?}");
}

#[test]
fn a_head_that_comes_in_drops_is_not_waited_for() {
    let server = large();
    let mut stream = server.connect();
    let begun = Instant::now();
    for byte in b"GET /healthz HTTP/1.1\r\nX-Long: ".iter().cycle() {
        if stream.write_all(&[*byte]).is_err() || begun.elapsed() > Duration::from_secs(5) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// A client that requests much and accepts none of it holds its connection no longer than others,
/// and delays nobody.
#[test]
fn who_does_not_take_an_answer_is_cut_off() {
    let server = large();
    let request = server.filled(&post("/api/v1/generate", r#"{"caption": "large"}"#));
    let mut stuck = server.connect();
    stuck.write_all(request.as_bytes()).unwrap();
    server.wait_for(|health| health["painted"] == 1);
    std::thread::sleep(Duration::from_secs(3));
    assert!(server.is_well());
    let cut = Answer::read(&mut stuck);
    assert!(cut.body.len() < LARGE, "all {} bytes came", cut.body.len());
    // A client that accepts it gets the whole response.
    let whole = server.send(&post("/api/v1/generate", r#"{"caption": "large"}"#));
    assert_eq!(whole.pictures(), ["large 0"]);
}

#[test]
fn there_are_so_many_connections_and_no_more() {
    let server = start(
        Limits { connections: 3, header_time: Duration::from_secs(3), ..limits() },
        |wanted| files(wanted, 0),
    );
    let idle: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
    std::thread::sleep(Duration::from_millis(200));
    let mut more = server.connect();
    let mut byte = [0];
    assert!(!matches!(more.read(&mut byte), Ok(1..)), "a connection too many was taken");
    for stream in idle {
        kept(stream);
    }
    assert!(server.is_well());
}
