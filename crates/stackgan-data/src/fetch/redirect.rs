//! The rules for redirects.
//!
//! A redirect may lead to http and https, never from https to http, and never from a public server
//! to an address of this machine or network. Where a host name leads is checked when it is
//! connected to (`resolve`).

use std::net::Ipv4Addr;

use ureq::http::Uri;

use super::side::{INWARD, Side, is_inner};

/// Maximum number of redirects of one request.
pub(super) const MOST: usize = 5;

/// Resolves a redirect from `at`, a server on this `side`, to `location`.
///
/// # Errors
/// The reason for not following it.
pub(super) fn follow(at: &str, side: Side, location: &str) -> Result<String, String> {
    let base: Uri = at.parse().map_err(|_| "an address that is none".to_owned())?;
    let (Some(scheme), Some(authority)) = (base.scheme_str(), base.authority()) else {
        return Err("an address without a host".to_owned());
    };
    let location = location.split('#').next().unwrap_or_default();
    let target = if has_scheme(location) {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let scheme_of = |text: &str| text.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match (scheme, scheme_of(&target).as_str()) {
        (_, "https") | ("http", "http") => {}
        ("https", "http") => return Err("a redirect from https to http".to_owned()),
        _ => return Err("a redirect to something other than http and https".to_owned()),
    }
    let uri: Uri = target.parse().map_err(|_| "a redirect to no address".to_owned())?;
    let host = uri.host().unwrap_or_default();
    if host.is_empty() || uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err("a redirect to no plain host".to_owned());
    }
    if is_number(host) && host.parse::<Ipv4Addr>().is_err() {
        return Err("a redirect to a number in place of a host".to_owned());
    }
    if is_inner(host) && side == Side::Outside {
        return Err(INWARD.to_owned());
    }
    Ok(target)
}

/// Whether systems parse a host as a number, such as 127.1 or 0x7f000001. Decided by the last
/// label, as in browsers.
fn is_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let digits = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    digits || hex.is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether `location` begins with a scheme such as `ftp:`: a word and a colon.
fn has_scheme(location: &str) -> bool {
    location.split_once(':').is_some_and(|(word, _)| {
        let mut letters = word.bytes();
        letters.next().is_some_and(|b| b.is_ascii_alphabetic())
            && letters.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_joined_as_a_browser_joins_them() {
        for (location, target) in [
            ("https://b.org/x", "https://b.org/x"),
            ("HTTPS://b.org/x#part", "HTTPS://b.org/x"),
            ("//b.org/x", "https://b.org/x"),
            ("/y?z=1", "https://a.org/y?z=1"),
            ("other.tgz", "https://a.org/f/other.tgz"),
            ("?z=1", "https://a.org/f/x.tgz?z=1"),
            ("a:b", ""),
        ] {
            let found = follow("https://a.org/f/x.tgz?q", Side::Outside, location);
            assert_eq!(found.unwrap_or_default(), target, "{location}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for location in [
            "http://a.org/x",
            "file:///etc/passwd",
            "ftp://a.org/x",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://",
            "https://user@b.org/x",
            "https://127.0.0.1/x",
            "https://localhost:8080/x",
            "https://a.localhost./x",
            "https://10.0.0.1/",
            "https://192.168.1.1/",
            "https://172.16.0.9/",
            "https://169.254.169.254/latest/meta-data",
            "https://0.0.0.0/",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://b.org/a b",
            "https://2130706433/x",
            "https://017700000001/",
            "https://0x7f000001/",
            "https://0X7F.1/",
            "https://127.1/",
            "https://127.1.:80/",
            "https://127.0.0.1./",
            "https://0177.0.0.1/",
            "https://1.2.3.4.5/",
        ] {
            assert!(follow("https://a.org/x", Side::Outside, location).is_err(), "{location}");
        }
        // Redirects within the local machine are allowed.
        assert!(follow("http://127.0.0.1:81/x", Side::Inside, "http://127.0.0.1:82/x").is_ok());
        for location in
            ["https://8.8.8.8/x", "https://1.2.3.4.b2/", "https://0xg/", "https://b.0xorg/"]
        {
            assert!(follow("http://a.org/x", Side::Outside, location).is_ok(), "{location}");
        }
    }
}
