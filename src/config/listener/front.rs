//! What stands in front of clients, and devices that cannot log in: `proxy-protocol-from`, `xclient-from` and
//! `[[listener.recognise]]`. It must never let a front end be taken for a device: all of its clients would be let in.

use ipnet::IpNet;

use super::network;
use crate::config::reader::{At, Reader, Table};
use crate::config::value::Value;
use crate::model::{Fingerprint, Mark, Protocol, Recognition, normalise};
use crate::session::{FrontEnds, ListenerTls};

/// The widest networks of devices, in bits of the prefix: what a site has of IPv4 (10.0.0.0/8), what a provider has of
/// IPv6. Who writes a wider one has not meant it.
const PREFIX_BITS_MIN: (u8, u8) = (8, 32);

/// `proxy-protocol-from` and `xclient-from`.
pub(super) fn front_ends(table: &mut Table<'_, '_>, protocol: Option<Protocol>) -> Option<FrontEnds> {
    let reader = table.reader();
    let proxy_protocol = table.take("proxy-protocol-from").map_or(Some(Vec::new()), |value| value.list(trusted));
    let xclient = table.take("xclient-from");
    if let (Some(value), Some(protocol @ (Protocol::Imap | Protocol::Pop3))) = (&xclient, protocol) {
        reader.wrong(
            value.at,
            format!("\"xclient-from\" goes with submission, not with {protocol}"),
            Some("take it out"),
        );
        return None;
    }
    let xclient = xclient.map_or(Some(Vec::new()), |value| value.list(trusted));
    Some(FrontEnds { proxy_protocol: proxy_protocol?, xclient: xclient? })
}

/// A network, but not all there is.
fn trusted(value: &Value<'_, '_>) -> Option<IpNet> {
    let network = network(value)?;
    if network.prefix_len() == 0 {
        return value
            .wrong("this would let everybody say who he is", Some("name the addresses of the front ends alone"));
    }
    Some(network)
}

/// All `[[listener.recognise]]`. `None` if anything is wrong.
pub(super) fn recognitions(
    table: &mut Table<'_, '_>,
    protocol: Option<Protocol>,
    tls: Option<ListenerTls>,
    front_ends: Option<&FrontEnds>,
) -> Option<Vec<Recognition>> {
    let reader = table.reader();
    let mut seen: Vec<(Mark, At)> = Vec::new();
    // Not straight into an `Option`: that would stop at the first that is wrong.
    let mut found = Vec::new();
    for mut table in table.tables("recognise") {
        let at = table.at();
        if let Some(protocol @ (Protocol::Imap | Protocol::Pop3)) = protocol {
            reader.wrong(
                at,
                format!("a device is recognised in submission, not in {protocol}"),
                Some("in other protocols whoever reads mail has to log in"),
            );
        }
        let client =
            table.require("client", "the login name of the client that the device is").and_then(|it| login(&it));
        let mark = mark(&mut table, tls, front_ends);
        table.finish();
        if let Some((mark, at)) = &mark {
            match seen.iter().find(|(taken, _)| taken == mark) {
                Some((_, first)) => {
                    let message = format!("the same is named in line {}", reader.line(*first));
                    reader.wrong(*at, message, Some("one device is one client"));
                    found.push(None);
                    continue;
                }
                None => seen.push((mark.clone(), *at)),
            }
        }
        found.push(client.zip(mark).map(|(client, (mark, _))| Recognition { client, mark }));
    }
    found.into_iter().collect()
}

fn login(value: &Value<'_, '_>) -> Option<String> {
    let text = value.text()?;
    if normalise(text).is_empty() || text.chars().any(char::is_control) {
        return value.wrong("this is no login name", Some("write it as `locum client list` shows it"));
    }
    Some(text.to_owned())
}

/// `network` or `certificate`: exactly one.
fn mark(table: &mut Table<'_, '_>, tls: Option<ListenerTls>, front_ends: Option<&FrontEnds>) -> Option<(Mark, At)> {
    let (reader, at) = (table.reader(), table.at());
    match (table.take("network"), table.take("certificate")) {
        (Some(value), None) => Some((Mark::Network(device_network(&value, front_ends)?), value.at)),
        (None, Some(value)) => Some((Mark::Certificate(certificate(&value, tls, reader)?), value.at)),
        (Some(_), Some(second)) => {
            reader.wrong(
                second.at,
                "a device is known by \"network\" or by \"certificate\", not by both",
                Some("take one out"),
            );
            None
        }
        (None, None) => {
            if !table.has_misspelt("network") && !table.has_misspelt("certificate") {
                reader.wrong_in_whole(
                    at,
                    "nothing says what the device is known by",
                    Some("set network = \"192.0.2.9\", or certificate = \"sha256:…\""),
                );
            }
            None
        }
    }
}

fn device_network(value: &Value<'_, '_>, front_ends: Option<&FrontEnds>) -> Option<IpNet> {
    let network = network(value)?;
    let bits_min = if network.addr().is_ipv4() { PREFIX_BITS_MIN.0 } else { PREFIX_BITS_MIN.1 };
    if network.prefix_len() < bits_min {
        return value.wrong("this network is too wide to know a device by", Some("name the address of the device"));
    }
    let overlaps = |other: &IpNet| network.contains(other) || other.contains(&network);
    let front_ends = front_ends.iter().flat_map(|it| it.proxy_protocol.iter().chain(&it.xclient));
    if front_ends.into_iter().any(overlaps) {
        return value.wrong(
            "a front end of this listener is in this network: whoever comes through it unannounced would be the device",
            Some("name the address of the device alone, or give it a listener of its own"),
        );
    }
    Some(network)
}

fn certificate(value: &Value<'_, '_>, tls: Option<ListenerTls>, reader: &Reader<'_>) -> Option<Fingerprint> {
    let fingerprint = value.parsed();
    if tls == Some(ListenerTls::None) {
        reader.wrong_in_whole(
            value.at,
            "without TLS nobody shows a certificate",
            Some("use tls = \"implicit\" or \"starttls\", or know the device by its network"),
        );
        return None;
    }
    fingerprint
}
