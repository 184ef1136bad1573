//! `[limits.shared]`: where nodes count failed logins together. It must never take a secret, only the place of one, nor let
//! a password travel in clear to another machine.

use super::reader::Table;
use super::sections::set;
use super::store::Places;
use super::value::Value;
use super::vault::{host_and_port, is_loopback};
use crate::broker::SharedOptions;
use crate::net::ValkeyOptions;

/// Where such servers listen.
const PORT: u16 = 6379;

const ADDRESS_FORM: &str = "write \"valkey.example.com:6379\"";

/// In milliseconds. Within a site an answer takes less than one; what takes so long is about to fail.
const TIMEOUT_MS: u64 = 200;

const PREFIX: &str = "locum:";

const PASSWORD: Places = Places {
    keys: ["password-file", "password-credential", "password-environment"],
    secret: "password",
    why: "set one of password-file, password-credential and password-environment",
    examples: ("valkey-password", "LOCUM_VALKEY_PASSWORD"),
};

const KEY: Places = Places {
    keys: ["digest-key-file", "digest-key-credential", "digest-key-environment"],
    secret: "key",
    why: "logins and addresses are kept there as digests under a key that all nodes have and the server has not: set one of \
          digest-key-file (`openssl rand -base64 32` makes one), digest-key-credential and digest-key-environment",
    examples: ("locum-shared.key", "LOCUM_SHARED_KEY"),
};

/// `[limits.shared]`.
pub(super) fn shared(mut table: Table<'_, '_>) -> Option<SharedOptions> {
    let address = table.require("address", ADDRESS_FORM).and_then(|value| address(&value));
    let is_here = address.as_ref().is_some_and(|(host, _)| is_loopback(host));
    let mut tls = !is_here;
    set(&mut tls, table.take("tls"), |value| {
        let tls = value.boolean()?;
        if !tls && !is_here {
            let message = "the password would travel in clear: tls = false is for a server on this machine only";
            return value.wrong(message, Some("take it out, and have the server speak TLS (tls-port)"));
        }
        Some(tls)
    });
    let ca_file = table.take("ca-file").map_or(Some(None), |value| value.path().map(Some));
    let username = table.take("username").map_or(Some(None), |value| word(&value).map(Some));
    let names_password = PASSWORD.keys.iter().any(|key| table.at_key(key).is_some() || table.has_misspelt(key));
    let password = if names_password { PASSWORD.read(&mut table).map(Some) } else { Some(None) };
    let key = KEY.read(&mut table);
    let prefix = table.take("prefix").map_or(Some(PREFIX.to_owned()), |value| word(&value));
    let mut timeout_ms = TIMEOUT_MS;
    set(&mut timeout_ms, table.take("timeout-ms"), |value| {
        value.integer(10..=5_000, "in milliseconds; logins wait for it, once, when the server falls silent")
    });
    table.finish();
    let (host, port) = address?;
    let timeout = std::time::Duration::from_millis(timeout_ms);
    let server = ValkeyOptions { host, port, tls, ca_file: ca_file?, username: username?, timeout };
    Some(SharedOptions { server, password: password?, key: key?, prefix: prefix? })
}

fn address(value: &Value<'_, '_>) -> Option<(String, u16)> {
    let text = value.text()?;
    match host_and_port(text) {
        Some((host, port)) => Some((host.trim_matches(['[', ']']).to_owned(), port.unwrap_or(PORT))),
        None => value.wrong("this address is no host with a port", Some(ADDRESS_FORM)),
    }
}

/// Printable ASCII without blanks.
fn word(value: &Value<'_, '_>) -> Option<String> {
    const LENGTH_MAX: usize = 64;
    let text = value.text()?;
    if (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(text.to_owned());
    }
    value.wrong(
        format!("\"{}\" must be printable ASCII without blanks, of {LENGTH_MAX} characters at the most", value.key),
        None,
    )
}
