//! Name resolution with checks: the address that is connected to is the one that was checked.
//!
//! A name may lead inside just as an address may. Names behind a proxy are resolved by the proxy,
//! so only their text is checked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::side::{INWARD, Side, is_inner, is_inner_ip};

/// The side of each resolved host, by host and port.
#[derive(Clone, Debug, Default)]
pub(super) struct Sides(Arc<Mutex<BTreeMap<String, Side>>>);

impl Sides {
    /// The side of the host of `address`: inside if its text says so, or if it has only resolved to
    /// inside addresses.
    pub(super) fn of(&self, address: &Uri) -> Side {
        if address.host().is_some_and(is_inner) {
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

/// Resolves names with the system's resolver.
#[derive(Debug)]
pub(super) struct Names {
    /// The side on which the addresses were named.
    pub(super) named: Side,
    /// The sides of the hosts that it resolved.
    pub(super) sides: Sides,
}

/// The error that a name leads inside where it must not.
#[derive(Debug, thiserror::Error)]
#[error("{}", INWARD)]
pub(super) struct LeadsInside;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        if config.proxy().is_some_and(|proxy| proxy.uri().authority() == uri.authority()) {
            return Ok(found); // the proxy itself, which the user named
        }
        let inner = found.iter().filter(|found| is_inner_ip(found.ip())).count();
        if inner > 0 && self.named == Side::Outside {
            return Err(ureq::Error::Other(Box::new(LeadsInside)));
        }
        let side = if inner == found.len() { Side::Inside } else { Side::Outside };
        self.sides.note(uri, side);
        Ok(found)
    }
}
