//! HTTP responses: pictures in JSON, pages, and refusals with their reasons.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::card::Card;
use crate::refusal::Refusal;
use crate::shelf::Painted;
use crate::wanted::Wanted;

/// The response type for hyper.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A JSON response with this status.
pub(crate) fn json(status: u16, value: &Value) -> Answer {
    let mut answer = bytes("application/json", Bytes::from(value.to_string()));
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A response with the headers that every response has. They tell a browser to run only content
/// from here, to allow no framing, and not to guess types.
pub(crate) fn bytes(kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// The refusal of request number `request`.
pub(crate) fn refused(refusal: &Refusal, request: u64) -> Answer {
    let error = json!({
        "message": refusal.message,
        "param": refusal.field,
        "type": if refusal.status < 500 { "invalid_request_error" } else { "server_error" },
        "code": refusal.status,
        "request": request,
    });
    let mut answer = json(refusal.status, &json!({ "error": error }));
    let extra = match refusal.status {
        401 => Some((header::WWW_AUTHENTICATE, "Bearer")),
        405 if refusal.field == "GET" => Some((header::ALLOW, "GET, HEAD")),
        405 => Some((header::ALLOW, "POST")),
        503 => Some((header::RETRY_AFTER, "1")),
        _ => None,
    };
    if let Some((name, value)) = extra {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// The response of `/api/v1/generate`.
pub(crate) fn own(wanted: &Wanted, card: &Card, painted: &[Painted]) -> Answer {
    let pictures: Vec<Value> = painted
        .iter()
        .map(|painted| json!({ "provenance": painted.provenance, "png": STANDARD.encode(&painted.png) }))
        .collect();
    let of_sentences = painted.chunks(wanted.seeds.len().max(1)).filter_map(<[Painted]>::first);
    let unread: Vec<Value> = wanted
        .captions
        .iter()
        .zip(of_sentences)
        .filter_map(|(caption, first)| {
            Some(json!({ "caption": caption, "message": first.unread.as_ref()? }))
        })
        .collect();
    json(200, &json!({ "model": card.id, "pictures": pictures, "unread": unread }))
}

/// The response of `/v1/images/generations`.
pub(crate) fn images(card: &Card, painted: &[Painted]) -> Answer {
    let data: Vec<Value> = painted
        .iter()
        .map(|painted| {
            json!({ "b64_json": STANDARD.encode(&painted.png), "seed": painted.provenance.seed })
        })
        .collect();
    let size = painted
        .first()
        .map(|painted| format!("{}x{}", painted.provenance.width, painted.provenance.height));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let told = json!({
        "created": now, "model": card.id, "output_format": "png", "size": size, "data": data,
    });
    json(200, &told)
}
