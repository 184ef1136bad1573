//! `[upstream.<name>]`: a provider, by preset or by hand. It must never let one be dialled without TLS.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::authority;
use super::dates;
use super::reader::Table;
use super::suggest;
use super::value::{Value, one_of};
use crate::model::{AppPasswordFormat, Endpoint, Mechanism, Profile, Protocol, UpstreamTls, WARM_MAX, presets};

/// All `[upstream.<name>]`; `None` for one with something wrong in it.
pub(super) fn upstreams(table: Table<'_, '_>) -> BTreeMap<String, Option<Arc<Profile>>> {
    let tables = table.into_named_tables().into_iter();
    tables.map(|(name, table)| (name.clone(), upstream(name, table).map(Arc::new))).collect()
}

fn upstream(name: String, mut table: Table<'_, '_>) -> Option<Profile> {
    let preset_value = table.take("preset");
    let has_preset = preset_value.is_some();
    let preset = preset_value.and_then(|value| preset(&value));
    let (app_password, mut app_passwords_max, authority, presets, mut dates) = match preset {
        Some(it) => (it.app_password, it.app_passwords_max, it.authority, it.endpoints, it.dates),
        None => (AppPasswordFormat::Verbatim, None, None, BTreeMap::new(), Vec::new()),
    };
    let app_password =
        table.take("app-password-format").map_or(Some(app_password), |value| app_password_format(&value));
    if let Some(value) = table.take("app-passwords-max") {
        app_passwords_max = value.integer(1..=1000, "no provider is known to allow more for one user");
    }

    let mut is_right = !has_preset || !presets.is_empty();
    let mut endpoints = BTreeMap::new();
    for protocol in Protocol::ALL {
        let preset = presets.get(&protocol);
        let endpoint = match table.table(protocol.name()) {
            // What a preset that could not be read would have said is not missed.
            Some(table) => endpoint(table, protocol, preset, has_preset && presets.is_empty()),
            None => match preset {
                Some(preset) => Some(preset.clone()),
                None => continue,
            },
        };
        is_right &= endpoint.is_some();
        endpoints.extend(endpoint.map(|endpoint| (protocol, endpoint)));
    }
    let authority = match table.table("oauth2") {
        Some(table) => {
            let read = authority::authority(table, authority.as_ref(), has_preset && presets.is_empty());
            is_right &= read.is_some();
            read
        }
        None => authority,
    };
    let read = dates::dates(table.tables("date"), &endpoints);
    is_right &= read.is_some();
    dates.extend(read.into_iter().flatten());
    dates.sort_by_key(|date| (date.day.is_none(), date.day));
    if is_right && endpoints.is_empty() {
        let presets = presets::NAMES.join(", ");
        let remedy = format!("set preset to one of {presets}; or give host in a table such as [upstream.<name>.imap]");
        table.reader().wrong_in_whole(
            table.at(),
            format!("{} has neither a preset nor a host", table.title()),
            Some(&remedy),
        );
        is_right = false;
    }
    table.finish();
    Some(Profile { name, endpoints, app_password: app_password?, app_passwords_max, authority, dates })
        .filter(|_| is_right)
}

fn preset(value: &Value<'_, '_>) -> Option<Profile> {
    let name = value.text()?;
    presets::preset(name).or_else(|| {
        let guess = suggest::nearest(name, presets::NAMES).map(|guess| format!("; did you mean \"{guess}\"?"));
        let remedy = format!(
            "the presets are: {}; for another provider leave it out and give its hosts",
            presets::NAMES.join(", ")
        );
        value.wrong(format!("there is no preset of this name{}", guess.unwrap_or_default()), Some(&remedy))
    })
}

fn app_password_format(value: &Value<'_, '_>) -> Option<AppPasswordFormat> {
    value.one_of(&[
        ("verbatim", AppPasswordFormat::Verbatim),
        ("spaces-are-cosmetic", AppPasswordFormat::SpacesAreCosmetic),
    ])
}

/// The table of one protocol, over what a preset says. `host_may_lack`: there is another error that explains it.
fn endpoint(
    mut table: Table<'_, '_>,
    protocol: Protocol,
    preset: Option<&Endpoint>,
    host_may_lack: bool,
) -> Option<Endpoint> {
    /// Below the 10 that Dovecot allows (`mail_max_userip_connections`), so that the owner's own client finds room.
    const SESSIONS_MAX: usize = 8;

    let host = match (table.take("host"), preset) {
        (Some(value), _) => host(&value),
        (None, Some(preset)) => Some(preset.host.clone()),
        (None, None) if host_may_lack => None,
        (None, None) => table.require("host", "the host that serves it, such as \"mail.example.com\"").and(None),
    };
    let tls_value = table.take("tls");
    let has_tls = tls_value.is_some();
    let tls = match (tls_value, preset) {
        (Some(value), _) => tls(&value),
        (None, preset) => Some(preset.map_or(UpstreamTls::Implicit, |preset| preset.tls)),
    };
    let port = match (table.take("port"), preset) {
        (Some(value), _) => value.integer(1..=65_535, "ports are 16-bit numbers"),
        (None, Some(preset)) if !has_tls => Some(preset.port),
        (None, _) => tls.map(|tls| default_port(protocol, tls)),
    };
    let mechanisms = match table.take("mechanisms") {
        Some(value) => mechanisms(value),
        None => Some(preset.map_or_else(|| Mechanism::ALL.to_vec(), |preset| preset.mechanisms.clone())),
    };
    let takes_passwords = match table.take("takes-passwords") {
        Some(value) => value.boolean(),
        None => Some(preset.is_none_or(|preset| preset.takes_passwords)),
    };
    let keywords = match table.take("keywords") {
        Some(value) => value.list(keyword),
        None => Some(preset.map_or_else(Vec::new, |preset| preset.keywords.clone())),
    };
    let sessions_max = match table.take("sessions-max") {
        Some(value) => value.integer(1..=1_000, "sessions that one mailbox may hold at once; providers allow 3 to 20"),
        None => Some(preset.map_or(SESSIONS_MAX, |preset| preset.sessions_max)),
    };
    let messages_per_minute = messages_per_minute(&mut table, protocol, preset);
    let warm_max = match table.take("warm-connections") {
        Some(value) => value.integer(0..=64, "connections that are made ahead of logins; 0 is for none"),
        None => Some(preset.map_or(WARM_MAX, |preset| preset.warm_max)),
    };
    table.finish();

    Some(Endpoint {
        host: host?,
        port: port?,
        tls: tls?,
        mechanisms: mechanisms?,
        takes_passwords: takes_passwords?,
        keywords: keywords?,
        sessions_max: sessions_max?,
        messages_per_minute: messages_per_minute?,
        warm_max: warm_max?,
    })
}

/// Known to submission alone: elsewhere it is left for the table to call unknown. 0 takes a preset's away.
fn messages_per_minute(
    table: &mut Table<'_, '_>,
    protocol: Protocol,
    preset: Option<&Endpoint>,
) -> Option<Option<u32>> {
    if protocol != Protocol::Submission {
        return Some(None);
    }
    match table.take("messages-per-minute") {
        Some(value) => {
            let number: u32 = value.integer(0..=10_000, "more than any mailbox may send; 0 is for no such limit")?;
            Some((number > 0).then_some(number))
        }
        None => Some(preset.and_then(|preset| preset.messages_per_minute)),
    }
}

fn host(value: &Value<'_, '_>) -> Option<String> {
    let host = value.text()?;
    // What cannot be verified against a certificate cannot be dialled.
    if ServerName::try_from(host).is_ok() {
        return Some(host.to_owned());
    }
    let remedy = "the name alone, such as \"mail.example.com\": no scheme, no blanks; the port goes into \"port\"";
    value.wrong("\"host\" must be a host name", Some(remedy))
}

fn tls(value: &Value<'_, '_>) -> Option<UpstreamTls> {
    if matches!(value.value, toml::de::DeValue::Boolean(false)) || value.is_text("none") {
        return value.wrong(
            "there is no way to do without TLS upstream: the credential of the mailbox would travel in clear",
            Some(
                "use \"implicit\" or \"starttls\"; for a server with a certificate of its own, name that in \
                 upstream-ca-files in [tls]",
            ),
        );
    }
    value.one_of(&[("implicit", UpstreamTls::Implicit), ("starttls", UpstreamTls::StartTls)])
}

/// RFC 8314 section 7.3 for implicit TLS; RFC 3501, RFC 1939 and RFC 6409 for STARTTLS.
fn default_port(protocol: Protocol, tls: UpstreamTls) -> u16 {
    match (protocol, tls) {
        (Protocol::Imap, UpstreamTls::Implicit) => 993,
        (Protocol::Imap, UpstreamTls::StartTls) => 143,
        (Protocol::Pop3, UpstreamTls::Implicit) => 995,
        (Protocol::Pop3, UpstreamTls::StartTls) => 110,
        (Protocol::Submission, UpstreamTls::Implicit) => 465,
        (Protocol::Submission, UpstreamTls::StartTls) => 587,
    }
}

fn mechanisms(value: Value<'_, '_>) -> Option<Vec<Mechanism>> {
    let names: Vec<&str> = Mechanism::ALL.iter().map(|mechanism| mechanism.name()).collect();
    let (at, reader) = (value.at, value.reader());
    let mechanisms = value.list(|value| value.parsed::<Mechanism>())?;
    if mechanisms.is_empty() {
        reader.wrong(
            at,
            "\"mechanisms\" names none",
            Some(&format!("leave it out, or choose from {}", one_of(&names))),
        );
        return None;
    }
    Some(mechanisms)
}

/// An EHLO keyword or POP3 capability with its parameters. It will be sent to clients in a line of its own.
fn keyword(value: &Value<'_, '_>) -> Option<String> {
    /// Well inside the 512 bytes of a reply line (RFC 5321 section 4.5.3.1.5).
    const LENGTH_MAX: usize = 255;
    let text = value.text()?;
    let is_line = (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if is_line && text.trim() == text {
        return Some(text.to_owned());
    }
    value.wrong("a keyword is one line of printable ASCII", Some("such as \"SIZE 35882577\""))
}
