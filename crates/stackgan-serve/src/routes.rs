//! Routing of requests by path, with access checks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request};
use serde_json::json;
use stackgan_core::generator_noise::LARGEST_SCALE;
use tokio::time::timeout;

use crate::answer::{self, Answer};
use crate::card::Card;
use crate::queue::{self, Queue, State};
use crate::refusal::Refusal;
use crate::shelf::Painted;
use crate::wanted::{self, Wanted};
use crate::{Event, Limits, Options, guard, pages};

/// What requests are answered from.
pub(crate) struct Site {
    pub(crate) cards: Vec<Card>,
    pub(crate) options: Options,
    pub(crate) address: SocketAddr,
    pub(crate) queue: Queue,
    pub(crate) state: Arc<State>,
    pub(crate) on_event: Arc<dyn Fn(Event) + Send + Sync>,
}

/// The answer to a request.
pub(crate) async fn answer(site: &Site, request: Request<Incoming>) -> Answer {
    let number = site.state.requests.fetch_add(1, Ordering::Relaxed);
    let head = request.method() == Method::HEAD;
    let mut answer = match routed(site, number, request).await {
        Ok(answer) => answer,
        Err(refusal) => {
            let answer = answer::refused(&refusal, number);
            let Refusal { status, message, .. } = refusal;
            (site.on_event)(Event::Refused { request: number, status, message });
            answer
        }
    };
    if head {
        let length = answer.body().size_hint().exact().unwrap_or_default();
        answer.headers_mut().insert("content-length", HeaderValue::from(length));
        *answer.body_mut() = Bytes::new().into();
    }
    answer
}

async fn routed(site: &Site, number: u64, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let get = matches!(head.method, Method::GET | Method::HEAD);
    let page = pages::page(path);
    let secret = page.is_none() && path != "/healthz";
    guard::check(&head, (&site.options, site.address), secret)?;
    match (path, &head.method) {
        (_, _) if page.is_some() && get => Ok(page.unwrap_or_default()),
        ("/healthz", _) if get => Ok(answer::json(200, &health(site))),
        ("/v1/models", _) if get => Ok(answer::json(200, &models(site))),
        ("/api/v1/generate", &Method::POST) => own(site, number, body).await,
        ("/v1/images/generations", &Method::POST) => images(site, number, body).await,
        ("/api/v1/generate" | "/v1/images/generations", _) => {
            Err(Refusal::new(405, "POST", "this is asked by POST"))
        }
        ("/healthz" | "/v1/models", _) => Err(Refusal::new(405, "GET", "this is asked by GET")),
        _ if page.is_some() => Err(Refusal::new(405, "GET", "this is asked by GET")),
        _ => Err(Refusal::new(
            404,
            "path",
            "there is nothing here; `openapi.json` says what there is",
        )),
    }
}

async fn own(site: &Site, number: u64, body: Incoming) -> Result<Answer, Refusal> {
    let limits = &site.options.limits;
    let wanted = wanted::own(&read(body, limits).await?, &site.cards, limits)?;
    let painted = painted(site, number, wanted.clone()).await?;
    Ok(answer::own(&wanted, card(site, &wanted)?, &painted))
}

async fn images(site: &Site, number: u64, body: Incoming) -> Result<Answer, Refusal> {
    let limits = &site.options.limits;
    let wanted = wanted::images(&read(body, limits).await?, &site.cards, limits)?;
    let painted = painted(site, number, wanted.clone()).await?;
    Ok(answer::images(card(site, &wanted)?, &painted))
}

/// Queues a request for painting, and waits for the pictures.
async fn painted(site: &Site, number: u64, wanted: Wanted) -> Result<Vec<Painted>, Refusal> {
    let wait = site.options.limits.answer_time;
    let reply = site.queue.put(number, wanted)?;
    let late = |_| Refusal::new(503, "queue", "it took too long; try again in a second");
    let reply = timeout(wait, reply).await.map_err(late)?;
    reply.unwrap_or_else(|_| Err(queue::stopping())) // the painter has ended
}

fn card<'a>(site: &'a Site, wanted: &Wanted) -> Result<&'a Card, Refusal> {
    site.cards.get(wanted.model).ok_or_else(|| Refusal::new(500, "server", "a model is no more"))
}

/// Reads a body, with limits on size and time.
async fn read(body: Incoming, limits: &Limits) -> Result<Bytes, Refusal> {
    let most = limits.body;
    let large = || Refusal::new(413, "body", format!("at most {most} bytes are read"));
    if body.size_hint().lower() > most as u64 {
        return Err(large());
    }
    match timeout(limits.body_time, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(large()),
        Ok(Err(_)) => Err(Refusal::new(400, "body", "the body broke off, or is no HTTP")),
        Err(_) => Err(Refusal::new(408, "body", "the body took too long")),
    }
}

fn health(site: &Site) -> serde_json::Value {
    let state = &site.state;
    let stopping = state.stopping.load(Ordering::Relaxed);
    json!({
        "status": if stopping { "stopping" } else { "ok" },
        "waiting": site.queue.waiting(),
        "painted": state.painted.load(Ordering::Relaxed),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

fn models(site: &Site) -> serde_json::Value {
    let model = |card: &Card| {
        let mut model = json!(card);
        model["object"] = json!("model");
        model["owned_by"] = json!("stackgan");
        model
    };
    let limits = &site.options.limits;
    json!({ "object": "list", "data": site.cards.iter().map(model).collect::<Vec<_>>(),
        "limits": { "pictures": limits.pictures, "caption": limits.caption, "scale": LARGEST_SCALE } })
}
