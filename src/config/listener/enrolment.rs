//! Whom a listener lets in beside its clients: `[listener.enrolment]`, and what becomes of unknown logins. Nothing of it is on
//! unless it is written down with its networks, and a window with its end.

use ipnet::IpNet;
use jiff::Timestamp;

use super::{Upstreams, network};
use crate::config::reader::{At, Table};
use crate::config::value::Value;
use crate::model::{CredentialKind, Enrolment, EnrolmentMode, Protocol, UnknownLogins};

/// What the rest of the listener says, as far as it could be read.
pub(super) struct Around<'a> {
    pub(super) protocol: Option<Protocol>,
    /// Those that the listener serves.
    pub(super) served: Option<&'a [String]>,
    pub(super) upstreams: &'a Upstreams,
}

const TIME_FORM: &str = "write a date with time and offset, such as 2027-01-31T18:00:00Z";

/// `[listener.enrolment]`, if it is there. The outer `None`: something is wrong with it.
pub(super) fn enrolment(table: &mut Table<'_, '_>, around: &Around<'_>) -> Option<Option<Enrolment>> {
    const MODES: [(&str, bool); 2] = [("learn", true), ("first-login", false)];
    let Some(mut table) = table.table("enrolment") else { return Some(None) };
    let reader = table.reader();
    let learns = table.require("mode", "\"learn\" or \"first-login\"").and_then(|value| value.one_of(&MODES));
    let networks = table.require("networks", "name the networks of the clients that are to be enrolled");
    let networks = networks.and_then(|value| networks_of(value, "nobody could be enrolled"));
    let from = table.take("from").map_or(Some(None), |value| time(&value).map(Some));
    let until_at = table.at_key("until").unwrap_or(table.at());
    let until = table.require("until", "say when it ends: it is open to whoever comes first from these networks");
    let until = until.and_then(|value| time(&value));
    let domain = table.take("domain").map_or(Some(None), |value| domain(&value).map(Some));
    let mode = match learns {
        Some(true) => {
            let value = table.require("upstream", "the provider that is asked whether a password is right");
            value.and_then(|value| taking_passwords(&value, around)).map(|upstream| EnrolmentMode::Learn { upstream })
        }
        Some(false) => {
            table.refuse("upstream", "mode = \"learn\"");
            Some(EnrolmentMode::FirstLogin)
        }
        None => {
            let _ = table.take("upstream");
            None
        }
    };
    table.finish();
    if let (Some(Some(from)), Some(until)) = (from, until)
        && until <= from
    {
        reader.wrong_in_whole(until_at, "\"until\" is not after \"from\", so it would never be open", None);
        return None;
    }
    Some(Some(Enrolment { mode: mode?, domain: domain?, networks: networks?, from: from?, until: until? }))
}

/// `unknown-logins`, and what `"passthrough"` needs.
pub(super) fn unknown_logins(table: &mut Table<'_, '_>, around: &Around<'_>) -> Option<UnknownLogins> {
    const CHOICES: [(&str, bool); 2] = [("reject", false), ("passthrough", true)];
    let passes = table.take("unknown-logins").map_or(Some(false), |value| value.one_of(&CHOICES));
    let (upstream, networks) = (table.take("passthrough-upstream"), table.take("passthrough-networks"));
    if passes != Some(true) {
        let mut is_good = passes.is_some();
        for value in [upstream, networks].into_iter().flatten() {
            is_good = false;
            let message = format!("\"{}\" goes with unknown-logins = \"passthrough\"", value.key);
            let _: Option<()> = value.wrong(message, Some("take it out, or set unknown-logins = \"passthrough\""));
        }
        return is_good.then_some(UnknownLogins::Reject);
    }
    let reader = table.reader();
    for (key, is_there) in [("passthrough-upstream", upstream.is_some()), ("passthrough-networks", networks.is_some())]
    {
        if !is_there && !table.has_misspelt(key) {
            let message = format!("unknown-logins = \"passthrough\" needs \"{key}\"");
            let remedy = "name the provider that unknown logins are shown to, and the networks of the clients that are still \
                          to be moved here";
            reader.wrong_in_whole(table.at(), message, Some(remedy));
        }
    }
    let upstream = upstream.and_then(|value| taking_passwords(&value, around));
    let networks = networks.and_then(|value| networks_of(value, "no login would be passed through"));
    Some(UnknownLogins::Passthrough { upstream: upstream?, networks: networks? })
}

/// Networks, one at least.
fn networks_of(value: Value<'_, '_>, without: &str) -> Option<Vec<IpNet>> {
    let (key, at, reader) = (value.key, value.at, value.reader());
    let networks = value.list(network)?;
    if networks.is_empty() {
        reader.wrong(at, format!("\"{key}\" names none, so {without}"), Some("take it all out, or name them"));
        return None;
    }
    Some(networks)
}

/// An upstream that the listener serves, and that takes passwords for its protocol.
fn taking_passwords(value: &Value<'_, '_>, around: &Around<'_>) -> Option<String> {
    let name = value.text()?;
    let (Some(protocol), Some(served)) = (around.protocol, around.served) else { return Some(name.to_owned()) };
    let refuse = |at: At, message: String, remedy: &str| value.reader().wrong_in_whole(at, message, Some(remedy));
    if !served.iter().any(|it| it == name) {
        let remedy = format!("it serves: {}", served.join(", "));
        refuse(value.at, "this listener serves no upstream of this name".to_owned(), &remedy);
        return None;
    }
    let endpoint = around.upstreams.get(name)?.as_ref()?.endpoints.get(&protocol);
    if endpoint.is_some_and(|endpoint| !endpoint.takes(CredentialKind::AppPassword)) {
        let message = format!("this upstream takes no password for {protocol}, so no client could prove itself there");
        refuse(
            value.at,
            message,
            "use mode = \"first-login\" for accounts that have an OAuth2 credential, or issue secrets",
        );
        return None;
    }
    Some(name.to_owned())
}

fn domain(value: &Value<'_, '_>) -> Option<String> {
    let text = value.text()?.trim_start_matches('@').to_lowercase();
    let is_label =
        |label: &str| (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    if text.len() > 253 || !text.split('.').all(is_label) {
        return value.wrong("this is no domain", Some("write it as it stands behind the @, such as \"contoso.com\""));
    }
    Some(text)
}

/// A point in time, as TOML has it or in quotes.
fn time(value: &Value<'_, '_>) -> Option<Timestamp> {
    let parsed = value.date_text()?.parse::<Timestamp>().ok();
    parsed.or_else(|| value.wrong(format!("\"{}\" must be a time with its offset", value.key), Some(TIME_FORM)))
}
