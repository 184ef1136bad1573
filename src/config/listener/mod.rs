//! `[[listener]]`: what is spoken where, and for which upstreams. It must never let a password travel in clear unless
//! the operator has named the networks for it.

mod enrolment;
mod front;
mod legacy_tls;
mod login_forms;
mod loops;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use super::reader::{At, Reader, Table, is_plain};
use super::value::Value;
use crate::model::{Entrance, Profile, Protocol};
use crate::session::{ListenerOptions, ListenerTls};

pub(super) use loops::loops;

/// The upstreams that a listener can name; `None` for one that could not be read.
type Upstreams = BTreeMap<String, Option<Arc<Profile>>>;

/// All `[[listener]]`, and whether they agree with each other, the upstreams and `[tls]`. `None` if anything is wrong.
pub(super) fn listeners(
    tables: Vec<Table<'_, '_>>,
    upstreams: &Upstreams,
    has_certificate: bool,
    bound: &mut Bound,
) -> Option<Vec<ListenerOptions>> {
    let mut seen = Seen { names: Vec::new(), bound, has_certificate };
    // Not straight into an `Option`: that would stop at the first that is wrong.
    let listeners: Vec<_> = tables.into_iter().map(|table| listener(table, upstreams, &mut seen)).collect();
    listeners.into_iter().collect()
}

/// The addresses that are taken, and where.
pub(super) type Bound = Vec<(SocketAddr, At)>;

/// What the listeners before this one have taken.
struct Seen<'a> {
    names: Vec<(String, At)>,
    bound: &'a mut Bound,
    /// Whether there is a certificate, or a complaint about its lack.
    has_certificate: bool,
}

fn listener(mut table: Table<'_, '_>, upstreams: &Upstreams, seen: &mut Seen<'_>) -> Option<ListenerOptions> {
    let name = table
        .require("name", "policies and logs name a listener by it")
        .and_then(|value| name(&value, seen, table.reader()));
    let protocol_value = table.require("protocol", "one of \"imap\", \"pop3\" and \"submission\"");
    let protocol = protocol_value.and_then(|value| value.parsed::<Protocol>());
    let bind = table.require("bind", ADDRESS_FORM).and_then(|value| bind(value, seen.bound, table.reader()));
    let (tls, plaintext_networks) = tls(&mut table, seen);
    let legacy_tls_networks = legacy_tls::networks(&mut table, tls);
    let allow = table.take("allow").map_or(Some(Vec::new()), |value| value.list(network));
    let served = listener_upstreams(&mut table, protocol, upstreams);
    let around = enrolment::Around { protocol, served: served.as_deref(), upstreams };
    let unknown_logins = enrolment::unknown_logins(&mut table, &around);
    let enrolment = enrolment::enrolment(&mut table, &around);
    let front_ends = front::front_ends(&mut table, protocol);
    let recognitions = front::recognitions(&mut table, protocol, tls, front_ends.as_ref());
    let login_forms = login_forms::login_forms(&mut table);
    table.finish();

    Some(ListenerOptions {
        name: name?,
        protocol: protocol?,
        bind: bind?.into_iter().map(|(address, _)| address).collect(),
        tls: tls?,
        plaintext_networks: plaintext_networks?,
        allow: allow?,
        legacy_tls_networks: legacy_tls_networks?,
        front_ends: front_ends?,
        entrance: Entrance {
            upstreams: served?,
            login_forms: login_forms?,
            unknown_logins: unknown_logins?,
            enrolment: enrolment?,
            recognitions: recognitions?,
        },
    })
}

fn name(value: &Value<'_, '_>, seen: &mut Seen<'_>, reader: &Reader<'_>) -> Option<String> {
    let name = value.text()?;
    if !is_plain(name) {
        return value.wrong(
            "the name of a listener is made of letters, digits, \".\", \"_\" and \"-\"",
            Some("64 characters at most"),
        );
    }
    if let Some((_, first)) = seen.names.iter().find(|(taken, _)| taken == name) {
        let message = format!("the listener in line {} has the same name", reader.line(*first));
        return value.wrong(message, Some("policies and logs could not tell them apart"));
    }
    seen.names.push((name.to_owned(), value.at));
    Some(name.to_owned())
}

const ADDRESS_FORM: &str =
    "write \"address:port\", such as \"127.0.0.1:143\", \"[::1]:143\", or \"0.0.0.0:143\" for every IPv4 address";

/// The addresses to listen on, each with its place; and that no two of the file are one.
pub(super) fn bind(value: Value<'_, '_>, bound: &mut Bound, reader: &Reader<'_>) -> Option<Bound> {
    let at = value.at;
    let addresses = value.list(|value| Some((address(value)?, value.at)))?;
    if addresses.is_empty() {
        reader.wrong(at, "\"bind\" names no address", Some(ADDRESS_FORM));
        return None;
    }
    for &(address, at) in &addresses {
        match bound.iter().find(|(taken, _)| collide(*taken, address)) {
            Some((_, first)) => {
                let message = format!("this address is already bound in line {}", reader.line(*first));
                reader.wrong(at, message, Some("give each listener an address or a port of its own"));
            }
            None => bound.push((address, at)),
        }
    }
    Some(addresses)
}

/// An address with a port.
pub(super) fn address(value: &Value<'_, '_>) -> Option<SocketAddr> {
    let text = value.text()?;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let message = if text.parse::<IpAddr>().is_ok() || (text.starts_with('[') && text.ends_with(']')) {
        "this address has no port"
    } else if host.is_empty() || host == "*" {
        "this port has no address"
    } else if host.parse::<Ipv6Addr>().is_ok() {
        "an IPv6 address with a port stands in brackets"
    } else if port.parse::<u16>().is_err() {
        "this is no address with a port from 0 to 65535"
    } else {
        "a listener binds to an address, not to a name"
    };
    value.wrong(message, Some(ADDRESS_FORM))
}

/// Whether the operating system would refuse to bind both. Port 0 is any free port.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && a.is_ipv4() == b.is_ipv4() && overlap
}

/// `tls` and `plaintext-networks`, which need each other.
fn tls(table: &mut Table<'_, '_>, seen: &mut Seen<'_>) -> (Option<ListenerTls>, Option<Vec<IpNet>>) {
    const CHOICES: [(&str, ListenerTls); 3] =
        [("implicit", ListenerTls::Implicit), ("starttls", ListenerTls::StartTls), ("none", ListenerTls::None)];
    let reader = table.reader();
    let value = table.take("tls");
    let tls_at = value.as_ref().map_or(table.at(), |value| value.at);
    let tls = value.map_or(Some(ListenerTls::Implicit), |value| value.one_of(&CHOICES));
    let networks = table.take("plaintext-networks");
    let networks_at = networks.as_ref().map(|value| value.at);
    let networks = networks.map_or(Some(Vec::new()), |value| value.list(network));

    let has_networks = networks.as_ref().is_none_or(|networks| !networks.is_empty());
    match tls {
        Some(ListenerTls::None) if !has_networks => reader.wrong_in_whole(
            tls_at,
            "tls = \"none\" without plaintext-networks: no client could log in",
            Some(
                "passwords would travel in clear: name the networks where that is acceptable, such as \
                 plaintext-networks = [\"192.0.2.0/24\"], or use \"starttls\"",
            ),
        ),
        Some(ListenerTls::Implicit) if has_networks => reader.wrong_in_whole(
            networks_at.unwrap_or(tls_at),
            "\"plaintext-networks\" has no effect with tls = \"implicit\"",
            Some("take it out, or use tls = \"starttls\" or \"none\""),
        ),
        _ => {}
    }
    if matches!(tls, Some(ListenerTls::Implicit | ListenerTls::StartTls)) && !seen.has_certificate {
        seen.has_certificate = true;
        reader.wrong_in_whole(
            tls_at,
            "TLS on this listener needs a certificate",
            Some("set certificate and key in [tls]; without `tls` a listener speaks implicit TLS"),
        );
    }
    (tls, networks)
}

/// A network, or a bare address as a network of one.
fn network(value: &Value<'_, '_>) -> Option<IpNet> {
    let text = value.text()?;
    match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
        Ok(network) => Some(network.trunc()),
        Err(_) => value.wrong("this is no network", Some("write \"192.0.2.0/24\", \"2001:db8::/32\", or one address")),
    }
}

fn listener_upstreams(table: &mut Table<'_, '_>, protocol: Option<Protocol>, known: &Upstreams) -> Option<Vec<String>> {
    let serves = |profile: &Profile, protocol| profile.endpoints.contains_key(&protocol);
    let reader = table.reader();
    let serving = |protocol| -> Vec<&str> {
        let of_this_protocol =
            known.iter().filter(|(_, profile)| profile.as_ref().is_some_and(|it| serves(it, protocol)));
        of_this_protocol.map(|(name, _)| name.as_str()).collect()
    };
    let Some(value) = table.take("upstream") else {
        let protocol = protocol?;
        let all = serving(protocol);
        if all.is_empty() && known.values().all(Option::is_some) {
            let message = format!("no upstream serves {protocol}, so no client of this listener could log in");
            reader.wrong_in_whole(table.at(), message, Some("add an [upstream.<name>] that does"));
        }
        return (!all.is_empty()).then(|| all.into_iter().map(str::to_owned).collect());
    };
    let at = value.at;
    let named = value.list(|value| {
        let name = value.text()?;
        match (known.get(name), protocol) {
            (None, _) => {
                let all: Vec<&str> = known.keys().map(String::as_str).collect();
                reader.wrong_in_whole(
                    value.at,
                    "there is no upstream of this name",
                    Some(&list("the upstreams are: ", &all)),
                );
                return None;
            }
            (Some(Some(profile)), Some(protocol)) if !serves(profile, protocol) => {
                let remedy = list(&format!("those that serve {protocol} are: "), &serving(protocol));
                reader.wrong_in_whole(value.at, format!("this upstream does not serve {protocol}"), Some(&remedy));
                return None;
            }
            _ => {}
        }
        Some(name.to_owned())
    })?;
    if named.is_empty() {
        reader.wrong(at, "\"upstream\" names none", Some("leave it out for all upstreams that serve the protocol"));
        return None;
    }
    let mut distinct = Vec::new();
    for name in named {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    Some(distinct)
}

fn list(intro: &str, names: &[&str]) -> String {
    if names.is_empty() {
        return format!("{intro}none; add an [upstream.<name>]");
    }
    format!("{intro}{}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::collide;

    #[test]
    fn addresses_collide_as_in_the_operating_system() {
        let collide = |a: &str, b: &str| collide(a.parse().unwrap(), b.parse().unwrap());
        assert!(collide("127.0.0.1:143", "127.0.0.1:143"));
        assert!(collide("0.0.0.0:143", "127.0.0.1:143"));
        assert!(collide("[::1]:143", "[::]:143"));
        assert!(!collide("127.0.0.1:143", "127.0.0.2:143"));
        assert!(!collide("127.0.0.1:143", "127.0.0.1:144"));
        assert!(!collide("0.0.0.0:143", "[::]:143"), "listeners on [::] take IPv6 alone");
        assert!(!collide("127.0.0.1:0", "127.0.0.1:0"));
    }
}
