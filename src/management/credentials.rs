//! What is shown of a stored credential, and how an application's comes of what an operator hands in. No view holds a secret.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Desk, Fault, GivenSecret, ManagementError};
use crate::broker::{Directory, KeptTokens, client_secret};
use crate::credential::oauth2::{Authentication, Grant, OAuth2};
use crate::model::{Authority, CredentialKind, Profile, Secret, Slots, StoredCredential, presets};
use crate::rotation::machine::{self, Actor};

/// A credential, less what is secret in it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CredentialView {
    /// The kind.
    pub kind: CredentialKind,
    /// Its id, by which the log and the audit name it.
    pub id: String,
    /// What it is called in the provider's portal.
    pub label: String,
    /// When it was put here.
    pub created: Timestamp,
    /// What is known of it where it is OAuth2 and can be read.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2View>,
}

/// An application's credential, less what is secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OAuth2View {
    /// By which right tokens are asked for.
    pub grant: String,
    /// The application.
    pub client_id: String,
    /// The directory that it is registered in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When its secret or certificate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl CredentialView {
    /// Of a stored one.
    pub fn of(kind: CredentialKind, stored: &StoredCredential) -> Self {
        let oauth2 = (kind == CredentialKind::OAuth2).then(|| OAuth2::from_stored(stored).ok()).flatten();
        let oauth2 = oauth2.map(|credential| OAuth2View {
            grant: credential.grant.to_string(),
            expires: credential.expires(),
            client_id: credential.client_id,
            tenant: credential.tenant,
        });
        Self { kind, id: stored.id.clone(), label: stored.label.clone(), created: stored.created, oauth2 }
    }
}

/// An application that acts by itself, or that a person consented to. Of the secret, the certificate with its key and the
/// service account there is one.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The directory that it is registered in; where it is the application of before, that of before.
    pub tenant: Option<String>,
    /// Its id, as the provider's portal shows it; if it is not said, that of before.
    pub client_id: Option<String>,
    /// What the credential is called in the portal.
    #[serde(default)]
    pub label: String,
    /// Its secret.
    pub secret: Option<GivenSecret>,
    /// When that ends, as the portal shows it.
    pub secret_expires: Option<Timestamp>,
    /// Its certificate, in PEM form.
    pub certificate: Option<String>,
    /// The certificate's private key, in PEM form.
    pub key: Option<GivenSecret>,
    /// The JSON key file of a Google service account.
    pub service_account: Option<GivenSecret>,
}

/// What an application proves itself by.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// Its secret.
    pub secret: Option<GivenSecret>,
    /// When that ends, as the portal shows it.
    pub secret_expires: Option<Timestamp>,
    /// Its certificate, in PEM form.
    pub certificate: Option<String>,
    /// The certificate's private key, in PEM form.
    pub key: Option<GivenSecret>,
    /// The JSON key file of a Google service account.
    pub service_account: Option<GivenSecret>,
}

impl Proof {
    /// Whether any is given.
    pub fn is_given(&self) -> bool {
        let Self { secret, secret_expires, certificate, key, service_account } = self;
        secret.is_some()
            || secret_expires.is_some()
            || certificate.is_some()
            || key.is_some()
            || service_account.is_some()
    }

    /// The secret, or the certificate; `None` if neither is given.
    ///
    /// # Errors
    /// If the parts do not go together, or the secret is over.
    pub fn authentication(self) -> Result<Option<Authentication>, ManagementError> {
        let usage = |message: &str| Err(ManagementError::new(Fault::Usage, message));
        match self {
            Self { service_account: Some(_), .. } => usage("a service account's key goes with nothing else"),
            Self { secret: None, secret_expires: Some(_), .. } => usage("the end is about a secret, and none is given"),
            Self { secret: Some(_), certificate: Some(_), .. } => usage("give a secret or a certificate, not both"),
            Self { secret: Some(secret), secret_expires: expires, .. } => {
                by_secret(&secret.into_secret(), expires).map(Some)
            }
            Self { certificate: Some(certificate), key: Some(key), .. } => {
                Ok(Some(Authentication::Certificate { certificate, key: key.into_secret() }))
            }
            Self { certificate: Some(_), .. } | Self { key: Some(_), .. } => {
                usage("a certificate and its key go together")
            }
            Self { .. } => Ok(None),
        }
    }
}

/// A secret, less the blanks around it.
fn by_secret(secret: &Secret, expires: Option<Timestamp>) -> Result<Authentication, ManagementError> {
    if let Some(end) = expires.filter(|end| *end <= Timestamp::now()) {
        let day = end.strftime("%Y-%m-%d");
        return Err(ManagementError::invalid(format!("a secret that ended on {day} does not work: make a new one")));
    }
    Ok(Authentication::Secret { secret: Secret::new(secret.expose().trim_ascii()), expires })
}

impl Application {
    /// What it proves itself by.
    pub fn proof(&self) -> Proof {
        Proof {
            secret: self.secret.clone(),
            secret_expires: self.secret_expires,
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            service_account: self.service_account.clone(),
        }
    }

    /// The credential that it makes. Where it is the application of last time, what is not named is as it was then.
    ///
    /// # Errors
    /// If it cannot be used at that upstream.
    pub fn credential(
        self,
        grant: Grant,
        profile: &Profile,
        before: Option<&StoredCredential>,
    ) -> Result<OAuth2, ManagementError> {
        authority(profile)?;
        if let (Some(file), Grant::ClientCredentials) = (&self.service_account, grant) {
            return Ok(OAuth2::service_account(&file.clone().into_secret())?);
        }
        let before = before.and_then(|stored| OAuth2::from_stored(stored).ok());
        let is_same = |before: &OAuth2| {
            before.grant == grant && self.client_id.as_deref().is_none_or(|named| named.trim() == before.client_id)
        };
        let before = before.filter(is_same);
        let (tenant, client_id) = names(&self, before.as_ref(), profile)?;
        let authentication = match (self.proof().authentication()?, before, grant) {
            (Some(authentication), ..) => authentication,
            (None, Some(before), Grant::RefreshToken) => before.authentication,
            (None, None, Grant::RefreshToken) => Authentication::Public,
            (None, ..) => {
                let message = "an application that acts by itself needs a secret, or a certificate with its key";
                return Err(ManagementError::new(Fault::Usage, message));
            }
        };
        Ok(OAuth2 { tenant, client_id, authentication, grant })
    }
}

/// Tenant and client id: as named, or else as before.
fn names(
    named: &Application,
    before: Option<&OAuth2>,
    profile: &Profile,
) -> Result<(Option<String>, String), ManagementError> {
    let name = &profile.name;
    let client_id = named.client_id.as_deref().map(str::trim).or(before.map(|before| before.client_id.as_str()));
    let tenant = named.tenant.as_deref().map(str::trim).or(before.and_then(|before| before.tenant.as_deref()));
    let message = match (client_id, tenant, has_tenants(profile)) {
        (Some(client_id), tenant @ Some(_), true) | (Some(client_id), tenant @ None, false) => {
            return Ok((tenant.map(str::to_owned), client_id.to_owned()));
        }
        (None, ..) => "say which application it is, with --client-id as the provider's portal shows it".to_owned(),
        (Some(_), None, true) => {
            format!("{name} needs to know the tenant: its id, or a domain of it, as --tenant contoso.onmicrosoft.com")
        }
        (Some(_), Some(_), false) => format!("{name} has no tenants: leave --tenant out"),
    };
    Err(ManagementError::new(Fault::Usage, message))
}

/// Whether the authority serves many directories.
pub fn has_tenants(profile: &Profile) -> bool {
    profile.authority.as_ref().is_some_and(|authority| authority.token_url.contains("{tenant}"))
}

/// Who issues an upstream's tokens.
///
/// # Errors
/// If that is not known.
pub fn authority(profile: &Profile) -> Result<&Authority, ManagementError> {
    profile.authority.as_ref().ok_or_else(|| {
        let has_one = |name: &&str| presets::preset(name).is_some_and(|preset| preset.authority.is_some());
        let known: Vec<&str> = presets::NAMES.into_iter().filter(has_one).collect();
        let message = format!(
            "it is not known who issues access tokens for {0}; the presets {1} have that, for another provider set \
             token-url and the rest in [upstream.{0}.oauth2]",
            profile.name,
            known.join(", ")
        );
        ManagementError::new(Fault::Usage, message)
    })
}

/// A new version of a credential.
///
/// # Errors
/// If it cannot be used.
pub fn stored(credential: OAuth2, label: &str) -> Result<StoredCredential, ManagementError> {
    let label = super::given::check_label(label)?;
    Ok(credential.into_stored(random_id()?, label, Timestamp::now())?)
}

/// An id for a new credential.
///
/// # Errors
/// If the system has no randomness.
pub(super) fn random_id() -> Result<String, ManagementError> {
    client_secret::random_id().map_err(|error| ManagementError::new(Fault::Broken, error.to_string()))
}

/// Makes it the current one: over that of the same application, which is kept for a while to go back to; or, of another
/// application, in the place of all there are. `same_place`: whether the others are for the same upstream.
///
/// # Errors
/// If one that is being set at the provider must not be given up now.
pub fn place(
    slots: &mut Slots,
    stored: StoredCredential,
    desk: &Desk,
    same_place: bool,
) -> Result<(), ManagementError> {
    let actor = Actor { by: &desk.author, at: Timestamp::now() };
    let credential = OAuth2::from_stored(&stored)?;
    let before = slots.current.as_ref().and_then(|current| OAuth2::from_stored(current).ok());
    let takes_over = before.as_ref().is_none_or(|before| before.is_of_same_application(&credential));
    if !same_place || !takes_over || (before.is_none() && slots.current.is_some()) {
        machine::supersede(slots, stored, actor);
        return Ok(());
    }
    let op = stored.id.clone();
    machine::replace(slots, stored, op, desk.options.grace, actor)?;
    Ok(())
}

/// Removes the refresh tokens that were needed before and are not needed now. What was asked for is done by then: one that is
/// still there is told, with what is left to do.
pub async fn forget(directory: &Directory, before: &BTreeSet<String>, now: &BTreeSet<String>) -> Option<String> {
    let kept = KeptTokens::new(directory.clone());
    let mut failed = None;
    for id in before.difference(now) {
        failed = kept.forget(id).await.err().or(failed);
    }
    failed.map(|why| {
        format!(
            "its refresh token is still in the store ({why}); nobody uses it, but revoke it in the provider's portal"
        )
    })
}
