//! Which addresses count as one client's.

use std::net::{IpAddr, Ipv6Addr};

/// The network that an address stands for where something is counted by address. One customer of an IPv6 provider has a
/// /64 at least (RFC 6177 section 2), so all of it counts as one.
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
