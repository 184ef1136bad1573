//! `[upstream.<name>.oauth2]`: who issues access tokens. An application's secret goes to the hosts named here, so that it
//! must never name one without TLS, nor let a credential decide which host it is.

use super::reader::Table;
use super::value::Value;
use super::vault::host_and_port;
use crate::model::Authority;

const FORM: &str = "such as \"https://login.example.com/{tenant}/oauth2/v2.0/token\"; {tenant} stands for the tenant of \
                    the credential";

/// The table, over what a preset says. `token_url_may_lack`: there is another error that explains it.
pub(super) fn authority(
    mut table: Table<'_, '_>,
    preset: Option<&Authority>,
    token_url_may_lack: bool,
) -> Option<Authority> {
    let token_url = match (table.take("token-url"), preset) {
        (Some(value), _) => url(&value),
        (None, Some(preset)) => Some(preset.token_url.clone()),
        (None, None) if token_url_may_lack => None,
        (None, None) => table.require("token-url", FORM).and(None),
    };
    let mut optional = |key, of: fn(&Authority) -> &Option<String>| match table.take(key) {
        Some(value) => url(&value).map(Some),
        None => Some(preset.and_then(|preset| of(preset).clone())),
    };
    let authorize_url = optional("authorize-url", |preset| &preset.authorize_url);
    let device_url = optional("device-url", |preset| &preset.device_url);
    let mut scopes = |key, of: fn(&Authority) -> &Vec<String>| match table.take(key) {
        Some(value) => value.list(scope),
        None => Some(preset.map_or_else(Vec::new, |preset| of(preset).clone())),
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

fn url(value: &Value<'_, '_>) -> Option<String> {
    /// Longer than any that a provider has.
    const LENGTH_MAX: usize = 1000;

    let text = value.text()?;
    let Some(rest) = text.strip_prefix("https://") else {
        let message = format!("\"{}\" must begin with \"https://\": secrets and tokens travel there", value.key);
        return value.wrong(message, Some(FORM));
    };
    let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
    let is_printable = text.len() <= LENGTH_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    let without_tenant = text.replace("{tenant}", "");
    let wrong = if authority.contains('@') {
        "must name no user and no password"
    } else if authority.contains(['{', '}']) {
        "must name its host: a credential does not decide where it is sent"
    } else if host_and_port(authority).is_none() {
        "has no host, or behind it no port from 1 to 65535"
    } else if text.contains('#') {
        "must have no part behind \"#\""
    } else if !is_printable || without_tenant.contains(['{', '}', '"', '<', '>', '\\', '^', '`', '|']) {
        "has a character that no URL has"
    } else {
        return Some(text.to_owned());
    };
    value.wrong(format!("\"{}\" {wrong}", value.key), Some(FORM))
}

/// RFC 6749 section 3.3.
fn scope(value: &Value<'_, '_>) -> Option<String> {
    const LENGTH_MAX: usize = 255;

    let text = value.text()?;
    let is_scope = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    if is_scope && (1..=LENGTH_MAX).contains(&text.len()) {
        return Some(text.to_owned());
    }
    let message = format!("a scope in \"{}\" is one word of printable ASCII", value.key);
    value.wrong(message, Some("several make a list, such as [\"https://mail.example.com/imap\", \"offline_access\"]"))
}
