//! More requests than can be painted.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Answer, files, limits, post, start};
use crate::{Event, Limits};

/// With one painter and a queue of two, 24 persistent clients get their own pictures or are told to
/// come back, and other requests are answered at once.
#[test]
fn a_crowd_is_served_in_turn_or_told_to_come_back() {
    let server = start(Limits { waiting: 2, ..limits() }, |wanted| {
        std::thread::sleep(Duration::from_millis(15));
        files(wanted, 0)
    });
    let until = Instant::now() + Duration::from_secs(2);
    let (mut served, mut refused, mut health) = (0, 0, Duration::ZERO);
    std::thread::scope(|scope| {
        let client = |client: u64| {
            let (mut served, mut refused) = (0, 0);
            for round in 0.. {
                if Instant::now() > until {
                    break;
                }
                let seed = client * 1000 + round;
                let answer = server.paint("a bird", seed);
                match answer.status {
                    200 => {
                        assert_eq!(answer.pictures(), [format!("a bird {seed}")]);
                        served += 1;
                    }
                    503 => {
                        assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
                        refused += 1;
                    }
                    status => panic!("status {status}: {answer:?}"),
                }
            }
            (served, refused)
        };
        let clients: Vec<_> = (0..24).map(|i| scope.spawn(move || client(i))).collect();
        while Instant::now() < until {
            let asked = Instant::now();
            assert_eq!(server.get("/healthz").status, 200);
            health = health.max(asked.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
        for client in clients {
            let (s, r) = client.join().unwrap();
            (served, refused) = (served + s, refused + r);
        }
    });
    assert!(served > 20 && refused > 20, "served {served}, refused {refused}");
    assert_eq!(server.most.load(Ordering::SeqCst), 1);
    assert!(health < Duration::from_secs(3), "{health:?}");
    let health = server.get("/healthz").json();
    assert_eq!((&health["painted"], &health["waiting"]), (&served.into(), &0.into()));
}

#[test]
fn who_leaves_is_not_painted_for() {
    let server = start(limits(), |wanted| {
        std::thread::sleep(Duration::from_millis(100));
        files(wanted, 0)
    });
    let request = server.filled(&post("/api/v1/generate", r#"{"caption": "a lost bird"}"#));
    let leave = |_| server.connect().write_all(request.as_bytes()).unwrap();
    (0..12).for_each(leave);
    assert!(server.is_well());
    let painted = server.painted.load(Ordering::SeqCst);
    assert!(painted < 9, "{painted} of 13 requests were painted");
}

/// The queue has room again as soon as somebody leaves, not only after the current painting.
#[test]
fn who_leaves_keeps_no_place() {
    let server = start(Limits { waiting: 2, ..limits() }, |wanted| {
        let slow = wanted.captions.iter().any(|caption| caption == "a slow bird");
        std::thread::sleep(Duration::from_secs(if slow { 3 } else { 0 }));
        files(wanted, 0)
    });
    let request = server.filled(&post("/api/v1/generate", r#"{"caption": "a lost bird"}"#));
    let ask = |_| {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| server.paint("a slow bird", 0));
        while server.painted.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let lost: Vec<_> = (0..2).map(ask).collect();
        server.wait_for(|health| health["waiting"] == 2);
        assert_eq!(server.paint("a bird too many", 0).status, 503);
        drop(lost);
        server.wait_for(|health| health["waiting"] == 0);
        assert_eq!(server.painted.load(Ordering::SeqCst), 1, "the slow bird came too early");
        assert!(server.is_well());
        assert_eq!(slow.join().unwrap().status, 200);
    });
    assert_eq!(server.painted.load(Ordering::SeqCst), 2);
}

#[test]
fn who_has_waited_too_long_is_told() {
    let wait = Duration::from_millis(200);
    let server = start(Limits { answer_time: wait, ..limits() }, |wanted| {
        std::thread::sleep(Duration::from_secs(3));
        files(wanted, 0)
    });
    let asked = Instant::now();
    let answer = server.paint("a slow bird", 0);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
}

#[test]
fn what_was_painted_is_told() {
    let server = start(limits(), |wanted| files(wanted, 0));
    let body = r#"{"captions": ["a", "b"], "seeds": [5, 6]}"#;
    let answer = server.send(&post("/api/v1/generate", body));
    assert_eq!(answer.pictures(), ["a 5", "a 6", "b 5", "b 6"]);
    let answer = server.send(&post("/v1/images/generations", r#"{"prompt": "a", "n": 2}"#));
    let told = answer.json();
    assert_eq!(
        (told["data"][1]["seed"].as_u64(), told["size"].as_str()),
        (Some(1), Some("256x256"))
    );
    assert_eq!(server.send(&post("/api/v1/generate", "{}")).status, 422);
    let events = server.events.lock().unwrap();
    let [
        Event::Painted { request: 0, caption, pictures: 4, .. },
        Event::Painted { pictures: 2, .. },
        Event::Refused { request: 2, status: 422, .. },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(caption, "a");
}

/// Several requests on one connection are answered in order.
#[test]
fn a_connection_is_kept() {
    let server = start(limits(), |wanted| files(wanted, 0));
    let first = server.filled(&post("/api/v1/generate", r#"{"caption": "first"}"#));
    let first = first.replace("Connection: close\r\n", "");
    let last = server.filled(&post("/api/v1/generate", r#"{"caption": "last"}"#));
    let mut stream = server.connect();
    stream.write_all((first + &last).as_bytes()).unwrap();
    let both = Answer::read(&mut stream);
    let text = String::from_utf8_lossy(&both.body).into_owned();
    // The first one's head had already been read.
    assert_eq!(text.matches("HTTP/1.1 200").count(), 1, "{text}");
    assert!(text.find("first").unwrap() < text.find("last").unwrap());
}

/// Limits that are more than can be counted, or waited for, are those of a long time.
#[test]
fn limits_without_an_end_are_limits() {
    let (most, long) = (usize::MAX, Duration::MAX);
    let server = start(
        Limits {
            connections: most,
            waiting: most,
            header_time: long,
            idle_time: long,
            body_time: long,
            answer_time: long,
            write_time: long,
            drain_time: long,
            ..limits()
        },
        |wanted| files(wanted, 1 << 20),
    );
    assert_eq!(server.paint("a bird", 3).status, 200);
}

/// Each sentence of which something is not read is told once, whatever the number of seeds.
#[test]
fn what_is_not_read_is_told_of_its_sentence() {
    let server = start(limits(), |wanted| files(wanted, 0));
    let body = r#"{"captions": ["a bird", "é"], "seeds": [1, 2, 3]}"#;
    let answer = server.send(&post("/api/v1/generate", body));
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let expected = serde_json::json!([{ "caption": "é", "message": "not all of é" }]);
    assert_eq!(told["unread"], expected);
}
