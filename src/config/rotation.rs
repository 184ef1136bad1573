//! `[rotation]`: how credentials are rotated, and what a node does by itself. It must never take a secret, only the place
//! of one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::hook;
use super::reader::Table;
use super::sections::{mins, secs, set};
use super::value::Value;
use super::vault::{host_and_port, is_loopback};
use crate::model::CredentialKind;
use crate::rotation::{Options, WebhookOptions};
use crate::store;
const DAY: u64 = 24 * 60;

const URL: &str = "such as \"https://alerts.example.com/locum\"; \"http://\" to this machine only";

/// `[rotation]`. Whether a node keeps credentials depends on the store, for one in a Vault needs rights that it has not got
/// otherwise.
pub(super) fn rotation(mut table: Table<'_, '_>, store: Option<&store::Options>) -> Options {
    let mut options = Options::default();
    set(&mut options.grace, table.take("grace"), |value| {
        let reason = "a login may need the one before for as long as a node goes on with what it remembers";
        value.duration(mins(5)..=mins(90 * DAY), reason)
    });
    set(&mut options.second_look, table.take("second-look"), |value| {
        value.duration(secs(1)..=mins(30), "providers take a while to know a new password everywhere")
    });
    set(&mut options.patience, table.take("patience"), |value| {
        value.duration(secs(0)..=mins(60), "somebody waits for it")
    });
    let keeper = &mut options.keeper;
    keeper.keeps = !matches!(store, Some(store::Options::Vault(_)));
    set(&mut keeper.keeps, table.take("keeper"), Value::boolean);
    set(&mut keeper.verify_every, table.take("verify-every"), |value| {
        if value.is_text("never") {
            return Some(None);
        }
        value.duration(mins(10)..=mins(90 * DAY), "providers count logins; or \"never\"").map(Some)
    });
    set(&mut keeper.rollback_after, table.take("rollback-after"), |value| {
        value.integer(0..=6, "0 is never; it is tried twice by each protocol and then no more, and there are three")
    });
    set(&mut keeper.retires, table.take("retire"), Value::boolean);
    options.max_ages.all = max_age(table.section("max-age"));
    let classes = table.section("class").into_named_tables();
    options.max_ages.classes = classes.into_iter().map(|(name, table)| (name, max_age(table))).collect();
    options.webhook = webhook(table.section("webhook"));
    options.hook = hook::hook(table.section("hook"));
    table.finish();
    options
}

/// How old a credential of each kind may become.
fn max_age(mut table: Table<'_, '_>) -> BTreeMap<CredentialKind, Duration> {
    let mut ages = BTreeMap::new();
    for kind in CredentialKind::ALL {
        let age = table.take(kind.name()).and_then(|value| {
            value.duration(mins(DAY)..=mins(3650 * DAY), "days, for somebody has to make the next one")
        });
        ages.extend(age.map(|age| (kind, age)));
    }
    table.finish();
    ages
}

/// `[rotation.webhook]`.
fn webhook(mut table: Table<'_, '_>) -> Option<WebhookOptions> {
    let url = table.take("url");
    let token_file = table.take("token-file");
    if let (None, Some(value)) = (&url, &token_file) {
        let message = "\"token-file\" without \"url\" in [rotation.webhook]";
        table.reader().wrong_in_whole(value.at, message, Some(URL));
    }
    let url = url.and_then(|value| url_of(&value, URL));
    let token_file = token_file.and_then(|value| value.path());
    table.finish();
    Some(WebhookOptions { url: url?, token_file })
}

/// What is posted there may name mailboxes, and a token or a header opens something. `example` is one that is right.
pub(super) fn url_of(value: &Value<'_, '_>, example: &str) -> Option<String> {
    /// Longer than any that a service has.
    const LENGTH_MAX: usize = 1000;

    let text = value.text()?;
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
    let host = host_and_port(authority).map(|(host, _)| host);
    let is_printable = text.len() <= LENGTH_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    let wrong = if authority.contains('@') {
        "must name no user and no password"
    } else if !is_printable || text.contains(['#', '{', '}', '"', '<', '>', '\\', '^', '`', '|']) {
        "has a character that does not belong into one"
    } else {
        match (scheme, host) {
            (_, None) => "has no host, or behind it no port from 1 to 65535",
            ("https", Some(_)) => return Some(text.to_owned()),
            ("http", Some(host)) if is_loopback(host) => return Some(text.to_owned()),
            (_, Some(_)) => "must begin with \"https://\": names of mailboxes travel there",
        }
    };
    value.wrong(format!("\"{}\" {wrong}", value.key), Some(example))
}
