//! An OAuth2 credential to and from its record. What cannot be used is refused before it is stored, and again when it is
//! read: a record may have been written by other hands.

use std::str::FromStr;

use jiff::Timestamp;
use serde::Deserialize;

use super::keys::{self, Certificate};
use super::{Authentication, Grant, OAuth2};
use crate::credential::{CredentialError, CredentialVersion};
use crate::model::{CredentialKind, Material, Secret, StoredCredential, secret};

pub(super) const GRANT: &str = "grant";
const TENANT: &str = "tenant";
const CLIENT_ID: &str = "client-id";
const CLIENT_SECRET: &str = "client-secret";
const CLIENT_SECRET_EXPIRES: &str = "client-secret-expires";
const CERTIFICATE: &str = "certificate";
const PRIVATE_KEY: &str = "private-key";
const KEY_ID: &str = "key-id";
/// Under which id the refresh token is kept; its own, where it is not said.
pub(super) const REFRESH_TOKEN: &str = "refresh-token-of";

/// The most bytes that an application's secret may have; Microsoft's have 40.
const CLIENT_SECRET_BYTES_MAX: usize = 4096;

impl OAuth2 {
    /// A credential of this kind as it is stored. `id` names this version from now on.
    ///
    /// # Errors
    /// If a part of it cannot be used.
    pub fn into_stored(self, id: String, label: &str, now: Timestamp) -> Result<StoredCredential, CredentialError> {
        self.check()?;
        self.check_keys(now)?;
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
            Authentication::Key { key, id } => {
                parts.push((PRIVATE_KEY, key));
                parts.extend(id.map(|id| (KEY_ID, text(&id))));
            }
        }
        Ok(StoredCredential {
            id,
            label: label.to_owned(),
            created: now,
            verified: None,
            retries: 0,
            material: Material::of_parts(parts),
        })
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
            (None, Some(certificate), Some(key)) => Authentication::Certificate { certificate, key: key.clone() },
            (None, None, Some(key)) => Authentication::Key { key: key.clone(), id: text(KEY_ID) },
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
    /// Which version of a credential it is, under this id.
    pub fn version(&self, id: &str) -> CredentialVersion {
        let Self { tenant, client_id, authentication, grant } = self;
        let (secret, other) = match authentication {
            Authentication::Public => (None, None),
            Authentication::Secret { secret, .. } => (Some(secret), None),
            Authentication::Certificate { certificate, key } => (Some(key), Some(certificate.as_str())),
            Authentication::Key { key, id } => (Some(key), id.as_deref()),
        };
        let tenant = tenant.as_deref().unwrap_or_default();
        let public = [tenant, client_id, &grant.to_string(), other.unwrap_or_default()].join("\n");
        let secret = secret.map_or(&[][..], Secret::expose);
        let mut whole = Vec::with_capacity(public.len() + 1 + secret.len());
        whole.extend_from_slice(public.as_bytes());
        whole.push(b'\n');
        whole.extend_from_slice(secret);
        CredentialVersion::new(id, &Secret::new(whole))
    }

    /// When it ends: the application's secret, as the operator read it in the portal, or the certificate. `None` if that is
    /// not known.
    pub fn expires(&self) -> Option<Timestamp> {
        match &self.authentication {
            Authentication::Public | Authentication::Key { .. } => None,
            Authentication::Secret { expires, .. } => *expires,
            Authentication::Certificate { certificate, .. } => {
                Certificate::read(certificate).ok().map(|certificate| certificate.not_after)
            }
        }
    }

    /// The credential in the JSON key file that Google makes for a service account. The URLs in it are not used: a key is
    /// shown to nobody but the authority of the upstream.
    ///
    /// # Errors
    /// If it is none, or its key cannot be used.
    pub fn service_account(key_file: &Secret) -> Result<Self, CredentialError> {
        #[derive(Deserialize)]
        struct KeyFile {
            #[serde(rename = "type")]
            kind: String,
            client_email: String,
            #[serde(with = "secret::in_record")]
            private_key: Secret,
            private_key_id: Option<String>,
        }
        let unusable = || {
            let why = "this is no key file of a Google service account: make one in the Google Cloud console under Keys, \
                       in the form JSON";
            CredentialError::Unusable(why.to_owned())
        };
        // The parser's own message may quote a value.
        let file: KeyFile = serde_json::from_slice(key_file.expose()).map_err(|_| unusable())?;
        if file.kind != "service_account" {
            return Err(unusable());
        }
        let authentication = Authentication::Key { key: file.private_key, id: file.private_key_id };
        let grant = Grant::ServiceAccount;
        let credential = Self { tenant: None, client_id: file.client_email, authentication, grant };
        credential.check()?;
        credential.check_keys(Timestamp::now())?;
        Ok(credential)
    }

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
        if let Authentication::Secret { secret, .. } = &self.authentication {
            let is_right = (1..=CLIENT_SECRET_BYTES_MAX).contains(&secret.expose().len())
                && secret.expose_text().is_some()
                && !secret.has_control_characters();
            if !is_right {
                return unusable("the application's secret must be one line, as the provider's portal showed it");
            }
        }
        match (self.grant, &self.authentication) {
            (Grant::ClientCredentials, Authentication::Public) => {
                unusable("an application needs a secret or a certificate to act by itself")
            }
            (Grant::ClientCredentials | Grant::RefreshToken, Authentication::Key { .. }) => {
                unusable("an application's private key goes with its certificate")
            }
            (
                Grant::ServiceAccount,
                Authentication::Public | Authentication::Secret { .. } | Authentication::Certificate { .. },
            ) => unusable("a service account needs its private key, and has no secret and no certificate"),
            (Grant::ClientCredentials, Authentication::Secret { .. } | Authentication::Certificate { .. })
            | (
                Grant::RefreshToken,
                Authentication::Public | Authentication::Secret { .. } | Authentication::Certificate { .. },
            )
            | (Grant::ServiceAccount, Authentication::Key { .. }) => Ok(()),
        }
    }

    /// Whether the key can sign, and the certificate shows it. Not asked at each login: it costs as much as one signature.
    fn check_keys(&self, now: Timestamp) -> Result<(), CredentialError> {
        match &self.authentication {
            Authentication::Public | Authentication::Secret { .. } => Ok(()),
            Authentication::Certificate { certificate, key } => {
                Certificate::read(certificate)?.check(&keys::key(key)?, now)
            }
            Authentication::Key { key, .. } => keys::key(key).map(drop),
        }
    }
}
