//! Access control.
//!
//! A web page of another site must not be able to make a server on its reader's machine paint: not
//! by a host name that it has pointed here (`Host`), not by a form or a script (`Origin`, the type
//! of the body), and not by an image or a script that it includes (`Sec-Fetch-Site`).

use std::net::{IpAddr, SocketAddr};

use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, header::HeaderName};

use crate::Options;
use crate::refusal::Refusal;

/// Checks the head of a request. `secret` says whether the requested resource is protected by the
/// token.
pub(crate) fn check(
    head: &Parts,
    (options, address): (&Options, SocketAddr),
    secret: bool,
) -> Result<(), Refusal> {
    host(head, options, address)?;
    origin(head, options, address)?;
    if secret {
        token(&head.headers, options)?;
    }
    if head.method == Method::POST {
        json(&head.headers)?;
    }
    Ok(())
}

fn host(head: &Parts, options: &Options, address: SocketAddr) -> Result<(), Refusal> {
    let unknown = || {
        let told = "this server does not know the name in the address: use its IP address; whoever runs it can add the name: \
                    `stackgan serve --allow-host NAME`";
        Refusal::new(421, "Host", told)
    };
    let told: Option<Authority> = match only(&head.headers, header::HOST)? {
        Some(host) => Some(host.parse().map_err(|_| unknown())?),
        None => None,
    };
    let mut names = head.uri.authority().into_iter().chain(&told).peekable();
    if names.peek().is_some() && names.all(|name| is_ours(name, "http", options, address)) {
        return Ok(());
    }
    Err(unknown())
}

fn origin(head: &Parts, options: &Options, address: SocketAddr) -> Result<(), Refusal> {
    let foreign = || Refusal::new(403, "Origin", "pages of other sites are not answered");
    if let Some(origin) = only(&head.headers, header::ORIGIN)? {
        let (scheme, authority) = origin.split_once("://").ok_or_else(foreign)?;
        let authority: Authority = authority.parse().map_err(|_| foreign())?;
        if !is_ours(&authority, scheme, options, address) {
            return Err(foreign());
        }
    }
    // A followed link to the page does not count as a request of the other site.
    let get = matches!(head.method, Method::GET | Method::HEAD);
    let fetch = |name| only(&head.headers, HeaderName::from_static(name));
    let follows = get && fetch("sec-fetch-mode")? == Some("navigate");
    match fetch("sec-fetch-site")? {
        Some("cross-site" | "same-site") if !follows => Err(foreign()),
        _ => Ok(()),
    }
}

fn token(headers: &HeaderMap, options: &Options) -> Result<(), Refusal> {
    let Some(token) = &options.token else { return Ok(()) };
    let given = only(headers, header::AUTHORIZATION)?.and_then(|given| given.split_once(' '));
    match given {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") && token.is(given) => Ok(()),
        _ => Err(Refusal::new(
            401,
            "Authorization",
            "`Authorization: Bearer` and the token is needed",
        )),
    }
}

/// Requires JSON: a form cannot send this type, and a script of another site can send it only after
/// a preflight request, which is not answered.
fn json(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = only(headers, header::CONTENT_TYPE)?.unwrap_or_default();
    let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let parameters = parameters.trim().trim_end_matches(';').trim_end().to_ascii_lowercase();
    if kind.trim().eq_ignore_ascii_case("application/json")
        && ["", "charset=utf-8", "charset=\"utf-8\""].contains(&parameters.as_str())
    {
        return Ok(());
    }
    Err(Refusal::new(415, "Content-Type", "`Content-Type: application/json` is needed"))
}

/// Whether the host name of a request, or of a page's origin, is this server's.
fn is_ours(named: &Authority, scheme: &str, options: &Options, address: SocketAddr) -> bool {
    if named.as_str().contains('@') {
        return false;
    }
    if options.hosts.iter().any(|host| host.is(named)) {
        return ["http", "https"].contains(&scheme);
    }
    let port = match named.port() {
        Some(port) => port.as_str().parse().ok(),
        None => Some(80),
    };
    if scheme != "http" || port != Some(address.port()) {
        return false;
    }
    let bare = named.host().trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        // A numeric address cannot be spoofed by DNS. Addresses other than this machine's are those
        // of its network.
        Ok(number) => number.is_loopback() || !address.ip().is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

/// The value of a header that may occur at most once.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(&name).iter();
    let value = values.next();
    let text = value.map(|value| value.to_str());
    match (text, values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(text)),
        _ => Err(Refusal::new(400, "headers", "a header is there twice, or is no text")),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::{Host, Token};

    const HERE: &str = "127.0.0.1:7860";

    fn verdict(address: &str, options: &Options, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::post("/api/v1/generate");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        check(&head, (options, address.parse().unwrap()), true).map_or_else(|r| r.status, |()| 200)
    }

    /// All combinations of names, origins and types: each is decided by its own rule, independent
    /// of the others.
    #[test]
    fn names_origins_and_types() {
        let hosts = vec![Host::parse("birds.example").unwrap()];
        let options = Options { hosts, ..Options::default() };
        let hosts = [
            ("127.0.0.1:7860", true),
            ("localhost:7860", true),
            ("LOCALHOST:7860", true),
            ("[::1]:7860", true),
            ("127.0.0.2:7860", true),
            ("birds.example", true),
            ("Birds.Example:443", true),
            ("localhost", false),
            ("localhost:80", false),
            ("127.0.0.1", false),
            ("127.0.0.1:78600", false),
            ("evil.example:7860", false),
            ("localhost.evil.example:7860", false),
            ("evil.example.localhost:7860", false),
            ("127.0.0.1.evil.example:7860", false),
            ("192.168.1.5:7860", false),
            ("0.0.0.0:7860", false),
            ("user@localhost:7860", false),
            ("localhost:7860@evil.example", false),
            ("birds.example.evil", false),
            ("[::1", false),
            ("", false),
            ("localhost:", false),
            ("2130706433:7860", false),
            ("0x7f.1:7860", false),
        ];
        let origins = [
            (None, true),
            (Some("http://127.0.0.1:7860"), true),
            (Some("http://localhost:7860"), true),
            (Some("https://birds.example"), true),
            (Some("https://localhost:7860"), false),
            (Some("http://localhost"), false),
            (Some("http://localhost:3000"), false),
            (Some("http://evil.example"), false),
            (Some("null"), false),
            (Some(""), false),
            (Some("file://"), false),
            (Some("http://127.0.0.1:7860@evil.example"), false),
        ];
        let kinds = [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("application/json; charset=utf-16"), false),
            (Some("text/plain"), false),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("multipart/form-data; boundary=x"), false),
            (None, false),
        ];
        for (host, known) in hosts {
            for (origin, own) in origins {
                for (kind, json) in kinds {
                    let mut headers = vec![("host", host)];
                    headers.extend(origin.map(|origin| ("origin", origin)));
                    headers.extend(kind.map(|kind| ("content-type", kind)));
                    let expected = match (known, own, json) {
                        (false, ..) => 421,
                        (_, false, _) => 403,
                        (.., false) => 415,
                        _ => 200,
                    };
                    assert_eq!(verdict(HERE, &options, &headers), expected, "{headers:?}");
                }
            }
        }
    }

    #[test]
    fn a_semicolon_after_a_type_adds_nothing() {
        for (kind, status) in [
            ("application/json;", 200),
            ("application/json;charset=utf-8;", 200),
            ("application/json; charset=\"utf-8\" ; ", 200),
            ("application/json;charset=utf-8;x=y", 415),
            ("application/json;charset=utf-16;", 415),
            ("text/plain;", 415),
        ] {
            let headers = [("host", HERE), ("content-type", kind)];
            assert_eq!(verdict(HERE, &Options::default(), &headers), status, "{kind}");
        }
    }

    #[test]
    fn what_other_sites_include_is_not_answered() {
        let options = Options::default();
        let base = [("host", HERE), ("content-type", "application/json")];
        for (site, mode, status) in [
            ("same-origin", "cors", 200),
            ("none", "navigate", 200),
            ("cross-site", "no-cors", 403),
            ("same-site", "no-cors", 403),
            ("cross-site", "navigate", 403),
        ] {
            let fetch = [("sec-fetch-site", site), ("sec-fetch-mode", mode)];
            let headers = [&base[..], &fetch[..]].concat();
            assert_eq!(verdict(HERE, &options, &headers), status, "{site} {mode}");
        }
        let twice = [&base[..], &[("host", "evil.example")]].concat();
        assert_eq!(verdict(HERE, &options, &twice), 400);
    }

    #[test]
    fn from_elsewhere_only_with_the_token() {
        let secret = "0123456789abcdef0123456789abcdef";
        let options = Options { token: Token::parse(secret).ok(), ..Options::default() };
        let address = "0.0.0.0:7860";
        let bearer = format!("Bearer {secret}");
        for (given, status) in [
            (Some(bearer.as_str()), 200),
            (Some(&bearer.replace("Bearer", "bearer")), 200),
            (Some(secret), 401),
            (Some("Bearer "), 401),
            (Some(&format!("Basic {secret}")), 401),
            (Some(&format!("{bearer}0")), 401),
            (None, 401),
        ] {
            let mut headers =
                vec![("host", "192.168.1.5:7860"), ("content-type", "application/json")];
            headers.extend(given.map(|given| ("authorization", given)));
            assert_eq!(verdict(address, &options, &headers), status, "{given:?}");
        }
        let named = [("host", "nas.local:7860"), ("authorization", &bearer)];
        assert_eq!(verdict(address, &options, &named), 421);
    }
}
