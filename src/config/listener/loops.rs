//! Upstreams that lead back to a listener. It must never say so of what only a resolver knows: a name may well be another
//! machine's on this one, and what it leads to is looked at again at each dial.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Bound, Upstreams};
use crate::config::reader::Reader;
use crate::net::leads_to;

/// Complains about each address of a listener that an upstream has as its own.
pub(in crate::config) fn loops(upstreams: &Upstreams, bound: &Bound, reader: &Reader<'_>) {
    let known = upstreams.iter().filter_map(|(name, profile)| Some((name, profile.as_ref()?)));
    for (name, profile) in known {
        for (protocol, endpoint) in &profile.endpoints {
            let is_there = |listening: SocketAddr| {
                addresses(&endpoint.host).any(|ip| leads_to((ip, endpoint.port).into(), listening, None))
            };
            for (_, at) in bound.iter().filter(|(listening, _)| is_there(*listening)) {
                let message = format!(
                    "upstream \"{name}\" is at this address for {protocol}: Locum would log in to itself, again and again"
                );
                let remedy = format!("correct host and port in [upstream.{name}.{protocol}]");
                reader.wrong(*at, message, Some(&remedy));
            }
        }
    }
}

/// The addresses that a host has for certain.
fn addresses(host: &str) -> impl Iterator<Item = IpAddr> {
    let literal = host.parse().ok();
    let is_this_machine = host.trim_end_matches('.').eq_ignore_ascii_case("localhost");
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    literal.into_iter().chain(loopback.into_iter().filter(move |_| is_this_machine))
}
