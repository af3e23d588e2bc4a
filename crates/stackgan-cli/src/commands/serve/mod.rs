//! `stackgan serve`: a web page for sentences, and an HTTP API, for models.

mod log;

use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context as _, Result};
use stackgan_data::formats::read_bounded;
use stackgan_serve::{Options, Shelf, Token};

use super::{Context, Loaded, encoders, load, print};
use crate::args::Serve;
use crate::exit::Problem;
use crate::progress::Phase;
use crate::signals::Stopper;
use log::Log;

/// Maximum size of a token file in bytes.
const LARGEST_TOKEN: u64 = 8 << 10;

/// Serves until a signal arrives.
pub(super) fn run(args: &Serve, context: &Context) -> Result<()> {
    let token = args.token_file.as_deref().map(token).transpose()?;
    let listener = listen(args, token.is_some())?;
    let shelf = shelf(args, context)?;
    let address = listener.local_addr().context("the server has no address")?;
    print(format!("http://{address}/"))?;
    let manner = context.manner;
    manner.say("open it in a browser; Ctrl-C ends the server");
    let options = Options { hosts: args.allow_host.clone(), token, ..Options::default() };
    let stopper = Stopper::listen()?;
    let stop = move || stopper.reason().is_some();
    let log = Log::new(manner);
    stackgan_serve::serve(listener, &shelf, options, move |event| log.tell(&event), stop)?;
    Ok(())
}

/// Opens the socket before the models are read, which takes a while.
fn listen(args: &Serve, token: bool) -> Result<TcpListener> {
    let address = args.listen;
    let place = format!("option: --listen {address}");
    if !token && !address.ip().is_loopback() {
        let parts = ("an address of this machine alone, or a secret", "neither");
        let remedy = "listen on 127.0.0.1, or make a secret (`openssl rand -hex 32 > token`) and give `--token-file token`";
        return Err(Problem::usage("others could use this server", place, parts, remedy).into());
    }
    TcpListener::bind(address).map_err(|error| {
        let parts = ("a port that is free", error.to_string());
        let remedy = "give another one: `--listen 127.0.0.1:0` takes any";
        Problem::usage("the server cannot listen", place, parts, remedy).into()
    })
}

fn shelf(args: &Serve, context: &Context) -> Result<Shelf> {
    let mut shelf = Shelf::default();
    let mut phase = Phase::new(context.manner, "reading", args.model.len() as u64, "models");
    let mut names = Vec::new();
    for path in &args.model {
        let Loaded { mut model, sha256, name, .. } = load(path, context)?;
        if !model.reads_sentences() {
            encoders::attach(&mut model, args.encoder.as_deref(), context)?;
        }
        let place = || format!("cannot serve the model\n  file: {}", path.display());
        shelf.put(&name, model, &sha256).with_context(place)?;
        names.push(name);
        phase.at(names.len() as u64);
    }
    phase.finish(&names.join(", "));
    Ok(shelf)
}

fn token(path: &Path) -> Result<Token> {
    let place = format!("option: --token-file {}", path.display());
    let bytes = read_bounded(path, LARGEST_TOKEN)?;
    // Invalid UTF-8 becomes an empty token, which is rejected.
    let text = String::from_utf8(bytes).unwrap_or_default();
    Token::parse(&text).context(place)
}
