//! The names of a server besides those of its machine.

use std::net::Ipv6Addr;

use hyper::http::uri::Authority;

use crate::{Error, Result};

/// A name as browsers send it in `Host`: `birds.example`, optionally with a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// Parses a name: letters, digits, `-`, `_` and dots, or an IP address such as `192.168.0.7` or
    /// `[fd00::7]`; a port may follow. The ports 80 and 443 count as none.
    ///
    /// # Errors
    /// [`Error::Host`] for anything that no browser sends: an address with `http://`, a pattern, an
    /// empty text.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = || Error::Host(text.chars().take(100).collect::<String>());
        let authority: Authority = text.parse().map_err(|_| refused())?;
        let host = authority.host();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let named = host.bytes().all(plain) && !host.trim_matches('.').is_empty();
        let number = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let number = number.and_then(|number| number.parse::<Ipv6Addr>().ok());
        let behind = text.get(host.len()..).unwrap_or_default();
        let port = behind.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        let sound = (named || number.is_some()) && text.starts_with(host);
        if !sound || !(behind.is_empty() || port) {
            return Err(refused());
        }
        // Browsers write an address in its shortest form, and leave the port of their scheme out.
        let host = number.map_or_else(|| host.to_owned(), |number| format!("[{number}]"));
        let behind = if [":80", ":443"].contains(&behind) { "" } else { behind };
        Ok(Self(host + behind))
    }

    /// Returns whether a request is for this name. If this name has a port, the request must have
    /// the same; without one, any port matches, as behind another server.
    pub(crate) fn is(&self, named: &Authority) -> bool {
        let Self(host) = self;
        host.eq_ignore_ascii_case(named.as_str()) || host.eq_ignore_ascii_case(named.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Browsers send `birds.example` for `http://birds.example:80`.
    #[test]
    fn a_default_port_is_none() {
        for text in ["birds.example:80", "birds.example:443", "birds.example"] {
            let host = Host::parse(text).unwrap();
            for named in ["birds.example", "birds.example:8080"] {
                assert!(host.is(&named.parse().unwrap()), "{text} {named}");
            }
        }
        for text in ["[fd00:0:0::7]", "[FD00::7]:80", "[fd00::7]"] {
            let host = Host::parse(text).unwrap();
            assert!(host.is(&"[fd00::7]:8080".parse().unwrap()), "{text}");
        }
        let host = Host::parse("birds.example:8080").unwrap();
        assert!(!host.is(&"birds.example".parse().unwrap()));
    }

    #[test]
    fn names_that_browsers_send_are_taken_and_others_refused() {
        for good in [
            "birds.example",
            "Birds.Example:8443",
            "localhost",
            "my_box",
            "192.168.0.7",
            "192.168.0.7:80",
            "[fd00::7]",
            "[fd00::7]:7860",
            "xn--vgel-5qa.example",
            "example.",
        ] {
            assert!(Host::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            " ",
            ".",
            "*",
            "*.birds.example",
            "http://birds.example",
            "birds.example/",
            "birds.example/path",
            "me@birds.example",
            "birds.example:",
            "birds.example:http",
            "birds.example:99999",
            "birds.example,other.example",
            "birds example",
            "::1",
            "[::1",
            "[birds]",
            "vögel.example",
        ] {
            let error = Host::parse(bad).unwrap_err().to_string();
            assert!(error.contains("do: ") && error.contains("birds.example"), "{bad}: {error}");
        }
    }
}
