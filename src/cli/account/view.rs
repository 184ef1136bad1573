//! What is said of an account: never a secret.

use crate::broker::Change;
use crate::cli::kinds;
use crate::cli::output;
use crate::management::accounts::AccountView;
use crate::management::credentials::CredentialView;
use crate::model::CredentialKind;

/// Prints it. `lines`: what is in its places besides what logins use; `tenant`: the domain whose credential the account may use.
pub(super) fn print(view: &AccountView, lines: &[(&'static str, String)], tenant: Option<&str>) {
    output::line(format!("account     {}", view.name));
    output::line(format!("upstream    {}", view.upstream));
    if let Some(identity) = &view.identity.all {
        output::line(format!("identity    {identity}"));
    }
    for (protocol, identity) in &view.identity.by_protocol {
        output::line(format!("identity    {identity} ({protocol})"));
    }
    for credential in &view.credentials {
        output::line(format!("credential  {}", described(credential)));
    }
    for (what, text) in lines {
        output::line(format!("{what:<12}{text}"));
    }
    if let (Some(tenant), false) = (tenant, view.has(CredentialKind::OAuth2)) {
        output::line(format!("credential  OAuth2 as all accounts of {tenant}: see `locum oauth status {tenant}`"));
    }
    if !view.preference.is_empty() {
        output::line(format!("prefers     {}", kinds::described(&view.preference)));
    }
    if let Some(class) = &view.class {
        output::line(format!("class       {class}"));
    }
    if let Some(Change { by, at }) = &view.changed {
        output::line(format!("changed     {} by {by}", output::minute(*at)));
    }
}

/// A credential in one line.
fn described(credential: &CredentialView) -> String {
    let CredentialView { kind, id, label, created, oauth2 } = credential;
    let grant = match (oauth2, kind) {
        (Some(oauth2), _) => format!(" by {}", oauth2.grant),
        (None, CredentialKind::OAuth2) => " that cannot be read".to_owned(),
        (None, CredentialKind::AppPassword) => String::new(),
    };
    let label = if label.is_empty() { String::new() } else { format!(", called {label:?} in the portal") };
    let application = oauth2.as_ref().map_or_else(String::new, |oauth2| {
        let tenant = oauth2.tenant.as_ref().map_or_else(String::new, |tenant| format!(" in {tenant}"));
        let end = oauth2.expires.map_or_else(String::new, |end| format!(", ends {}", output::minute(end)));
        format!(", client id {}{tenant}{end}", oauth2.client_id)
    });
    format!("{kind} {id}{grant}, since {}{label}{application}", output::minute(*created))
}
