//! The end of a server: on request, by panics, and by a device that does nothing more.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use stackgan_core::Error as CoreError;
use stackgan_core::candle::Error as DeviceError;

use super::{files, limits, start, start_with};
use crate::{Error, Event, Limits, Options, Shelf, serve};

/// The current painting is finished, waiting requests are told, and neither idle nor slow peers
/// delay the end.
#[test]
fn what_has_begun_is_finished() {
    for round in 0..3 {
        let mut server = start(limits(), |wanted| {
            std::thread::sleep(Duration::from_secs(1));
            files(wanted, 0)
        });
        let idle: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
        let mut slow = server.connect();
        slow.write_all(b"GET /healthz HTT").unwrap();
        let (ended, took, answers) = std::thread::scope(|scope| {
            let address = server.address;
            let asking: Vec<_> = (0..5)
                .map(|seed| {
                    let body = format!(r#"{{"caption": "a bird", "seed": {seed}}}"#);
                    let request = super::post("/api/v1/generate", &body);
                    let request = request.replace("HOST", &address.to_string());
                    scope.spawn(move || {
                        let mut stream = TcpStream::connect(address).unwrap();
                        stream.write_all(request.as_bytes()).unwrap();
                        super::Answer::read(&mut stream)
                    })
                })
                .collect();
            server.wait_for(|health| health["waiting"] == 4);
            let (ended, took) = server.end();
            let answers: Vec<_> = asking.into_iter().map(|a| a.join().unwrap()).collect();
            (ended, took, answers)
        });
        ended.unwrap();
        assert!(took < Duration::from_secs(6), "round {round}: {took:?}");
        let with = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((with(200), with(503)), (1, 4), "round {round}: {answers:?}");
        for answer in answers.iter().filter(|answer| answer.status == 200) {
            assert_eq!(answer.pictures().len(), 1);
        }
        assert!(TcpStream::connect(server.address).is_err());
        drop(idle);
    }
}

#[test]
fn a_panic_is_an_answer_and_three_are_the_end() {
    let mut server = start(limits(), |wanted| {
        assert!(wanted.captions.iter().all(|caption| caption != "panic"), "as the test wants");
        files(wanted, 0)
    });
    for _ in 0..2 {
        let answer = server.paint("panic", 0);
        assert_eq!(answer.status, 500);
        assert!(!String::from_utf8_lossy(&answer.body).contains("as the test wants"));
        assert!(server.is_well());
    }
    assert_eq!(server.paint("panic", 0).status, 500);
    let (ended, _) = server.end();
    assert!(matches!(ended, Err(Error::Broken)), "{ended:?}");
    let events = server.events.lock().unwrap();
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Failed { .. })).count(), 3);
}

#[test]
fn three_failures_of_the_device_in_a_row_are_the_end() {
    let said = |text: &str| Err(CoreError::Tensor(DeviceError::Msg(text.to_owned())));
    let mut server = start_with(limits(), move |wanted| match wanted.captions[0].as_str() {
        "broken" => said("DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal address\")"),
        "full" => said("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")"),
        "white" => Err(CoreError::NotFinite { place: 0, found: f32::NAN }),
        _ => Ok(files(wanted, 0)),
    });
    let rounds =
        ["broken", "broken", "a bird", "full", "white", "broken", "full", "white", "broken"];
    for caption in rounds {
        let status = if caption == "a bird" { 200 } else { 500 };
        assert_eq!(server.paint(caption, 0).status, status, "{caption}");
        assert_eq!(server.get("/healthz").json()["status"], "ok", "{caption}");
    }
    assert_eq!(server.paint("broken", 0).status, 500);
    let thread = server.thread.take().unwrap();
    let ended = thread.join().unwrap(); // nobody has asked for it
    assert!(matches!(ended, Err(Error::Broken)), "{ended:?}");
    let events = server.events.lock().unwrap();
    let broken = |event: &&Event| match event {
        Event::Failed { message, .. } => message.contains("ILLEGAL_ADDRESS"),
        _ => false,
    };
    assert_eq!(events.iter().filter(broken).count(), 5);
}

#[test]
fn an_open_door_needs_a_token() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let ended = serve(listener, &Shelf::default(), Options::default(), |_| (), || true);
    assert!(matches!(ended, Err(Error::Exposed(_))), "{ended:?}");
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let token = crate::Token::parse("0123456789abcdef0123456789abcdef").ok();
    let options = Options { token, limits: Limits::default(), ..Options::default() };
    serve(listener, &Shelf::default(), options, |_| (), || true).unwrap();
}
