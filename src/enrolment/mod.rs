//! Floor 3: enrolment. It makes a client out of a login that nobody has proven, where an operator opened a window for that. It
//! must never let anybody in by itself: the provider says so (`learn`), or the record, which is written once (`first-login`).
//!
//! - [`Enrolment::begin`]: a [`Turn`], so that a provider is not asked too often.
//! - [`Enrolment::take_first`]: the first password for an account becomes its client's.
//! - [`Enrolment::learn`]: what the provider took becomes the client's, and the account's if it has none.
//! - [`Enrolment::refused`], [`Enrolment::failed`]: what did not come of it, for the audit and the client.

mod told;
mod turns;
mod write;

use std::time::Duration;

use jiff::Timestamp;
use metrics::{counter, describe_counter};

use crate::audit::{self, Audit, Event, Origin};
use crate::broker::{Directory, Unproven, Way, client_secret};
use crate::credential::CredentialVersion;
use crate::model::{Client, ClientSecret, Refusal, SecretSource};
use crate::upstream::{Cause, UpstreamError};
use told::Told;
use turns::Turns;
use write::{WriteError, client_with, put_account, put_client};

pub use turns::Turn;

const ENROLMENTS: &str = "locum_enrolments_total";
const PASSTHROUGH: &str = "locum_passthrough_logins_total";

/// What the client secrets made here are called.
const LABEL: &str = "its own password";

/// Makes clients.
#[derive(Debug)]
pub struct Enrolment {
    directory: Directory,
    audit: Audit,
    turns: Turns,
    told: Told,
}

/// What came of a password that the provider took.
#[derive(Debug)]
pub enum Learnt {
    /// The login is this client's from now on, which has this secret.
    Enrolled(Box<(Client, ClientSecret)>),
    /// That could not be written down: the client is let in this time.
    LetIn,
    /// Somebody else was faster: what the record says now decides.
    Overtaken,
}

/// How it ended, in the audit and in metrics.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Enrolled,
    LetIn,
    Refused,
    Failed,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::LetIn => "let-in",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl Enrolment {
    /// Enrolment into these records, by a node: `directory` reads them as of the last write.
    pub fn new(directory: Directory, audit: Audit) -> Self {
        describe_counter!(ENROLMENTS, "Logins that were tried in a window of enrolment, by mode and outcome.");
        describe_counter!(PASSTHROUGH, "Unknown logins that were shown to a provider as they came, by outcome.");
        Self { directory, audit, turns: Turns::default(), told: Told::default() }
    }

    /// A turn to find out about a login. Nobody else finds out about the same one meanwhile.
    ///
    /// # Errors
    /// What the client is told if that takes too long, or too many are tried.
    pub async fn begin(&self, unproven: &Unproven, origin: &Origin) -> Result<Turn, Refusal> {
        let entered = self.turns.enter(unproven.upstream(), unproven.account()).await;
        entered.map_err(|held| self.failed(unproven, origin, held.plain().to_owned(), held.refusal()))
    }

    /// Whether the provider may be shown what was presented.
    ///
    /// # Errors
    /// What the client is told if not.
    pub fn check(&self, turn: &Turn, unproven: &Unproven, origin: &Origin) -> Result<(), Refusal> {
        let checked = self.turns.check(turn, &presented(unproven));
        checked.map_err(|held| self.failed(unproven, origin, held.plain().to_owned(), held.refusal()))
    }

    /// Takes what was presented as the secret of the client, who was first. Before any provider is asked: who somebody is does
    /// not depend on whether a provider answers, and of two that are first at once the record lets one win. Whoever was not,
    /// and who was, are judged by the record then.
    ///
    /// # Errors
    /// What the client is told if it cannot be written down. Nobody is let in then: nobody has proven anything.
    pub async fn take_first(&self, unproven: &Unproven, origin: &Origin) -> Result<(), Refusal> {
        let secret = match self.hash(unproven, SecretSource::FirstLogin).await {
            Ok(secret) => secret,
            Err(error) => return Err(self.unwritten(unproven, origin, &error)),
        };
        let client = client_with(unproven, secret.clone());
        match put_client(&self.directory, &client, unproven).await {
            Ok(()) => {
                let login = shown(unproven);
                tracing::warn!(
                    login,
                    account = unproven.account(),
                    client_secret = secret.id,
                    "took the first password"
                );
                self.record(unproven, origin, Outcome::Enrolled, None, false, Some(secret.id));
                Ok(())
            }
            Err(error) if error.is_overtaken() => {
                self.record(unproven, origin, Outcome::Refused, Some(error.to_string()), false, None);
                Ok(())
            }
            Err(error) => Err(self.unwritten(unproven, origin, &error)),
        }
    }

    /// Writes down what the provider took: the account, if it has no credential, and the client.
    pub async fn learn(&self, unproven: &Unproven, origin: &Origin) -> Learnt {
        let written = async {
            let secret = self.hash(unproven, SecretSource::Learnt).await?;
            let client = client_with(unproven, secret.clone());
            // The account first: a client that is bound to nothing could not come in, and would not be asked about again.
            let is_new = put_account(&self.directory, unproven, Timestamp::now()).await?;
            put_client(&self.directory, &client, unproven).await?;
            Ok::<_, WriteError>((client, secret, is_new))
        };
        match written.await {
            Ok((client, secret, is_new)) => {
                self.record(unproven, origin, Outcome::Enrolled, None, is_new, Some(secret.id.clone()));
                Learnt::Enrolled(Box::new((client, secret)))
            }
            Err(error) if error.is_overtaken() => {
                self.record(unproven, origin, Outcome::Failed, Some(error.to_string()), false, None);
                Learnt::Overtaken
            }
            Err(error) => {
                let (login, remedy) = (shown(unproven), error.remedy());
                if self.told.is_to_be_told(unproven.login()) {
                    tracing::warn!(login, %error, remedy, "a client was let in, and could not be enrolled");
                }
                self.record(unproven, origin, Outcome::LetIn, Some(format!("{error}; {remedy}")), false, None);
                Learnt::LetIn
            }
        }
    }

    /// An unknown login was let in by its provider.
    pub fn passed_through(&self, unproven: &Unproven) {
        counter!(PASSTHROUGH, "outcome" => "accepted").increment(1);
        if self.told.is_to_be_told(unproven.login()) {
            let (login, upstream) = (shown(unproven), unproven.upstream());
            let remedy = "make a client and an account of it, by hand or by [listener.enrolment]";
            tracing::warn!(login, upstream, remedy, "an unknown login was passed through to its provider");
        }
    }

    /// The provider did not take what was presented, or was not reached. What the client is told: here, and here alone, a
    /// password that the provider refuses is the client's own.
    pub fn refused(&self, turn: &Turn, unproven: &Unproven, origin: &Origin, error: &UpstreamError) -> Refusal {
        let cause = error.cause();
        let (outcome, refusal) = match cause {
            Cause::AuthBad => (Outcome::Refused, Refusal::WrongCredentials),
            _ => (Outcome::Failed, error.refusal()),
        };
        match cause {
            Cause::AuthBad
            | Cause::Token
            | Cause::AuthPolicy
            | Cause::ProtocolOff
            | Cause::MailboxMap
            | Cause::Refused => self.turns.refused(turn, &presented(unproven), refusal),
            Cause::Limited => self.turns.rest(turn, error.backoff().unwrap_or(REST)),
            // The provider was not reached, or gave no verdict.
            Cause::Untrusted | Cause::Unavailable => {}
        }
        match unproven.way() {
            Way::Passthrough => counter!(PASSTHROUGH, "outcome" => outcome.name()).increment(1),
            Way::Learn | Way::FirstLogin => {
                self.record(unproven, origin, outcome, Some(error.to_string()), false, None);
            }
        }
        refusal
    }

    /// It could not be found out whether the password is right. Gives back what the client is told.
    pub fn failed(&self, unproven: &Unproven, origin: &Origin, reason: String, refusal: Refusal) -> Refusal {
        let outcome = if refusal == Refusal::WrongCredentials { Outcome::Refused } else { Outcome::Failed };
        if refusal != Refusal::WrongCredentials && self.told.is_to_be_told(unproven.login()) {
            tracing::warn!(login = shown(unproven), way = unproven.way().name(), reason, "a login could not be tried");
        }
        if unproven.way() == Way::Passthrough {
            counter!(PASSTHROUGH, "outcome" => outcome.name()).increment(1);
        }
        self.record(unproven, origin, outcome, Some(reason), false, None);
        refusal
    }

    /// What is to be written down cannot be, and nobody is let in by it.
    fn unwritten(&self, unproven: &Unproven, origin: &Origin, error: &WriteError) -> Refusal {
        let refusal = if error.is_transient() { Refusal::Unavailable } else { Refusal::ContactAdmin };
        self.failed(unproven, origin, format!("{error}; {}", error.remedy()), refusal)
    }

    async fn hash(&self, unproven: &Unproven, source: SecretSource) -> Result<ClientSecret, WriteError> {
        Ok(client_secret::choose(LABEL, source, unproven.proof(), Timestamp::now()).await?)
    }

    fn record(
        &self,
        unproven: &Unproven,
        origin: &Origin,
        outcome: Outcome,
        reason: Option<String>,
        new_account: bool,
        client_secret: Option<String>,
    ) {
        let mode = unproven.way().name();
        if unproven.way() != Way::Passthrough {
            counter!(ENROLMENTS, "mode" => mode, "outcome" => outcome.name()).increment(1);
        }
        let event = Event::Enrolment {
            outcome: outcome.name(),
            mode,
            reason,
            login: shown(unproven),
            account: audit::name(unproven.account().as_bytes()),
            new_account,
            client_secret,
        };
        self.audit.record(origin, &event);
    }
}

/// Time to leave a mailbox alone where the provider says that it is too much, and not for how long.
const REST: Duration = Duration::from_secs(30);

fn shown(unproven: &Unproven) -> String {
    audit::name(unproven.login().as_bytes())
}

/// What was presented, as it is remembered: a fingerprint of this process.
fn presented(unproven: &Unproven) -> CredentialVersion {
    CredentialVersion::new("", unproven.proof())
}
