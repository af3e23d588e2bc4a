//! HTTP requests and their failures. Blocking, without a runtime; TLS certificates are always
//! verified.

use std::time::Duration;

use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Proxy, ProxyProtocol};

use super::patience::Patience;
use super::redirect;
use super::resolve::{LeadsInside, Names, Sides};
use super::side::{Side, is_inner};
use crate::Error;
use crate::error::printable;

/// Why a download failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A retry may succeed.
    Again {
        /// The cause.
        why: String,
        /// How long the server asks to wait.
        wait: Option<Duration>,
    },
    /// This address cannot provide the file.
    Final {
        /// The cause.
        why: String,
        /// Whether the server says that the file does not exist.
        absent: bool,
    },
    /// No address can help.
    Fatal(Error),
}

impl Failure {
    pub(super) fn again(why: impl Into<String>) -> Self {
        Self::Again { why: why.into(), wait: None }
    }

    pub(super) fn last(why: impl Into<String>) -> Self {
        Self::Final { why: why.into(), absent: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

/// An HTTP client.
#[derive(Debug)]
pub(super) struct Client {
    outside: Agent,
    /// For addresses that a public server named.
    beyond: Agent,
    /// For addresses of this machine and the local network, which bypass any proxy.
    inside: Agent,
    /// On which side the requested hosts are.
    sides: Sides,
    /// A token that is sent to one server only, and not to servers that it redirects to.
    secret: Option<Secret>,
}

/// A token, and the scheme, host and port that may receive it.
struct Secret {
    bearer: String,
    server: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a token for {}", self.server)
    }
}

/// The longest that is waited: clocks do not count for ever.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

impl Client {
    pub(super) fn new(patience: &Patience) -> Self {
        // ureq would connect to nothing by some SOCKS proxies, and past the others.
        let is_http =
            |proxy: &Proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
        Self::through(Proxy::try_from_env().filter(is_http), patience)
    }

    fn through(proxy: Option<Proxy>, patience: &Patience) -> Self {
        let (trusted, sides) = (trusted(), Sides::default());
        let (connect, stall) = (patience.connect.min(LONGEST), patience.stall.min(LONGEST));
        let agent = |proxy: Option<Proxy>, named: Side| -> Agent {
            let config = Agent::config_builder()
                .tls_config(TlsConfig::builder().root_certs(trusted.clone()).build())
                .timeout_resolve(Some(connect))
                .timeout_connect(Some(connect))
                .timeout_recv_response(Some(stall))
                .timeout_per_read(Some(stall))
                .timeout_per_write(Some(stall))
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .accept_encoding("identity") // the bytes that are hashed
                .user_agent(concat!("stackgan/", env!("CARGO_PKG_VERSION")))
                .proxy(proxy)
                .build();
            let names = Names { named, sides: sides.clone() };
            Agent::with_parts(config, DefaultConnector::default(), names)
        };
        Self {
            outside: agent(proxy.clone(), Side::Inside),
            beyond: agent(proxy, Side::Outside),
            inside: agent(None, Side::Inside),
            sides,
            secret: None,
        }
    }

    /// Creates a client that sends a token to the server of `address`.
    pub(super) fn with_token(patience: &Patience, token: Option<&str>, address: &str) -> Self {
        let secret = token.zip(server(address));
        let secret =
            secret.map(|(token, server)| Secret { bearer: format!("Bearer {token}"), server });
        Self { secret, ..Self::new(patience) }
    }

    /// Requests `address`, following redirects.
    pub(super) fn get(
        &self,
        address: &str,
        headers: &[(&str, String)],
    ) -> Result<Response<Body>, Failure> {
        let (mut at, mut named) = (address.to_owned(), Side::Inside);
        for _ in 0..=redirect::MOST {
            let response = self.once(&at, headers, named)?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let Some(location) = header(&response, "location") else {
                return Err(Failure::last("a redirect to nowhere"));
            };
            let side = self.sides.of(&uri(&at)?);
            at = redirect::follow(&at, side, &location)
                .map_err(|why| Failure::last(format!("{why} ({})", printable(&location))))?;
            named = side;
        }
        Err(Failure::last(format!("more than {} redirects, one after the other", redirect::MOST)))
    }

    /// Requests an address that was named on this side.
    fn once(
        &self,
        address: &str,
        headers: &[(&str, String)],
        named: Side,
    ) -> Result<Response<Body>, Failure> {
        let uri = uri(address)?;
        let agent = match named {
            Side::Outside => &self.beyond,
            Side::Inside if uri.host().is_some_and(is_inner) => &self.inside,
            Side::Inside => &self.outside,
        };
        let mut request = agent.get(uri);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(Secret { bearer, .. }) =
            self.secret.as_ref().filter(|secret| server(address).as_ref() == Some(&secret.server))
        {
            request = request.header("authorization", bearer);
        }
        request.call().map_err(|error| match error {
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::TlsRequired => {
                Failure::last(format!("no safe connection: {error}"))
            }
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Failure::last(format!(
                    "no safe connection: {} ({TRUST})",
                    reason(&error.to_string())
                ))
            }
            ureq::Error::Other(why) if why.is::<LeadsInside>() => {
                Failure::last(format!("{why} ({})", printable(address)))
            }
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => Failure::last(error.to_string()),
            error => Failure::again(reason(&error.to_string())),
        })
    }
}

/// The remedy for an untrusted certificate.
const TRUST: &str =
    "an authority of your own network: SSL_CERT_FILE names a PEM file of those to trust";

/// The trusted root certificates: the system's, or those named by `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`. If there are none, as in a bare container, Mozilla's, which are compiled in.
fn trusted() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    found.iter().map(|der| Certificate::from_der(der).to_owned()).into()
}

fn uri(address: &str) -> Result<Uri, Failure> {
    address.parse().map_err(|_| Failure::last("an address that is none"))
}

/// The scheme, host and port of an address.
fn server(address: &str) -> Option<String> {
    let uri: Uri = address.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?).to_ascii_lowercase())
}

/// The value of the header `name` as text.
pub(super) fn header(response: &Response<Body>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.trim().to_owned())
}

/// The system's description of a broken connection, safe to show.
pub(super) fn reason(text: &str) -> String {
    printable(text.trim_start_matches("io: "))
}

/// Parses `bytes 10-35/36`: first byte, last byte, and total length.
pub(super) fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let whole = if whole == "*" { None } else { Some(number(whole)?) };
    let (first, last) = (number(first)?, number(last)?);
    (first <= last && whole.is_none_or(|whole| last < whole)).then_some((first, last, whole))
}

/// Parses `bytes */36`, the response to an unsatisfiable range: the total length.
pub(super) fn unsatisfied(text: &str) -> Option<u64> {
    number(text.strip_prefix("bytes */")?)
}

/// Accepts digits only, because `parse` would accept a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::TcpListener;

    use super::super::side::INWARD;
    use super::*;

    /// A host name that only the system's resolver knows, for this machine, stands for any name
    /// that leads inside.
    #[cfg(unix)]
    #[test]
    fn what_a_name_leads_to_is_judged_before_it_is_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = Client::through(None, &Patience::default());
        listener.set_nonblocking(true).unwrap();
        for host in ["127.1", "2130706433", "localhost"] {
            let address = format!("http://{host}:{port}/x");
            match client.once(&address, &[], Side::Outside) {
                Err(Failure::Final { why, .. }) => {
                    assert!(why.contains(INWARD) && why.contains(host), "{why}");
                }
                other => panic!("{host}: {other:?}"),
            }
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "{host}");
        }
        // A mirror that the user named and that is inside may redirect anywhere.
        listener.set_nonblocking(false).unwrap();
        let there = std::thread::spawn(move || {
            for head in
                [format!("302 X\r\nLocation: http://127.0.0.1:{port}/y"), "200 X".to_owned()]
            {
                let (mut line, _) = listener.accept().unwrap();
                let _ = line.read(&mut [0; 4096]).unwrap();
                let rest = "Content-Length: 0\r\nConnection: close\r\n\r\n";
                line.write_all(format!("HTTP/1.1 {head}\r\n{rest}").as_bytes()).unwrap();
            }
        });
        let answer = client.get(&format!("http://127.1:{port}/x"), &[]).unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        there.join().unwrap();
    }

    #[test]
    fn ranges_are_read_strictly() {
        assert_eq!(content_range("bytes 10-35/36"), Some((10, 35, Some(36))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, 0, None)));
        for bad in [
            "",
            "bytes",
            "bytes */36",
            "bytes 10-36/36",
            "bytes 5-4/36",
            "bytes +1-2/3",
            "bytes -1-2/3",
            "items 0-1/2",
            "bytes 0-18446744073709551616/*",
            "bytes 0-1/",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
        assert_eq!(unsatisfied("bytes */36"), Some(36));
        assert_eq!(unsatisfied("bytes */*"), None);
    }
}
