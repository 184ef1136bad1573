//! The authority of the look-alike provider: who issues the access tokens that its mailboxes take. It answers as Entra
//! does for Exchange and as Google does for Gmail, errors included, and must never issue a token that those would not.
//!
//! - [`Application`]: who may ask for tokens. [`AuthorityTrouble`]: what is wrong with the answers. [`TokenRequest`]: what
//!   was asked.
//! - `book`: what it remembers. `token`: the grants. `consent`: pages and devices, where a person says yes. `assertion`:
//!   signed proofs. `denial`, `codes`: every refusal and its words. `http` and `form`: the wire.

pub(super) mod book;

mod assertion;
mod codes;
mod consent;
mod denial;
mod form;
mod http;
mod token;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Sandbox;
use crate::model::{Secret, normalise};
use consent::AuthorizeRequest;
pub(super) use denial::Denial;
pub(super) use token::{Issued, Wish};

/// An application that is known to the authority.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its id; for a Google service account, its address.
    pub client_id: String,
    /// The directory that it is registered in. Google has none and does not look at it.
    pub tenant: String,
    /// How it proves itself.
    pub authentication: ApplicationProof,
    /// The mailboxes that an administrator opened to the application itself, by client credentials or as a service account.
    /// A person's token is not bound by it.
    pub may_act_as: Mailboxes,
    /// Whether an administrator consented to its permissions. Without that, client credentials still get a token, which
    /// no mailbox takes; a person's grant is refused.
    pub consented: bool,
}

/// How an application proves itself to the authority.
#[derive(Debug, Clone)]
pub enum ApplicationProof {
    /// Not at all: a public client.
    Public,
    /// By a secret.
    Secret(Secret),
    /// By assertions signed with the key of this certificate, in PEM form. It must be RSA.
    Certificate(String),
}

impl ApplicationProof {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Public, Self::Public) => true,
            (Self::Secret(one), Self::Secret(other)) => one == other,
            (Self::Certificate(one), Self::Certificate(other)) => one == other,
            _ => false,
        }
    }
}

/// A set of mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mailboxes {
    /// All that there are.
    All,
    /// Those of these addresses.
    Of(Vec<String>),
}

impl Mailboxes {
    fn has(&self, address: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(addresses) => addresses.iter().any(|one| normalise(one) == normalise(address)),
        }
    }
}

/// What is wrong with the answers of the token and device endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorityTrouble {
    /// That status without a useful body, and `Retry-After` in seconds.
    Http {
        /// The status code.
        status: u16,
        /// The value of `Retry-After`.
        retry_after: Option<u32>,
    },
    /// No answer, ever.
    Hang,
    /// A page in HTML, with status 200.
    NotJson,
    /// A body of [`HUGE_BYTES`].
    Huge,
    /// A redirect that repeats the request, to the same endpoint: whoever follows it gets a good answer.
    Redirect,
    /// This AADSTS code, with the error word and status that go with it; at Google the word alone.
    Error(u32),
    /// `"expires_in": "3599"`.
    ExpiresInAsString,
    /// No `expires_in` at all.
    NoExpiresIn,
    /// A token that no mailbox takes.
    WrongAudience,
    /// The request is carried out, but its answer waits for [`Sandbox::release_answers`].
    HoldAnswer,
}

/// The body of [`AuthorityTrouble::Huge`].
pub const HUGE_BYTES: usize = 16 << 20;

/// A request to the token endpoint. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The grant type, as asked for.
    pub grant: String,
    /// Who asked; empty where a Google service account could not be told.
    pub client_id: String,
    /// How it ended.
    pub outcome: TokenOutcome,
    /// When.
    pub at: Timestamp,
}

/// How a request for a token ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOutcome {
    /// With a token; whether the answer arrived is another question.
    Issued,
    /// With an error, as the authority meant it.
    Refused {
        /// The value of `error`.
        error: &'static str,
        /// The AADSTS code, where there is one.
        code: Option<u32>,
    },
    /// With trouble instead of an answer.
    Troubled,
}

/// Who may have tokens, and what is wrong with them.
impl Sandbox {
    /// Registers an application, or replaces the one of that id.
    pub fn register(&self, application: Application) {
        self.state().book.register(application);
    }

    /// The application now has this secret, and no other. Says whether it is registered.
    pub fn set_application_secret(&self, client_id: &str, secret: Secret) -> bool {
        self.state().book.set_secret(client_id, secret)
    }

    /// The application may prove itself by this, too, as by a second secret or certificate. Says whether it is registered.
    pub fn add_application_proof(&self, client_id: &str, proof: ApplicationProof) -> bool {
        self.state().book.add_proof(client_id, proof)
    }

    /// The application may prove itself by this no more; by the last one it always may. Says whether it could.
    pub fn remove_application_proof(&self, client_id: &str, proof: &ApplicationProof) -> bool {
        self.state().book.remove_proof(client_id, proof)
    }

    /// The application's secret has ended. Says whether it is registered.
    pub fn expire_application_secret(&self, client_id: &str) -> bool {
        self.state().book.expire_secret(client_id)
    }

    /// Gives a person full access to a shared mailbox: IMAP and POP3 then take the person's token for it.
    pub fn grant_full_access(&self, delegate: &str, shared: &str) {
        self.state().book.share(delegate, shared);
    }

    /// Every refresh token of this person so far is void, as after a change of the password. Access tokens live on.
    pub fn revoke_refresh_tokens(&self, address: &str) {
        self.state().book.revoke(address);
    }

    /// Every access token so far is over, and sessions notice as when its time had come.
    pub fn end_access_tokens(&self) {
        self.state().book.end_access_tokens();
    }

    /// How long access tokens live that are issued from now on.
    pub fn set_token_life(&self, life: Duration) {
        self.state().book.token_life = life;
    }

    /// How many characters the access tokens have that are issued from now on.
    pub fn set_token_length(&self, length: usize) {
        self.state().book.token_length = length;
    }

    /// Whether a refresh token dies when it is used. Entra's live on, beside the new one. Google's are never replaced,
    /// whatever is set here.
    pub fn set_strict_rotation(&self, strict: bool) {
        self.state().book.strict_rotation = strict;
    }

    /// The authority's clock is that far ahead of ours; behind, if negative.
    pub fn set_authority_clock_ahead(&self, ahead: SignedDuration) {
        self.state().book.clock_ahead = ahead;
    }

    /// This is wrong with the next answers of the token and device endpoints, or with all to come.
    pub fn set_authority_trouble(&self, trouble: AuthorityTrouble, answers: Option<usize>) {
        self.state().book.trouble = Some((trouble, answers));
    }

    /// Nothing is wrong any more. Answers that are held stay so.
    pub fn clear_authority_trouble(&self) {
        self.state().book.trouble = None;
    }

    /// Waits until that many answers are held back by [`AuthorityTrouble::HoldAnswer`] at once.
    pub async fn answers_held(&self, count: usize) {
        let mut held = self.state().book.held.subscribe();
        held.wait_for(|held| *held >= count).await.expect("the sandbox that is waited for holds the other end");
    }

    /// Lets the answers out that are held now.
    pub fn release_answers(&self) {
        self.state().book.released.send_modify(|times| *times += 1);
    }

    /// The tokens that were made, access and refresh, the oldest first: for tests that look for them where none may be.
    pub fn tokens_made(&self) -> Vec<Secret> {
        self.state().book.handed_out()
    }

    /// The latest requests for tokens, oldest first.
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.state().book.requests()
    }
}

/// What people do.
impl Sandbox {
    /// The seconds that a device must leave between its questions.
    pub fn set_device_interval(&self, seconds: u32) {
        self.state().book.device_interval = seconds;
    }

    /// The person with this mailbox types the code in and says yes. Says whether there is such a code, and such a mailbox.
    pub fn approve_device(&self, user_code: &str, address: &str) -> bool {
        let mut state = self.state();
        state.account(address).is_some() && state.book.answer_device(user_code, book::Answered::Yes(normalise(address)))
    }

    /// Somebody types the code in and says no. Says whether there is such a code.
    pub fn decline_device(&self, user_code: &str) -> bool {
        self.state().book.answer_device(user_code, book::Answered::No)
    }

    /// The code is too old now. Says whether there is such a code.
    pub fn expire_device(&self, user_code: &str) -> bool {
        self.state().book.answer_device(user_code, book::Answered::TooLate)
    }

    /// The person with this mailbox opens the page and says yes. Gives the address that the browser is sent to.
    ///
    /// # Errors
    /// With what the page says instead.
    pub fn consent(&self, authorize_url: &str, address: &str) -> Result<String, String> {
        let request = AuthorizeRequest::of_url(self, authorize_url)?;
        request.accept(self, address)
    }

    /// Somebody opens the page and cancels. Gives the address that the browser is sent to.
    ///
    /// # Errors
    /// With what the page says instead.
    pub fn decline(&self, authorize_url: &str) -> Result<String, String> {
        AuthorizeRequest::of_url(self, authorize_url).map(|request| request.cancel())
    }
}
