//! What an application shows to the authority, rotated: another secret, another certificate, or a key that is made here and
//! never leaves the store. All else of the credential is as the current one has it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::Timestamp;

use super::{Target, hint};
use crate::broker::client_secret;
use crate::cli::desk;
use crate::cli::exit::{self, Failure};
use crate::cli::oauth::application;
use crate::cli::output;
use crate::cli::secret_input::SecretInput;
use crate::credential::oauth2::{self, Authentication, Grant, KEY_BITS, OAuth2};
use crate::management::{Desk, accounts};
use crate::model::{Profile, Slot, StoredCredential};
use crate::rotation::machine::StepError;
use crate::rotation::{Rotation, RotationError, Subject};

/// The days that a certificate made here is good for, unless it is said: two years, as portals suggest.
const DAYS: u16 = 730;

/// Another proof of the same application, for --kind oauth2 and for domains.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "OAuth2")]
pub(super) struct Proof {
    /// When the application's new secret ends, as the portal shows it.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = application::parse_day)]
    secret_expires: Option<Timestamp>,
    /// The application's new certificate, in PEM form.
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["secret_file", "secret_stdin", "secret_expires"])]
    certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM form.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// The JSON file of the service account's new key.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_file", "secret_stdin", "secret_expires", "certificate"])]
    service_account: Option<PathBuf>,
    /// Make a key here, and a certificate for it to be uploaded in the portal. The key is shown to nobody.
    #[arg(long, conflicts_with_all = ["secret_file", "secret_stdin", "secret_expires", "certificate", "service_account"])]
    new_key: bool,
    /// How long the certificate that is made is good for.
    #[arg(long, requires = "new_key", default_value_t = DAYS, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// How long the key that is made is, in bits: 2048 or 3072.
    #[arg(long, requires = "new_key", default_value_t = KEY_BITS[1], value_parser = parse_bits)]
    key_bits: usize,
    /// Write the certificate to be uploaded to this file. Without it, it is printed.
    #[arg(long, value_name = "FILE", requires = "new_key")]
    certificate_out: Option<PathBuf>,
}

/// `locum rotate export`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    target: Target,
    /// Write it to this file instead of printing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Proof {
    /// Whether any was named.
    pub(super) fn is_given(&self) -> bool {
        let Self { secret_expires, certificate, service_account, new_key, .. } = self;
        secret_expires.is_some() || certificate.is_some() || service_account.is_some() || *new_key
    }

    /// Whether it is nothing yet at the authority until somebody uploads its certificate.
    pub(super) fn is_to_be_uploaded(&self) -> bool {
        self.new_key
    }

    /// Stages the credential of before with another proof, and says so. The id of what is next, or current already.
    pub(super) async fn stage(
        &self,
        desk: &Desk,
        rotation: &Rotation,
        subject: &Subject,
        secret: &SecretInput,
        label: Option<&str>,
    ) -> Result<String> {
        let failed = |error| hint::failed(error, subject);
        let record = subject.read(&desk.directory).await.map_err(RotationError::from).map_err(failed)?;
        let record = record.ok_or_else(|| failed(RotationError::Missing(subject.clone())))?.record;
        let slots = subject.slots(&record).cloned().unwrap_or_default();
        let profile = accounts::profile_of(&desk.profiles, record.upstream())?;
        let Some(before) = &slots.current else {
            let message = format!(
                "{} has no OAuth2 credential of its own yet; give it one with `locum oauth set`, `oauth login` or `oauth \
                 add-tenant`",
                subject.name()
            );
            return Err(Failure::new(exit::NOT_FOUND, message).into());
        };
        if let (true, Some(next)) = (self.new_key, &slots.next) {
            let (by, since) = (next.by.clone(), next.since);
            let state = crate::rotation::machine::state_name(&next.state);
            return Err(failed(StepError::UnderWay { by, since, state }.into()));
        }
        let credential = self.successor(before, subject, profile, secret, label)?;
        let id = rotation.stage(subject, &credential).await.map_err(failed)?;
        if id == credential.id {
            self.tell(subject, &credential)?;
        }
        Ok(id)
    }

    fn successor(
        &self,
        before: &StoredCredential,
        subject: &Subject,
        profile: &Profile,
        secret: &SecretInput,
        label: Option<&str>,
    ) -> Result<StoredCredential> {
        let now = Timestamp::now();
        let authentication = self.authentication(&OAuth2::from_stored(before)?, subject, profile, secret)?;
        let label = match label.map(str::trim).filter(|label| !label.is_empty()) {
            Some(label) => label.to_owned(),
            None => hint_of(&authentication),
        };
        let stored = oauth2::successor(before, authentication, client_secret::random_id()?, &label, now)?;
        Ok(if self.new_key { oauth2::with_key_made_here(stored) } else { stored })
    }

    fn authentication(
        &self,
        before: &OAuth2,
        subject: &Subject,
        profile: &Profile,
        secret: &SecretInput,
    ) -> Result<Authentication> {
        let usage = |message: &str| Err(Failure::new(exit::USAGE, message).into());
        match (before.grant, &self.service_account) {
            (Grant::ServiceAccount, Some(file)) => {
                let new = application::service_account(file)?;
                if new.client_id != before.client_id {
                    let message = format!(
                        "this key is of {}, and the current one of {}: for another service account use `locum oauth set` or \
                         `oauth add-tenant`",
                        new.client_id, before.client_id
                    );
                    return Err(Failure::new(exit::DATA, message).into());
                }
                Ok(new.authentication)
            }
            (Grant::ServiceAccount, None) => {
                usage("Google makes the keys of service accounts: name the new one's file with --service-account")
            }
            (_, Some(_)) => usage("the credential is no service account's; give a secret, a certificate or --new-key"),
            _ if self.new_key => {
                let name = format!("locum {}", subject.name());
                Ok(oauth2::new_key(&name, self.key_bits, self.days, Timestamp::now())?)
            }
            _ => match (&self.certificate, &self.key) {
                (Some(certificate), Some(key)) => application::by_certificate(certificate, key),
                _ => application::by_secret(secret, self.secret_expires, profile),
            },
        }
    }

    /// What was staged, and what is to be done with it.
    fn tell(&self, subject: &Subject, credential: &StoredCredential) -> Result<()> {
        let (name, label) = (subject.name(), &credential.label);
        let called = if label.is_empty() { &credential.id } else { label };
        output::note(format!("{name}: staged {called}; logins still use the current one"));
        let oauth2 = OAuth2::from_stored(credential)?;
        application::tell_end(&oauth2);
        let Authentication::Certificate { certificate, .. } = oauth2.authentication else { return Ok(()) };
        if self.new_key {
            write_certificate(&certificate, self.certificate_out.as_deref())?;
            output::note(
                "upload that certificate in the registration of the application, under Certificates & secrets;",
            );
            output::note("until then the authority does not know the key, and it stays staged");
        }
        Ok(())
    }
}

/// Prints the certificate of what is staged, or else of what is current.
pub(super) async fn export(desk: &Desk, arguments: Export) -> Result<()> {
    let subject = arguments.target.subject()?;
    let slots = desk::rotation(desk).slots(&subject).await.map_err(|error| hint::failed(error, &subject))?;
    for slot in [Slot::Next, Slot::Current] {
        let proof = slots.in_slot(slot).and_then(oauth2::proof);
        if let Some(Authentication::Certificate { certificate, .. }) = proof {
            return write_certificate(&certificate, arguments.out.as_deref());
        }
    }
    let message = format!("{} has no certificate: it shows something else to the authority", subject.name());
    Err(Failure::new(exit::NOT_FOUND, message).into())
}

/// A certificate is public. A file that is there stays as it is.
fn write_certificate(certificate: &str, file: Option<&Path>) -> Result<()> {
    let Some(file) = file else {
        output::line(certificate.trim_end());
        return Ok(());
    };
    let written = OpenOptions::new().write(true).create_new(true).open(file);
    written.and_then(|mut file| file.write_all(certificate.as_bytes())).map_err(|error| {
        let message = format!(
            "cannot write {}: {error}; the certificate is stored: `locum rotate export` writes it elsewhere",
            file.display()
        );
        Failure::new(exit::CANNOT_CREATE, message)
    })?;
    output::note(format!("the certificate is in {}", file.display()));
    Ok(())
}

/// By what a portal shows something that has no name there. Of a secret that would be its first characters, and no part of a
/// secret is put down or shown: its end and the day that it was given in tell it from others.
fn hint_of(authentication: &Authentication) -> String {
    match authentication {
        Authentication::Public | Authentication::Secret { .. } => String::new(),
        Authentication::Certificate { certificate, .. } => {
            oauth2::thumbprint(certificate).map(|digest| format!("thumbprint {digest}")).unwrap_or_default()
        }
        Authentication::Key { id, .. } => id.as_ref().map(|id| format!("key {id}")).unwrap_or_default(),
    }
}

fn parse_bits(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|bits| KEY_BITS.contains(bits)).ok_or("expected 2048 or 3072")
}
