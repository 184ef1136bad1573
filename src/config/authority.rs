//! `[upstream.<name>.oauth2]`: who issues an upstream's access tokens. It must never let a secret be posted without TLS.

use rustls::pki_types::ServerName;

use super::reader::Table;
use super::value::Value;
use crate::model::Authority;

/// The table, over what a preset says; `None` if something is wrong in it.
pub(super) fn authority(mut table: Table<'_, '_>, preset: Option<&Authority>) -> Option<Authority> {
    let token_url = match (table.take("token-url"), preset) {
        (Some(value), _) => url(&value),
        (None, Some(preset)) => Some(preset.token_url.clone()),
        (None, None) => table
            .require("token-url", "where its access tokens come from, such as \"https://login.example.com/token\"")
            .and(None),
    };
    let mut page = |key: &'static str, of: fn(&Authority) -> &Option<String>| match table.take(key) {
        Some(value) => url(&value).map(Some),
        None => Some(preset.and_then(|preset| of(preset).clone())),
    };
    let authorize_url = page("authorize-url", |preset| &preset.authorize_url);
    let device_url = page("device-url", |preset| &preset.device_url);
    let mut scopes = |key: &'static str, of: fn(&Authority) -> &Vec<String>| match table.take(key) {
        Some(value) => value.list(scope),
        None => Some(preset.map(|preset| of(preset).clone()).unwrap_or_default()),
    };
    let application_scopes = scopes("application-scopes", |preset| &preset.application_scopes);
    let delegated_scopes = scopes("delegated-scopes", |preset| &preset.delegated_scopes);
    table.finish();

    Some(Authority {
        token_url: token_url?,
        authorize_url: authorize_url?,
        device_url: device_url?,
        application_scopes: application_scopes?,
        delegated_scopes: delegated_scopes?,
    })
}

/// An address that is asked over TLS, with its host verified.
fn url(value: &Value<'_, '_>) -> Option<String> {
    let remedy = "write \"https://login.example.com/{tenant}/token\"; {tenant} stands for the tenant of a credential";
    let text = value.text()?;
    let Some(rest) = text.strip_prefix("https://") else {
        return value.wrong("this address does not begin with \"https://\"", Some(remedy));
    };
    let (place, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = place.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).unwrap_or((place, "443"));
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if ServerName::try_from(host).is_err() || !is_port {
        return value.wrong("this address has no host and port that could be asked", Some(remedy));
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return value.wrong("this address has blanks or other characters that no address has", Some(remedy));
    }
    Some(text.to_owned())
}

/// RFC 6749 section 3.3.
fn scope(value: &Value<'_, '_>) -> Option<String> {
    let text = value.text()?;
    let is_scope = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if !text.is_empty() && text.bytes().all(is_scope) {
        return Some(text.to_owned());
    }
    value.wrong("a scope is one word", Some("such as \"https://outlook.office365.com/.default\"; for several, a list"))
}
