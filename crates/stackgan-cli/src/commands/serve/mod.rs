//! `stackgan serve`: a web page for sentences, and an HTTP API, for models.

mod log;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Once;

use anyhow::{Context as _, Result};
use stackgan_data::formats::read_bounded;
use stackgan_serve::{Host, Options, Shelf, Token};

use crate::args::Serve;
use crate::context::Context;
use crate::encoders;
use crate::exit::Problem;
use crate::models::{Loaded, load};
use crate::output::print;
use crate::progress::Phase;
use crate::signals::Stopper;
use log::Log;

/// Maximum size of a token file in bytes.
const LARGEST_TOKEN: u64 = 8 << 10;

/// What is said when a signal arrives.
const ENDING: &str =
    "ending: what is being painted and sent is finished first; a second Ctrl-C ends at once";

/// Serves until a signal arrives.
pub(super) fn run(args: &Serve, context: &Context) -> Result<()> {
    let token = args.token_file.as_deref().map(token).transpose()?;
    let hosts = args.allow_host.iter().map(|name| {
        let place =
            || format!("the name is no server's\n  option: --allow-host {}", name.escape_debug());
        Host::parse(name).with_context(place)
    });
    let hosts = hosts.collect::<Result<Vec<_>>>()?;
    let listener = listen(args.listen, token.as_ref())?;
    let shelf = shelf(args, context)?;
    let address = listener.local_addr().context("the server has no address")?;
    print(format!("http://{address}/"))?;
    let manner = context.manner;
    let host = match address.ip().is_unspecified() {
        true => {
            ", with this machine's IP address in place of this one, or a name that `--allow-host` gives"
        }
        false => "",
    };
    let secret = token.as_ref().map_or("", |_| ", with `#token=` and the token after it");
    manner.say(format!("open it in a browser{host}{secret}; Ctrl-C ends the server"));
    let options = Options { hosts, token, ..Options::default() };
    let stopper = Stopper::listen()?;
    let log = Log::new(manner);
    let ending = Once::new();
    let stop = move || {
        let stops = stopper.reason().is_some();
        if stops {
            ending.call_once(|| manner.say(ENDING));
        }
        stops
    };
    stackgan_serve::serve(listener, &shelf, options, move |event| log.tell(&event), stop)?;
    Ok(())
}

/// Opens the socket before the models are read, which takes a while.
fn listen(address: SocketAddr, token: Option<&Token>) -> Result<TcpListener> {
    let place = format!("option: --listen {address}");
    if token.is_none() && !address.ip().is_loopback() {
        let parts = ("an address of this machine alone, or a secret", "neither");
        let remedy = "listen on 127.0.0.1, or make a secret (`openssl rand -hex 32 > token`) and give `--token-file token`";
        return Err(Problem::usage("others could use this server", place, parts, remedy).into());
    }
    TcpListener::bind(address).map_err(|error| {
        let (expected, remedy) = match error.kind() {
            ErrorKind::AddrNotAvailable => (
                "an address of this machine",
                "listen on 127.0.0.1 for this machine alone, on 0.0.0.0 for others",
            ),
            ErrorKind::PermissionDenied => {
                ("a port that this user may open", "give one above 1023: `--listen 127.0.0.1:7860`")
            }
            _ => ("a port that is free", "give another one: `--listen 127.0.0.1:0` takes any"),
        };
        Problem::usage("the server cannot listen", place, (expected, error.to_string()), remedy)
            .into()
    })
}

fn shelf(args: &Serve, context: &Context) -> Result<Shelf> {
    let mut shelf = Shelf::default();
    let mut phase = Phase::new(context.manner, "reading", args.model.len() as u64, "models");
    let mut names = Vec::new();
    for typed in &args.model {
        let (given, path) = named(typed);
        let Loaded { mut model, sha256, name, .. } = load(path, context)?;
        let name = given.map_or(name, str::to_owned);
        if names.contains(&name) {
            let parts = ("a name of its own", format!("`{}` once more", name.escape_debug()));
            let remedy = "give it another name: `-m NAME=PATH`";
            let place = format!("option: --model {}", typed.display());
            return Err(Problem::usage("two models of one name", place, parts, remedy).into());
        }
        if !model.reads_sentences() {
            encoders::attach(&mut model, args.encoder.as_deref(), context)?;
        }
        if !model.reads_sentences() {
            let place = format!("file: {}", path.display());
            let expected = "the encoder that made the embeddings of its training";
            let remedy = "name it: `--encoder ENCODER`";
            let what = "the model has no text encoder";
            return Err(Problem::missing(what, place, expected, remedy).into());
        }
        let place = || format!("cannot serve the model\n  file: {}", path.display());
        shelf.put(&name, model, &sha256).with_context(place)?;
        names.push(name);
        phase.at(names.len() as u64);
    }
    phase.finish(&names.join(", "));
    Ok(shelf)
}

/// Splits `NAME=MODEL` into name and model. Without a valid name, or if there is a file with this
/// whole name, everything is the model.
fn named(typed: &Path) -> (Option<&str>, &Path) {
    match split(typed).filter(|_| !typed.exists()) {
        Some((name, path)) if !name.is_empty() && !name.contains('/') => (Some(name), path),
        _ => (None, typed),
    }
}

/// Splits at the first `=`.
#[cfg(unix)]
fn split(typed: &Path) -> Option<(&str, &Path)> {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = typed.as_os_str().as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=')?;
    let path = std::ffi::OsStr::from_bytes(bytes.get(at + 1..)?);
    Some((str::from_utf8(bytes.get(..at)?).ok()?, Path::new(path)))
}

/// Splits at the first `=`, if all of it is text.
#[cfg(not(unix))]
fn split(typed: &Path) -> Option<(&str, &Path)> {
    let (name, path) = typed.to_str()?.split_once('=')?;
    Some((name, Path::new(path)))
}

fn token(path: &Path) -> Result<Token> {
    let place = format!("option: --token-file {}", path.display());
    if !path.exists() {
        let remedy = "make one: `openssl rand -hex 32 > token`, and give `--token-file token`";
        let expected = "a file with a secret";
        return Err(Problem::missing("there is no such file", place, expected, remedy).into());
    }
    let bytes = read_bounded(path, LARGEST_TOKEN)?;
    Token::parse(&bytes).with_context(|| format!("the server has no secret\n  {place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_given_a_name_before_an_equals_sign() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("a=b");
        std::fs::write(&there, "").unwrap();
        for (typed, name, model) in [
            ("birds=runs/1/model.safetensors", Some("birds"), "runs/1/model.safetensors"),
            ("v1.1=hub:me/birds@v1", Some("v1.1"), "hub:me/birds@v1"),
            ("birds=a=b", Some("birds"), "a=b"),
            ("runs/a=b/model", None, "runs/a=b/model"),
            ("=birds", None, "=birds"),
            ("hub:me/birds", None, "hub:me/birds"),
        ] {
            assert_eq!(named(Path::new(typed)), (name, Path::new(model)), "{typed}");
        }
        assert_eq!(named(&there), (None, there.as_path()));
        #[cfg(unix)]
        {
            use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
            let odd = Path::new(OsStr::from_bytes(b"birds=\xff"));
            assert_eq!(named(odd), (Some("birds"), Path::new(OsStr::from_bytes(b"\xff"))));
        }
    }
}
