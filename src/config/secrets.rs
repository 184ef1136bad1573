//! Which keys look as if their value were a secret. A secret does not belong in the configuration: that file is copied,
//! committed and pasted into tickets. Nothing here may take a value into a message.

use toml::de::DeValue;

/// What every complaint about a secret says.
pub(super) const RULE: &str = "secrets do not belong in the configuration";

/// Where secrets belong.
pub(super) const REMEDY: &str = "take it out: credentials of mailboxes go into the store (`locum account add`), keys into \
     files of their own (key-file in [store], key in [tls]), and so do the token or secret id for a Vault (token-file, \
     secret-id-file in [store.login]); whoever has read this file knows it, so change it too";

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
    text.contains("-----BEGIN") || text.contains(['\n', '\r']) || is_vault_token(text) || is_uuid(text)
}

/// Tokens of Vault (`hvs.`, `hvb.`, `hvr.`) and of OpenBao and older Vaults (`s.`, `b.`, `r.`).
fn is_vault_token(text: &str) -> bool {
    const BODY_MIN: usize = 20;
    let prefixes = ["hvs.", "hvb.", "hvr.", "s.", "b.", "r."];
    let body = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    body.is_some_and(|body| {
        body.len() >= BODY_MIN && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
}

/// What the secret id of an AppRole looks like.
fn is_uuid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
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
    fn what_names_a_place_or_a_role_is_no_secret_and_what_opens_a_vault_is() {
        for key in ["role-id", "secret-id-file", "secret-id-environment", "token-file", "token-environment", "role"] {
            assert!(!is_literal(key, &string("x")), "{key}");
        }
        assert!(!is_literal("secret-id-wrapped", &DeValue::Boolean(true)));
        for key in ["secret-id", "secret_id", "token", "vault-token"] {
            assert!(is_literal(key, &string("x")), "{key}");
        }
    }

    #[test]
    fn a_token_or_a_secret_id_is_no_path() {
        for text in
            ["hvs.CAESIJ4f0PpaSsKb2WXh-3_", "s.8oAs9Hn2pCZZSy3wrmBqMYRU", "7c1f9b5e-22aa-4c3e-9d0b-0123456789ab"]
        {
            assert!(is_file_content(text), "{text}");
        }
        for text in ["s.token", "/run/s.8oAs9Hn2pCZZSy3wrmBqMYRU", "vault-token", "locum-2026-11-22-a-b"] {
            assert!(!is_file_content(text), "{text}");
        }
    }

    #[test]
    fn a_switch_is_no_secret() {
        assert!(!is_literal("password", &DeValue::Boolean(true)));
    }
}
