//! Hostile requests: each is refused or closed, none reaches the painter, and the server continues.

use std::io::Write as _;
use std::sync::atomic::Ordering;

use super::{Answer, Server, files, limits, post, start};

fn server() -> Server {
    start(limits(), |wanted| files(wanted, 0))
}

/// Sends as much as the server accepts.
fn send(server: &Server, bytes: &[u8]) -> Answer {
    let mut stream = server.connect();
    let _ = stream.write_all(bytes); // the server may close early
    Answer::read(&mut stream)
}

#[test]
fn sizes_and_frames() {
    let server = server();
    let json = "Host: HOST\r\nContent-Type: application/json\r\n";
    let start = format!("POST /api/v1/generate HTTP/1.1\r\n{json}");
    let many: String = (0..10_000).map(|i| format!("X-{i}: y\r\n")).collect();
    let chunks = "1\r\n \r\n".repeat(200_000);
    let long = "x".repeat(1 << 20);
    for (what, request, allowed) in [
        (
            "a gigabyte is announced",
            format!("{start}Content-Length: 1000000000\r\n\r\n{{"),
            &[413][..],
        ),
        (
            "more than is read",
            format!("{start}Content-Length: 70000\r\n\r\n{}", " ".repeat(70_000)),
            &[413, 0],
        ),
        ("a length that is none", format!("{start}Content-Length: -1\r\n\r\n"), &[400]),
        (
            "a length that overflows",
            format!("{start}Content-Length: 99999999999999999999999\r\n\r\n"),
            &[400],
        ),
        (
            "two lengths",
            format!("{start}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"),
            &[400],
        ),
        (
            "a length and chunks",
            format!("{start}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            "chunks without end",
            format!("{start}Transfer-Encoding: chunked\r\n\r\n{chunks}"),
            &[413, 0],
        ),
        (
            "a chunk that is too large",
            format!("{start}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
            &[400, 408, 413],
        ),
        (
            "a chunk that is none",
            format!("{start}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            &[400],
        ),
        ("another encoding", format!("{start}Transfer-Encoding: gzip\r\n\r\n"), &[400, 422, 501]),
        ("headers without end", format!("GET / HTTP/1.1\r\nHost: HOST\r\n{many}\r\n"), &[431, 0]),
        ("a long header", format!("GET / HTTP/1.1\r\nHost: HOST\r\nX: {long}\r\n\r\n"), &[431, 0]),
        ("a long path", format!("GET /{long} HTTP/1.1\r\nHost: HOST\r\n\r\n"), &[431, 414, 0]),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned(), &[421]),
        ("of 1996", "GET / HTTP/1.0\r\n\r\n".to_owned(), &[421]),
        ("two hosts", "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n".to_owned(), &[400]),
        ("two names", "GET http://evil.example/ HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(), &[421]),
        ("a broken line", "GET / HTTP/1.1\r\nHost: HOST\r\n folded\r\n\r\n".to_owned(), &[400]),
        ("no HTTP", "\u{16}\u{3}\u{1}hello".to_owned(), &[400, 0]),
        ("of the next version", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[400, 505, 0]),
        ("no method", format!("{long:.200} / HTTP/1.1\r\nHost: HOST\r\n\r\n"), &[400, 405]),
        ("connect", "CONNECT evil.example:443 HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(), &[421]),
        ("trace", "TRACE / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n".to_owned(), &[405]),
        (
            "options",
            format!(
                "OPTIONS /api/v1/generate HTTP/1.1\r\n{json}Connection: close\r\nOrigin: http://evil.example\r\n\r\n"
            ),
            &[403],
        ),
        (
            "a form",
            post("/api/v1/generate", "caption=a").replace("application/json", "text/plain"),
            &[415],
        ),
        ("deep JSON", post("/api/v1/generate", &"[".repeat(60_000)), &[422]),
        ("no JSON", post("/v1/images/generations", "\u{0}"), &[400]),
    ] {
        let answer = send(&server, server.filled(&request).as_bytes());
        assert!(allowed.contains(&answer.status), "{what}: {}", answer.head);
        assert!(!answer.head.contains("access-control"), "{what}: {}", answer.head);
    }
    assert_eq!(server.painted.load(Ordering::SeqCst), 0);
    assert!(server.is_well());
}

#[test]
fn paths_that_lead_elsewhere() {
    let server = server();
    let names = ["etc/passwd", "Cargo.toml", "page/index.html", "index.html", ".git/config", ""];
    let ups = [
        "../",
        "..%2f",
        "%2e%2e/",
        "..\\",
        "..%5c",
        "%252e%252e%252f",
        "....//",
        "%00",
        "//",
        "/./",
        "file:///",
    ];
    for up in ups {
        for name in names {
            for depth in [1, 8] {
                let path = format!("/{}{name}", up.repeat(depth));
                let answer = server.get(&path);
                assert!([400, 404, 421].contains(&answer.status), "{path}: {}", answer.head);
            }
        }
    }
}

#[test]
fn pages_say_what_a_browser_may_do() {
    let server = server();
    for (path, kind) in [
        ("/", "text/html"),
        ("/page.js", "text/javascript"),
        ("/page.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
        ("/openapi.json", "application/json"),
        ("/v1/models", "application/json"),
        ("/nothing", "application/json"),
    ] {
        let answer = server.get(path);
        for header in [
            &format!("content-type: {kind}"),
            "x-content-type-options: nosniff",
            "frame-ancestors 'none'",
            "script-src 'self';",
            "referrer-policy: no-referrer",
        ] {
            assert!(answer.head.contains(header), "{path} lacks {header}: {}", answer.head);
        }
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
        let head = server.send(&request);
        assert_eq!((head.status, head.body.len()), (answer.status, 0), "{path}");
        let length = format!("content-length: {}", answer.body.len());
        assert!(answer.status == 404 || head.head.contains(&length), "{path}: {}", head.head);
    }
    assert_eq!(server.get("/page.js?x=1").status, 200);
    assert!(server.send(&post("/", "{}")).head.contains("allow: get, head"));
    assert!(server.get("/api/v1/generate").head.contains("allow: post"));
    let description = server.get("/openapi.json").json();
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.keys().all(|path| ![404, 0].contains(&server.get(path).status)));
}

/// A refusal is short and reveals nothing about the machine.
#[test]
fn refusals_give_nothing_away() {
    let server = server();
    let captions = ["<script>alert(1)</script>", "\\u001b[31m", "\\u0000", "é", "%s%n", "'; DROP"];
    for caption in captions {
        let body = format!(r#"{{"caption": "{caption}", "model": "{caption}"}}"#);
        let answer = server.send(&post("/api/v1/generate", &body));
        let told = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 422);
        assert!(told.len() < 200 && !told.contains(char::is_control), "{told:?}");
    }
    assert!(server.is_well());
}
