//! The first half of a verification by OAuth2: an access token by the very version that is meant. Whether the provider's
//! authority takes the application's proof is seen here; a mailbox that takes no token says nothing about it.

use tokio::time::{Instant, sleep};

use super::verify::{Login, Verification};
use super::{Rotation, RotationError, Subject, backoff};
use crate::broker::{Reason, account_of_domain, is_of_domain};
use crate::credential::CredentialError;
use crate::credential::oauth2::{FailureKind, Grant, OAuth2, TokenFailure, is_made_here};
use crate::model::{Protocol, Slot, StoredCredential};

impl Rotation {
    /// The account whose mailbox is entered: its own, or one of the domain. `None` if none of the domain is known.
    pub(super) async fn mailbox_of(&self, subject: &Subject) -> Result<Option<String>, RotationError> {
        let Subject::Tenant { domain } = subject else { return Ok(Some(subject.name().to_owned())) };
        let found = subject.read(&self.directory).await?.ok_or_else(|| RotationError::Missing(subject.clone()))?;
        let upstream = found.record.upstream();
        let Some(named) = &self.mailbox else {
            // Whoever may not list accounts knows none.
            return Ok(account_of_domain(&self.directory, domain, upstream).await.ok().flatten());
        };
        let account = self.directory.latest_account(named).await?;
        let is_of_it = match &account {
            Some(account) => is_of_domain(&account.record, domain, upstream),
            None => named.rsplit_once('@').is_some_and(|(_, behind)| behind.eq_ignore_ascii_case(domain)),
        };
        let other = || RotationError::OtherMailbox { mailbox: named.clone(), domain: domain.clone() };
        if is_of_it { Ok(Some(named.clone())) } else { Err(other()) }
    }

    /// What can be seen of a domain's credential without any mailbox.
    pub(super) async fn token_alone(
        &self,
        subject: &Subject,
        slot: Slot,
        until: Instant,
    ) -> Result<Verification, RotationError> {
        self.token(subject, slot, None, until).await?;
        let domain = subject.name();
        let note = format!(
            "the authority granted a token, and no mailbox was entered with it: no account of {domain} is known here; name an \
             address with --mailbox to see that one takes it"
        );
        Ok(Verification { protocols: Vec::new(), notes: vec![note] })
    }

    /// Asks for a token by the credential in that place, again and again while there is no verdict.
    pub(super) async fn token(
        &self,
        subject: &Subject,
        slot: Slot,
        account: Option<&str>,
        until: Instant,
    ) -> Result<(), RotationError> {
        let mut tries = 0;
        loop {
            let passing = match self.ask(subject, slot, account).await? {
                Login::Accepted => return Ok(()),
                Login::Refused(cause) => return Err(RotationError::Refused { cause }),
                Login::Hindered(cause) => return Err(RotationError::Unverified { cause, passes: false }),
                Login::NoVerdict(cause) => cause,
            };
            let wait = backoff(tries);
            if Instant::now() + wait > until {
                return Err(RotationError::Unverified { cause: passing, passes: true });
            }
            sleep(wait).await;
            tries += 1;
        }
    }

    async fn ask(&self, subject: &Subject, slot: Slot, account: Option<&str>) -> Result<Login, RotationError> {
        let found = subject.read(&self.directory).await?.ok_or_else(|| RotationError::Missing(subject.clone()))?;
        let slots = subject.slots(&found.record);
        // What was there a moment ago: another step was taken meanwhile, and this one begins anew.
        let Some(stored) = slots.and_then(|slots| slots.in_slot(slot)) else {
            return Ok(Login::NoVerdict(format!("there is no {slot} credential any more")));
        };
        let mailbox = match account {
            Some(account) => self.address(account).await?,
            None => String::new(), // the token of an application is for no mailbox alone
        };
        if mailbox.is_empty() && OAuth2::from_stored(stored).is_ok_and(|it| it.grant == Grant::ServiceAccount) {
            let why = "a service account gets no token but for a mailbox: name one with --mailbox ADDRESS";
            return Ok(Login::Hindered(why.to_owned()));
        }
        // Somebody may have mended at the authority what it said of the next one. The current one's pause is for all nodes.
        let anew = slot == Slot::Next;
        let asked = self.broker.try_token(stored, found.record.upstream(), &mailbox, anew).await;
        Ok(match asked {
            Ok(()) => Login::Accepted,
            Err(Reason::Credential(CredentialError::Token(failure))) => meaning(&failure, stored),
            Err(Reason::Directory(error)) if error.is_transient() => Login::NoVerdict(error.to_string()),
            Err(reason) => Login::Hindered(reason.to_string()),
        })
    }

    /// Who an account is in IMAP; an address without an account is itself.
    async fn address(&self, account: &str) -> Result<String, RotationError> {
        let found = self.directory.latest_account(account).await?;
        let identity = found.map(|found| found.record.identity(Protocol::Imap).to_owned());
        Ok(identity.unwrap_or_else(|| account.to_owned()))
    }
}

/// What it says about the credential that there is no token.
fn meaning(failure: &TokenFailure, stored: &StoredCredential) -> Login {
    if failure.is_about_the_application() && is_made_here(stored) {
        // It cannot be wrong: nobody but the authority could know it, and that does not yet.
        return Login::NoVerdict(format!(
            "the authority does not know this certificate yet: upload it as `locum rotate export` prints it; if that is \
             done, it takes a minute ({failure})"
        ));
    }
    match failure.kind() {
        _ if failure.is_about_the_application() => Login::Refused(failure.to_string()),
        FailureKind::Transient => Login::NoVerdict(failure.to_string()),
        FailureKind::Permanent | FailureKind::NeedsConsent => Login::Hindered(failure.to_string()),
    }
}
