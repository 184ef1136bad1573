//! `legacy-tls-networks`: whose clients may shake hands by TLS 1.0 and 1.1. It must never name everybody.

use ipnet::IpNet;

use super::network;
use crate::config::reader::Table;
use crate::net::LegacyTls;
use crate::session::ListenerTls;

/// The networks; none if the listener does not say.
pub(super) fn networks(table: &mut Table<'_, '_>, tls: Option<ListenerTls>) -> Option<Vec<IpNet>> {
    let reader = table.reader();
    let Some(value) = table.take("legacy-tls-networks") else { return Some(Vec::new()) };
    let at = value.at;
    let networks = value.list(|value| match network(value)? {
        network if network.prefix_len() == 0 => value.wrong(
            "anybody could make a client of here fall back to a version of TLS that is broken",
            Some("name the networks of the devices alone"),
        ),
        network => Some(network),
    })?;
    if tls == Some(ListenerTls::None) && !networks.is_empty() {
        reader.wrong_in_whole(at, "\"legacy-tls-networks\" has no effect with tls = \"none\"", Some("take it out"));
        return None;
    }
    if !LegacyTls::IS_BUILT_IN && !networks.is_empty() {
        reader.wrong_in_whole(
            at,
            "this build cannot speak TLS 1.0 and 1.1",
            Some("build it with `cargo build --release --features legacy-tls` and OpenSSL, or take the key out"),
        );
        return None;
    }
    Some(networks)
}
