//! Which keys look as if their value were a secret. A secret does not belong in the configuration: that file is copied,
//! committed and pasted into tickets. Nothing here may take a value into a message.

use toml::de::DeValue;

/// What every complaint about a secret says.
pub(super) const RULE: &str = "secrets do not belong in the configuration";

/// Where secrets belong.
pub(super) const REMEDY: &str = "take it out: credentials of mailboxes go into the store (`locum account add`), keys into \
     files of their own (key-file in [store], key in [tls]); whoever has read this file knows it, so change it too";

/// Whether this setting looks like a secret written out.
pub(super) fn is_literal(key: &str, value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(text) => names_a_secret(key) || (names_a_key(key) && !is_path(text)),
        DeValue::Array(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => names_a_secret(key),
        // `password = true` is a wrong idea of an option, and a table is looked into.
        DeValue::Boolean(_) | DeValue::Table(_) => false,
    }
}

/// Whether a text that should be a path is the content of a file instead.
pub(super) fn is_file_content(text: &str) -> bool {
    text.contains("-----BEGIN") || text.contains(['\n', '\r'])
}

fn names_a_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace('_', "-");
    // The end is what the value is: `client-secret` is one, `secret-file` is not.
    let ends = ["password", "passwd", "passphrase", "secret", "secretid", "secret-id", "token", "credential"]
        .iter()
        .any(|word| key.strip_suffix('s').unwrap_or(&key).ends_with(word));
    let last_word = key.rsplit('-').next().unwrap_or(&key);
    ends || ["pass", "pwd", "pin"].contains(&last_word)
}

fn names_a_key(key: &str) -> bool {
    let key = key.to_lowercase().replace('_', "-");
    key == "key" || key.ends_with("-key") || key == "apikey"
}

fn is_path(text: &str) -> bool {
    let begins = ["/", "./", "../"].iter().any(|beginning| text.starts_with(beginning));
    let ends = [".key", ".pem"].iter().any(|ending| text.ends_with(ending));
    (begins || ends) && !is_file_content(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &'static str) -> DeValue<'static> {
        DeValue::String(text.into())
    }

    #[test]
    fn the_last_word_decides() {
        for key in ["password", "app-password", "app_password", "clientSecret", "client-secret", "TOKEN", "imap-pass"] {
            assert!(is_literal(key, &string("x")), "{key}");
        }
        for key in ["takes-passwords-from", "password-file", "token-url", "compass-heading", "name"] {
            assert!(!is_literal(key, &string("x")), "{key}");
        }
    }

    #[test]
    fn a_key_may_be_a_path() {
        assert!(is_literal("key", &string("MC4CAQAwBQYDK2VwBCIEIL")));
        assert!(is_literal("key", &string("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----.pem")));
        assert!(!is_literal("key", &string("/etc/locum/tls.key")));
        assert!(!is_literal("key", &string("tls.pem")));
    }

    #[test]
    fn a_switch_is_no_secret() {
        assert!(!is_literal("password", &DeValue::Boolean(true)));
    }
}
