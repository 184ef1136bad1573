//! Kinds of credential on the command line: how a preference is written, and what comes of it.

use std::fmt;
use std::str::FromStr;

use super::output;
use crate::management::accounts::Used;
use crate::model::{CredentialKind, Preference, Protocol};

/// Kinds of credential, best first; none to have no preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kinds(pub(super) Vec<CredentialKind>);

impl FromStr for Kinds {
    type Err = String;

    /// `none`, or names with commas between them; a list in a CSV file may have blanks or semicolons there.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "expected \"oauth2\", \"app-password\", both with a comma between them, or \"none\"".to_owned();
        let text = text.trim().to_ascii_lowercase();
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let mut kinds = Vec::new();
        for name in text.split([',', ';', ' ']).filter(|name| !name.is_empty()) {
            let kind = CredentialKind::from_str(name).map_err(|_| wrong())?;
            if kinds.contains(&kind) {
                return Err(wrong());
            }
            kinds.push(kind);
        }
        if kinds.is_empty() { Err(wrong()) } else { Ok(Self(kinds)) }
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&listed(&self.0))
    }
}

/// Kinds in words: `OAuth2, then app password`.
pub(super) fn listed(kinds: &[CredentialKind]) -> String {
    kinds.iter().map(CredentialKind::to_string).collect::<Vec<_>>().join(", then ")
}

/// A preference in words, with what single protocols have of their own: `OAuth2; imap: app password`.
pub(super) fn described(preference: &Preference) -> String {
    let all = (!preference.all.is_empty()).then(|| listed(&preference.all));
    let own = preference.by_protocol.iter().map(|(protocol, kinds)| format!("{protocol}: {}", listed(kinds)));
    all.into_iter().chain(own).collect::<Vec<_>>().join("; ")
}

/// Parses `PROTOCOL=KIND[,KIND]`.
pub(super) fn parse_for_protocol(text: &str) -> Result<(Protocol, Kinds), String> {
    let (protocol, kinds) = text.split_once('=').ok_or("expected PROTOCOL=KIND, such as submission=app-password")?;
    Ok((protocol.parse()?, kinds.parse()?))
}

/// Says which kind each protocol of an upstream uses now.
pub(super) fn tell_used(used: &[Used], upstream: &str) {
    for Used { protocol, kind } in used {
        let protocol = protocol.name();
        output::note(match kind {
            Some(kind) => format!("  {protocol:<10}  {kind}"),
            None => format!("  {protocol:<10}  nothing that {upstream} takes: logins fail"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_read_as_people_write_it() {
        use CredentialKind::{AppPassword, OAuth2};
        for (text, kinds) in [
            ("oauth2", &[OAuth2][..]),
            (" OAuth2, app-password ", &[OAuth2, AppPassword]),
            ("app-password;oauth2", &[AppPassword, OAuth2]),
            ("app-password oauth2", &[AppPassword, OAuth2]),
            ("none", &[]),
        ] {
            assert_eq!(text.parse::<Kinds>().unwrap().0, kinds, "{text}");
        }
        for text in ["", ",", "password", "oauth2,oauth2", "none,oauth2"] {
            assert!(text.parse::<Kinds>().unwrap_err().contains("\"app-password\""), "{text}");
        }
    }
}
