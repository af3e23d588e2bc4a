//! `stackgan serve`: the same bytes as `generate` over HTTP, and the protection against others.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::common::{done, failed, training};
use crate::errors::four_parts;
use crate::folder::{signal, start};

/// The program, which runs until it is dropped.
struct Served {
    child: Child,
    /// `127.0.0.1:PORT`.
    address: String,
}

impl Served {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let mut child = start(dir, &[&["serve", "--listen", "127.0.0.1:0"], args].concat());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { child, address }
    }

    /// Posts JSON, and returns status and answer.
    fn post(&self, path: &str, body: &str, more: &str) -> (u16, Value) {
        self.post_as(&self.address, path, body, more)
    }

    /// The same for a server that is called `host`.
    fn post_as(&self, host: &str, path: &str, body: &str, more: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n{more}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    /// Sends a signal, and returns the exit code and stderr.
    fn end(mut self, name: &str) -> (Option<i32>, String) {
        signal(&self.child, name);
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Trains a Stage-I model in `dir`.
fn model(dir: &Path) {
    done(dir, &training("1", "2", &dir.join("low")));
}

fn decoded(base64: &Value) -> Vec<u8> {
    BASE64.decode(base64.as_str().unwrap()).unwrap()
}

#[cfg(unix)]
#[test]
fn a_server_answers_with_the_bytes_of_generate() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    model(dir);
    let caption = "a red bird with a yellow belly";
    let painted = done(dir, &["generate", "-m", "low", "-p", caption, "--seeds", "3-4", "-q"]);
    let painted: Vec<Vec<u8>> =
        painted.lines().map(|file| std::fs::read(dir.join(file)).unwrap()).collect();
    std::fs::copy(dir.join("low/model.safetensors"), dir.join("other.safetensors")).unwrap();
    let server = Served::start(dir, &["-m", "low", "-m", "other.safetensors"]);

    let body = format!(r#"{{"caption": "{caption}", "seeds": [3, 4]}}"#);
    let (status, told) = server.post("/api/v1/generate", &body, "");
    assert_eq!(status, 200, "{told}");
    let served: Vec<Vec<u8>> =
        told["pictures"].as_array().unwrap().iter().map(|p| decoded(&p["png"])).collect();
    assert!(served == painted, "other bytes than `generate` wrote");
    assert_eq!(told["pictures"][0]["provenance"]["caption"], caption);

    let body = format!(r#"{{"prompt": "{caption}", "n": 2, "seed": 3, "model": "low"}}"#);
    let (status, told) = server.post("/v1/images/generations", &body, "");
    assert_eq!((status, &told["size"]), (200, &"64x64".into()), "{told}");
    let served: Vec<Vec<u8>> =
        told["data"].as_array().unwrap().iter().map(|p| decoded(&p["b64_json"])).collect();
    assert!(served == painted, "other bytes than `generate` wrote");

    let (status, told) =
        server.post("/api/v1/generate", r#"{"caption": "é", "model": "other"}"#, "");
    let unread = told["unread"][0]["message"].as_str().unwrap();
    assert!(status == 200 && unread.contains("knows no character"), "{unread}");
    let (status, told) = server.post("/api/v1/generate", r#"{"caption": "a", "stage": 2}"#, "");
    assert!(status == 422 && told["error"]["param"] == "stage", "{told}");
    let evil = "Origin: http://evil.example\r\n";
    assert_eq!(server.post("/api/v1/generate", r#"{"caption": "a"}"#, evil).0, 403);
    let body = r#"{"caption": "a"}"#;
    let (status, told) = server.post_as("birds.example", "/api/v1/generate", body, "");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(status == 421 && message.contains("--allow-host"), "{told}");

    let (code, said) = server.end("-TERM");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("`{caption}`, 2 pictures in")), "{said}");
    assert!(said.contains("403, pages of other sites"), "{said}");
}

#[cfg(unix)]
#[test]
fn what_others_could_reach_wants_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (code, said) = failed(dir, &["serve", "-m", "low", "--listen", "0.0.0.0:0"]);
    assert!(code == 2 && said.contains("--token-file"), "{code}: {said}");
    std::fs::write(dir.join("short"), "secret\n").unwrap();
    let open = ["serve", "-m", "low", "--listen", "0.0.0.0:0", "--token-file"];
    let (code, said) = failed(dir, &[&open[..], &["short"]].concat());
    assert!(code == 2 && said.contains("openssl rand"), "{code}: {said}");
    let (code, said) = failed(dir, &[&open[..], &["absent"]].concat());
    assert!(code == 4 && said.contains("--token-file absent"), "{code}: {said}");
    std::fs::write(dir.join("odd"), [0xff; 40]).unwrap();
    let (code, said) = failed(dir, &[&open[..], &["odd"]].concat());
    assert!(code == 2 && said.contains("bytes that are none"), "{code}: {said}");
    for name in ["http://birds.example", "*", "", "birds.example:http"] {
        let (code, said) = failed(dir, &["serve", "-m", "low", "--allow-host", name]);
        assert_eq!(code, 2, "{name}: {said}");
        four_parts(&said, "--allow-host");
    }
    let (code, said) = failed(dir, &["serve", "-m", "absent"]);
    assert!(code == 4 && said.contains("there is no model"), "{code}: {said}");

    model(dir);
    let secret = "0123456789abcdef0123456789abcdef";
    std::fs::write(dir.join("token"), secret).unwrap();
    let server = Served::start(dir, &["-m", "low", "--token-file", "token"]);
    let body = r#"{"caption": "a red bird"}"#;
    let (status, told) = server.post("/api/v1/generate", body, "");
    assert_eq!(status, 401, "{told}");
    let bearer = format!("Authorization: Bearer {secret}\r\n");
    assert_eq!(server.post("/api/v1/generate", body, &bearer).0, 200);
    let (_, said) = server.end("-INT");
    assert!(!said.contains(secret), "{said}");

    let (code, said) =
        failed(dir, &["serve", "-m", "low", "-m", "./low", "--listen", "127.0.0.1:0"]);
    assert!(code == 2 && said.contains("`-m NAME=PATH`"), "{code}: {said}");
    let server = Served::start(dir, &["-m", "low", "-m", "v1.1=./low"]);
    let body = r#"{"caption": "a red bird", "model": "v1.1"}"#;
    let (status, told) = server.post("/api/v1/generate", body, "");
    assert_eq!((status, &told["model"]), (200, &"v1.1".into()), "{told}");
}
