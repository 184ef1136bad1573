//! `[store]` with kind = "vault": where the servers are, and how they are used. It must never let a token travel in
//! clear to another machine.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rustls::pki_types::DnsName;

use super::listener;
use super::reader::{Reader, Table};
use super::sections::{mins, secs, set};
use super::value::Value;
use crate::store;
use crate::store::vault::{Login, Options};

/// Every key of this kind but `login`.
pub(super) const KEYS: [&str; 11] = [
    "address",
    "mount",
    "namespace",
    "ca-file",
    "request-timeout",
    "refresh-after",
    "max-stale",
    "records-max",
    "poll-interval",
    "peers",
    "peer-bind",
];

const MOUNT: &str = "locum";

/// A server that takes longer for one small record is one to turn away from: the client is waiting.
const REQUEST_TIMEOUT: Duration = secs(5);

const ADDRESS_FORM: &str = "write \"https://vault.example.com:8200\"; for several servers of one cluster, a list";

/// `[store]`, less `kind` and `login`.
pub(super) fn vault(table: &mut Table<'_, '_>, login: Option<Login>) -> Option<Options> {
    let addresses = table.require("address", ADDRESS_FORM).and_then(|value| addresses(value, table.reader()));
    let mount = table.take("mount").map_or(Some(MOUNT.to_owned()), |value| name(&value));
    let namespace = table.take("namespace").map_or(Some(None), |value| name(&value).map(Some));
    let ca_file = table.take("ca-file").map_or(Some(None), |value| value.path().map(Some));
    let mut request_timeout = REQUEST_TIMEOUT;
    set(&mut request_timeout, table.take("request-timeout"), |value| {
        value.duration(secs(1)..=mins(1), "the client is waiting meanwhile")
    });
    let cache = cache(table);
    let peers = table.take("peers").map_or(Some(Vec::new()), |value| value.list(peer));
    let peer_bind = table.take("peer-bind").map_or(Some(None), |value| listener::address(&value).map(Some));
    Some(Options {
        addresses: addresses?,
        mount: mount?,
        namespace: namespace?,
        ca_file: ca_file?,
        login: login?,
        request_timeout,
        cache,
        peers: peers?,
        peer_bind: peer_bind?,
    })
}

fn cache(table: &mut Table<'_, '_>) -> store::cache::Options {
    let mut cache = store::cache::Options::default();
    set(&mut cache.refresh_after, table.take("refresh-after"), |value| {
        let reason = "for so long a change that was made with other tools than Locum may go unnoticed";
        value.duration(secs(0)..=mins(60), reason)
    });
    set(&mut cache.max_stale, table.take("max-stale"), |value| {
        let reason = "for so long a client that was revoked meanwhile is let in if no server answers";
        value.duration(secs(0)..=mins(7 * 24 * 60), reason)
    });
    set(&mut cache.records_max, table.take("records-max"), |value| {
        value
            .integer(100..=1_000_000, "each takes some kilobytes of memory; one that is not remembered costs a request")
    });
    set(&mut cache.poll_interval, table.take("poll-interval"), |value| {
        let reason = "each request is a line in the server's audit log; between two a changed record is used as it was";
        value.duration(secs(1)..=mins(5), reason)
    });
    cache
}

fn addresses(value: Value<'_, '_>, reader: &Reader<'_>) -> Option<Vec<String>> {
    let at = value.at;
    let addresses = value.list(address)?;
    if addresses.is_empty() {
        reader.wrong(at, "\"address\" names no server", Some(ADDRESS_FORM));
        return None;
    }
    Some(addresses)
}

/// The base address of a server. What pasted addresses often end in, one slash, is let go.
fn address(value: &Value<'_, '_>) -> Option<String> {
    let text = value.text()?;
    let Some((scheme, rest)) = text.split_once("://") else {
        return value.wrong("this address does not begin with \"https://\"", Some(ADDRESS_FORM));
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let message = if authority.contains('@') {
        "an address names no user and no password: how Locum logs in is said in [store.login]"
    } else if authority.contains(['/', '?', '#']) {
        "an address ends behind the host and port: what is mounted where is said with \"mount\""
    } else if !matches!(scheme, "https" | "http") {
        "an address begins with \"https://\""
    } else {
        match host_and_port(authority) {
            None => "this address has no host, or behind it no port from 1 to 65535",
            Some((host, _)) if scheme == "http" && !is_loopback(host) => {
                "the token and all secrets would travel in clear: \"http://\" is for a server on this machine only"
            }
            Some(_) => return Some(format!("{scheme}://{authority}")),
        }
    };
    value.wrong(message, Some(ADDRESS_FORM))
}

/// Another node, as `host:port`.
fn peer(value: &Value<'_, '_>) -> Option<String> {
    let text = value.text()?;
    match host_and_port(text) {
        Some((_, Some(_))) => Some(text.to_owned()),
        _ => value
            .wrong("a peer is \"host:port\"", Some("such as \"locum2.example.com:9466\", or \"[2001:db8::2]:9466\"")),
    }
}

/// The parts of `host` or `host:port`, an IPv6 address in its brackets.
pub(super) fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_address = authority.find(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[after_address..].find(':') {
        Some(colon) => (&authority[..after_address + colon], Some(&authority[after_address + colon + 1..])),
        None => (authority, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => DnsName::try_from(host).is_ok() || host.parse::<Ipv4Addr>().is_ok(),
    };
    let port = match port {
        // `parse` alone would take a sign too.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|&port| port > 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    is_host.then_some((host, port))
}

/// Whether what is sent to this host stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|host: Ipv4Addr| host.is_loopback())
        || host.trim_matches(['[', ']']).parse().is_ok_and(|host: Ipv6Addr| host.is_loopback())
}

/// A name within the server: of a mount, a namespace, a role. It becomes a part of a path or a header, where some
/// characters are dropped, some end it, and some make the library panic.
pub(super) fn name(value: &Value<'_, '_>) -> Option<String> {
    const LENGTH_MAX: usize = 255;
    let text = value.text()?;
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    let is_printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.trim() == text;
    if text.len() <= LENGTH_MAX && is_printable && text.split('/').all(is_part) {
        return Some(text.to_owned());
    }
    let message = format!("\"{}\" is no name within the server", value.key);
    value.wrong(
        message,
        Some("printable ASCII, without a slash at an end, and without \"//\", \".\" or \"..\" as a part"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_a_name_or_an_address_and_a_port() {
        for (text, host) in [
            ("vault.example.com:8200", "vault.example.com"),
            ("192.0.2.1:8200", "192.0.2.1"),
            ("[2001:db8::1]:8200", "[2001:db8::1]"),
        ] {
            assert_eq!(host_and_port(text), Some((host, Some(8200))));
            assert_eq!(host_and_port(host), Some((host, None)));
        }
        for text in [
            "",
            ":8200",
            "a b:1",
            "a:",
            "a:0",
            "a:+1",
            "a:65536",
            "2001:db8::1:8200",
            "[::1",
            "[a]:1",
            "[::1]x:1",
            "a:1:2",
        ] {
            assert_eq!(host_and_port(text), None, "{text}");
        }
    }

    #[test]
    fn loopback_is_this_machine() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "128.0.0.1", "[2001:db8::1]", "0.0.0.0", "[::]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
