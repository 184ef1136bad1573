//! App passwords: made by hand in the provider's portal, shown once, and written there in a form for reading.
//!
//! They are normalised once, when they are put into the store; at login they are sent as they stand.

use jiff::Timestamp;

use super::{CredentialError, SECRET_BYTES_MAX};
use crate::model::{AppPasswordFormat, CredentialKind, Material, Secret, StoredCredential};

const PART: &str = "secret";

/// A credential of this kind from what an operator pasted. `id` names this version from now on.
///
/// # Errors
/// If nothing usable was pasted.
pub fn new(
    pasted: &Secret,
    format: AppPasswordFormat,
    id: String,
    label: &str,
    now: Timestamp,
) -> Result<StoredCredential, CredentialError> {
    let secret = normalise(pasted, format);
    check(&secret)?;
    Ok(StoredCredential {
        id,
        label: label.to_owned(),
        created: now,
        verified: None,
        retries: 0,
        material: Material::of(PART, secret),
    })
}

/// A credential of this kind from what a client presented, octet by octet: that is what the provider is to take.
///
/// # Errors
/// If it cannot be sent.
pub fn presented(proof: &Secret, id: String, label: &str, now: Timestamp) -> Result<StoredCredential, CredentialError> {
    check(proof)?;
    let (label, material) = (label.to_owned(), Material::of(PART, proof.clone()));
    Ok(StoredCredential { id, label, created: now, verified: None, retries: 0, material })
}

/// The password to send. Checked again: a record may have been written by other hands.
///
/// # Errors
/// If it cannot be sent.
pub fn secret(stored: &StoredCredential) -> Result<Secret, CredentialError> {
    let incomplete = CredentialError::Incomplete { kind: CredentialKind::AppPassword, part: PART };
    let secret = stored.material.part(PART).ok_or(incomplete)?;
    check(secret)?;
    Ok(secret.clone())
}

/// Blanks around it come from pasting. Blanks within it are the provider's typography, where it is known to use them:
/// Google shows `abcd efgh ijkl mnop`. Apple's hyphens are part of the password.
fn normalise(pasted: &Secret, format: AppPasswordFormat) -> Secret {
    // A no-break space is what a browser may make of a space.
    let Some(text) = pasted.expose_text() else { return pasted.clone() };
    match format {
        AppPasswordFormat::Verbatim => Secret::new(text.trim()),
        AppPasswordFormat::SpacesAreCosmetic => {
            let mut kept = Vec::with_capacity(text.len());
            let mut utf8 = [0; 4];
            for c in text.trim().chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}')) {
                kept.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
            }
            Secret::new(kept)
        }
    }
}

fn check(secret: &Secret) -> Result<(), CredentialError> {
    match secret.expose() {
        [] => Err(CredentialError::Empty),
        bytes if bytes.len() > SECRET_BYTES_MAX => Err(CredentialError::TooLong),
        _ if secret.has_control_characters() || secret.expose_text().is_none() => {
            Err(CredentialError::ControlCharacter)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(pasted: &str, format: AppPasswordFormat) -> Result<String, CredentialError> {
        let credential = new(&Secret::new(pasted), format, "c1".into(), "", Timestamp::UNIX_EPOCH)?;
        Ok(secret(&credential)?.expose_text().unwrap().to_owned())
    }

    #[test]
    fn each_provider_s_form_is_understood() {
        use AppPasswordFormat::{SpacesAreCosmetic, Verbatim};
        for (shown, format, sent) in [
            ("abcd efgh ijkl mnop\n", SpacesAreCosmetic, "abcdefghijklmnop"), // Google
            (" abcd\u{a0}efgh ijkl mnop ", SpacesAreCosmetic, "abcdefghijklmnop"), // out of a browser
            ("abcdefghijklmnop\r\n", Verbatim, "abcdefghijklmnop"),           // Microsoft
            ("abcd-efgh-ijkl-mnop", Verbatim, "abcd-efgh-ijkl-mnop"),         // Apple
            ("correct horse", Verbatim, "correct horse"),
        ] {
            assert_eq!(stored(shown, format).unwrap(), sent);
        }
    }

    #[test]
    fn what_cannot_be_a_password_is_refused() {
        use AppPasswordFormat::Verbatim;
        assert_eq!(stored(" \n", Verbatim), Err(CredentialError::Empty));
        assert_eq!(stored("two\nlines", Verbatim), Err(CredentialError::ControlCharacter));
        assert_eq!(stored("a\0b", Verbatim), Err(CredentialError::ControlCharacter));
        assert_eq!(stored(&"x".repeat(SECRET_BYTES_MAX + 1), Verbatim), Err(CredentialError::TooLong));
    }
}
