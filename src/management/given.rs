//! What is handed in, and what of it can be used: names, labels, secrets. It must never show a secret.

use serde::Deserialize;
use utoipa::ToSchema;

use super::ManagementError;
use crate::model::{Secret, secret};

/// A label in a portal is not longer.
const LABEL_CHARS_MAX: usize = 200;

/// A secret that somebody hands in. It can be read and not written.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password)]
pub struct GivenSecret(#[serde(with = "secret::in_record")] Secret);

impl GivenSecret {
    /// The secret.
    pub fn into_secret(self) -> Secret {
        self.0
    }
}

impl From<Secret> for GivenSecret {
    fn from(secret: Secret) -> Self {
        Self(secret)
    }
}

/// The name without the blanks around it. It goes into the provider's dialogue, and onto terminals.
///
/// # Errors
/// If it is empty, or could end the line it stands in.
pub fn check_name(name: &str) -> Result<&str, ManagementError> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(ManagementError::invalid("a name must not be empty or contain control characters"));
    }
    Ok(name.trim())
}

/// What it is called in a portal, without the blanks around it; empty for nothing. It goes onto terminals.
///
/// # Errors
/// If it is no label.
pub fn check_label(label: &str) -> Result<&str, ManagementError> {
    let label = label.trim();
    if label.chars().any(char::is_control) || label.chars().count() > LABEL_CHARS_MAX {
        return Err(ManagementError::invalid(format!(
            "a label must not be longer than {LABEL_CHARS_MAX} characters or contain control characters"
        )));
    }
    Ok(label)
}

/// A domain as it stands behind an `@`; the `@` may be there, too.
///
/// # Errors
/// If it is none.
pub fn check_domain(domain: &str) -> Result<&str, ManagementError> {
    let domain = domain.trim();
    let domain = domain.strip_prefix('@').unwrap_or(domain);
    let is_right = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    if domain.is_empty() || !domain.chars().all(is_right) {
        let message = "a domain is what stands behind the @ of an address, such as contoso.com";
        return Err(ManagementError::invalid(message));
    }
    Ok(domain)
}
