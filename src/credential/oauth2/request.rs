//! What is asked of a token endpoint, grant by grant.

use jiff::Timestamp;

use super::assertion::{self, ServiceAccount};
use super::failure::FailureKind;
use super::{Authentication, Grant, OAuth2, TokenFailure};
use crate::credential::CredentialError;
use crate::model::{Authority, Secret};

/// Where `{tenant}` stands in an authority's URLs.
const TENANT: &str = "{tenant}";

/// A form for a token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to post it.
    pub url: String,
    /// What to post.
    pub form: Vec<(&'static str, Secret)>,
}

impl Request {
    /// Asks for an access token. `subject` is the mailbox that a service account acts for; `refresh_token` belongs to
    /// [`Grant::RefreshToken`]; `now` is the time by the authority's clock.
    ///
    /// # Errors
    /// If the credential lacks something that the grant or the URL needs.
    pub fn new(
        credential: &OAuth2,
        authority: &Authority,
        subject: &str,
        refresh_token: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Self, TokenFailure> {
        let url = credential.url(&authority.token_url)?;
        let scope = |scopes: &[String]| (!scopes.is_empty()).then(|| ("scope", Secret::new(scopes.join(" "))));
        let mut form = Vec::with_capacity(7);
        match credential.grant {
            Grant::ClientCredentials => {
                form.push(("grant_type", Secret::new("client_credentials")));
                form.extend(credential.client_fields(&url, now)?);
                form.extend(scope(&authority.application_scopes));
            }
            Grant::RefreshToken => {
                let Some(token) = refresh_token else { return Err(TokenFailure::no_refresh_token()) };
                form.push(("grant_type", Secret::new("refresh_token")));
                form.extend(credential.client_fields(&url, now)?);
                form.extend(scope(&authority.delegated_scopes));
                form.push(("refresh_token", token.clone()));
            }
            Grant::ServiceAccount => {
                let Authentication::Key { key, id } = &credential.authentication else {
                    return Err(unusable(&CredentialError::Unusable("a service account needs its private key".into())));
                };
                let account = ServiceAccount { client_id: &credential.client_id, key, key_id: id.as_deref() };
                let scope = authority.application_scopes.join(" ");
                let signed = assertion::of_service_account(&account, subject, &scope, &url, now);
                form.push(("grant_type", Secret::new("urn:ietf:params:oauth:grant-type:jwt-bearer")));
                form.push(("assertion", signed.map_err(|error| unusable(&error))?));
            }
        }
        Ok(Self { url, form })
    }
}

impl OAuth2 {
    /// An authority's URL for this credential.
    ///
    /// # Errors
    /// If the URL wants a tenant and there is none.
    pub fn url(&self, template: &str) -> Result<String, TokenFailure> {
        match &self.tenant {
            Some(tenant) => Ok(template.replace(TENANT, tenant)),
            None if !template.contains(TENANT) => Ok(template.to_owned()),
            None => Err(TokenFailure::of(
                FailureKind::Permanent,
                "the credential names no tenant, and the authority's URL has one in it",
                "store the credential again with its tenant, such as contoso.onmicrosoft.com",
            )),
        }
    }

    /// How the application names and proves itself in a form for that URL (RFC 6749 section 2.3.1, RFC 7523 section 2.2).
    ///
    /// # Errors
    /// If its key cannot sign.
    pub fn client_fields(&self, url: &str, now: Timestamp) -> Result<Vec<(&'static str, Secret)>, TokenFailure> {
        let mut fields = vec![("client_id", Secret::new(self.client_id.as_str()))];
        match &self.authentication {
            Authentication::Public | Authentication::Key { .. } => {}
            Authentication::Secret { secret, .. } => fields.push(("client_secret", secret.clone())),
            Authentication::Certificate { certificate, key } => {
                let signed = assertion::of_application(&self.client_id, certificate, key, url, now);
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                fields.push(("client_assertion_type", Secret::new(kind)));
                fields.push(("client_assertion", signed.map_err(|error| unusable(&error))?));
            }
        }
        Ok(fields)
    }
}

fn unusable(error: &CredentialError) -> TokenFailure {
    TokenFailure::of(FailureKind::Permanent, error.to_string(), "store a credential that can be used")
}
