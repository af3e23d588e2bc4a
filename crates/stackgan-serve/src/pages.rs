//! The pages for browsers: files that are compiled in.

use hyper::body::Bytes;

use crate::answer::{Answer, bytes};

const HTML: &str = "text/html; charset=utf-8";

/// The file with this path.
pub(crate) fn page(path: &str) -> Option<Answer> {
    let (kind, file): (_, &[u8]) = match path {
        "/" => (HTML, include_bytes!("page/index.html")),
        "/page.css" => ("text/css; charset=utf-8", include_bytes!("page/page.css")),
        "/page.js" => ("text/javascript; charset=utf-8", include_bytes!("page/page.js")),
        "/icon.svg" => ("image/svg+xml", include_bytes!("page/icon.svg")),
        "/openapi.json" => ("application/json", include_bytes!("page/openapi.json")),
        _ => return None,
    };
    Some(bytes(kind, Bytes::from_static(file)))
}
