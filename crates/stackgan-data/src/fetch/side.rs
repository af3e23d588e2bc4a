//! The two sides of the network: this machine and its own network, and everything else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// On which side of the network a server is, or whoever names an address: what is named outside never
/// leads inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// On this machine, as the user is, or in a network that is not public.
    Inside,
    /// Anywhere else.
    Outside,
}

/// The reason for not following a redirect from outside to the inside.
pub(super) const INWARD: &str = "a redirect from outside to this machine or network";

/// Whether a host is this machine itself.
pub(super) fn is_loopback(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether a host is this machine or in a network that is not public.
pub(super) fn is_inner(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(ip) => is_inner_ip(ip),
        Err(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// Whether an address is of this machine or of a network that is not public.
pub(super) fn is_inner_ip(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_inner_v4(ip),
        IpAddr::V6(ip) => is_inner_v6(ip),
    }
}

fn is_inner_v4(ip: Ipv4Addr) -> bool {
    ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
}

fn is_inner_v6(ip: Ipv6Addr) -> bool {
    let own = ip.is_loopback() || ip.is_unspecified();
    let near = ip.is_unique_local() || ip.is_unicast_link_local();
    own || near || ip.to_ipv4_mapped().is_some_and(is_inner_v4)
}
