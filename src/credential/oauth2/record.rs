//! An OAuth2 credential to and from its record. What cannot be used is refused before it is stored, and again when it is
//! read: a record may have been written by other hands.

use std::str::FromStr;

use jiff::Timestamp;

use super::{Authentication, Grant, OAuth2};
use crate::credential::CredentialError;
use crate::model::{CredentialKind, Material, Secret, StoredCredential};

const GRANT: &str = "grant";
const TENANT: &str = "tenant";
const CLIENT_ID: &str = "client-id";
const CLIENT_SECRET: &str = "client-secret";
const CLIENT_SECRET_EXPIRES: &str = "client-secret-expires";
const CERTIFICATE: &str = "certificate";
const PRIVATE_KEY: &str = "private-key";

impl OAuth2 {
    /// A credential of this kind as it is stored. `id` names this version from now on.
    ///
    /// # Errors
    /// If a part of it cannot be used.
    pub fn into_stored(self, id: String, label: &str, now: Timestamp) -> Result<StoredCredential, CredentialError> {
        self.check()?;
        let text = |text: &str| Secret::new(text);
        let grant = match self.grant {
            Grant::ClientCredentials => "client-credentials",
            Grant::RefreshToken => "refresh-token",
            Grant::ServiceAccount => "service-account",
        };
        let mut parts = vec![(GRANT, text(grant)), (CLIENT_ID, text(&self.client_id))];
        parts.extend(self.tenant.as_deref().map(|tenant| (TENANT, text(tenant))));
        match self.authentication {
            Authentication::Public => {}
            Authentication::Secret { secret, expires } => {
                parts.push((CLIENT_SECRET, secret));
                parts.extend(expires.map(|expires| (CLIENT_SECRET_EXPIRES, text(&expires.to_string()))));
            }
            Authentication::Certificate { certificate, key } => {
                parts.extend([(CERTIFICATE, text(&certificate)), (PRIVATE_KEY, key)]);
            }
        }
        Ok(StoredCredential { id, label: label.to_owned(), created: now, material: Material::of_parts(parts) })
    }

    /// The credential that is stored.
    ///
    /// # Errors
    /// If it lacks a part, or a part cannot be used.
    pub fn from_stored(stored: &StoredCredential) -> Result<Self, CredentialError> {
        let part = |name| stored.material.part(name);
        let text = |name| part(name).and_then(Secret::expose_text).map(str::to_owned);
        let missing = |part| CredentialError::Incomplete { kind: CredentialKind::OAuth2, part };
        let grant = match text(GRANT).as_deref() {
            Some("client-credentials") => Grant::ClientCredentials,
            Some("refresh-token") => Grant::RefreshToken,
            Some("service-account") => Grant::ServiceAccount,
            _ => return Err(missing(GRANT)),
        };
        let authentication = match (part(CLIENT_SECRET), text(CERTIFICATE), part(PRIVATE_KEY)) {
            (Some(secret), ..) => Authentication::Secret {
                secret: secret.clone(),
                expires: text(CLIENT_SECRET_EXPIRES).and_then(|expires| Timestamp::from_str(&expires).ok()),
            },
            (None, certificate, Some(key)) => {
                Authentication::Certificate { certificate: certificate.unwrap_or_default(), key: key.clone() }
            }
            (None, Some(_), None) => return Err(missing(PRIVATE_KEY)),
            (None, None, None) => Authentication::Public,
        };
        let client_id = text(CLIENT_ID).ok_or_else(|| missing(CLIENT_ID))?;
        let credential = Self { tenant: text(TENANT), client_id, authentication, grant };
        credential.check()?;
        Ok(credential)
    }
}

impl OAuth2 {
    fn check(&self) -> Result<(), CredentialError> {
        let unusable = |why: &str| Err(CredentialError::Unusable(why.to_owned()));
        // It becomes a part of a URL.
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        if self.tenant.as_deref().is_some_and(|tenant| !is_name(tenant)) {
            return unusable("the tenant must be its id or a domain name, such as contoso.onmicrosoft.com");
        }
        if self.client_id.is_empty() || !self.client_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return unusable("the client id must be one word, as the provider's portal shows it");
        }
        match (&self.grant, &self.authentication) {
            (Grant::ClientCredentials, Authentication::Public) => {
                unusable("an application needs a secret or a certificate to act by itself")
            }
            (Grant::ServiceAccount, Authentication::Public | Authentication::Secret { .. }) => {
                unusable("a service account needs its private key")
            }
            _ => Ok(()),
        }
    }
}
