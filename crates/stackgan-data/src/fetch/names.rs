//! Hosts, looked up: what is connected to is what was checked (RELIABILITY N5). A name may lead inside as well as an
//! address. What a proxy connects to it looks up itself: that is judged by its text alone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::redirect;

/// Where a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// On this machine, or in a network that is not public.
    Inside,
    /// Anywhere else.
    Outside,
}

/// Where the names of hosts led, by host and port.
#[derive(Clone, Debug, Default)]
pub(super) struct Sides(Arc<Mutex<BTreeMap<String, Side>>>);

impl Sides {
    /// Where the host of `address` is: inside if its text says so, or if it never led elsewhere.
    pub(super) fn of(&self, address: &Uri) -> Side {
        if address.host().is_some_and(redirect::is_inner) {
            return Side::Inside;
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key(address)).copied().unwrap_or(Side::Outside)
    }

    fn note(&self, address: &Uri, side: Side) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = known.entry(key(address)).or_insert(side);
        if side == Side::Outside {
            *noted = side;
        }
    }
}

fn key(address: &Uri) -> String {
    address.authority().map_or_else(String::new, |a| a.as_str().to_ascii_lowercase())
}

/// Looks names up as the system does.
#[derive(Debug)]
pub(super) struct Names {
    /// Whether a host that is inside may be connected to.
    pub(super) may: Reach,
    /// Where what it looked up led.
    pub(super) sides: Sides,
}

/// Whom a request may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Everybody.
    Anywhere,
    /// Nobody inside: the address came from somebody outside.
    OutsideOnly,
}

/// That a name leads inside, where it must not.
#[derive(Debug)]
pub(super) struct LeadsInside;

impl fmt::Display for LeadsInside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(redirect::INWARD)
    }
}

impl std::error::Error for LeadsInside {}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        if config.proxy().is_some_and(|proxy| proxy.uri().authority() == uri.authority()) {
            return Ok(found); // the proxy itself, which a person named
        }
        let inner = found.iter().filter(|found| redirect::is_inner_ip(found.ip())).count();
        if inner > 0 && self.may == Reach::OutsideOnly {
            return Err(ureq::Error::Other(Box::new(LeadsInside)));
        }
        let side = if inner == found.len() { Side::Inside } else { Side::Outside };
        self.sides.note(uri, side);
        Ok(found)
    }
}
