//! The proof that a client may use a credential.

use std::sync::Arc;

use super::keyring::{Found, Spent};
use super::{Seat, Terms};
use crate::credential::{CredentialVersion, Ready};
use crate::model::{CredentialKind, Endpoint, Holder, Profile, Protocol, Slot};
use crate::sasl::Credentials;

/// A session's right to an account's credential. Only the broker makes one, and no upstream can be logged in to without
/// one, so that a skipped check does not compile.
#[derive(Debug, Clone)]
pub struct Lease {
    login: String,
    account: String,
    profile: Arc<Profile>,
    served: Vec<String>,
    endpoint: Endpoint,
    protocol: Protocol,
    credential: Ready,
    slot: Slot,
    holder: Holder,
    passed_over: Option<String>,
    fell_back: Option<String>,
    spent: Spent,
    terms: Arc<Terms>,
    seat: Option<Arc<Seat>>,
    is_on_trial: bool,
}

impl Lease {
    #[expect(clippy::too_many_arguments, reason = "the broker alone makes one, and each part is another thing")]
    pub(super) fn new(
        login: &str,
        account: &str,
        profile: Arc<Profile>,
        served: &[String],
        endpoint: Endpoint,
        protocol: Protocol,
        found: Found,
        terms: Arc<Terms>,
    ) -> Self {
        let (login, account, served) = (login.to_owned(), account.to_owned(), served.to_owned());
        let Found { ready: credential, slot, holder, passed_over, fell_back } = found;
        Self {
            login,
            account,
            profile,
            served,
            endpoint,
            protocol,
            credential,
            slot,
            holder,
            passed_over,
            fell_back,
            spent: Spent::default(),
            terms,
            seat: None,
            is_on_trial: false,
        }
    }

    /// The same, to find out whether the provider takes what was presented.
    pub(super) fn on_trial(self) -> Self {
        Self { is_on_trial: true, ..self }
    }

    /// The same, after it did and the client was made.
    pub(super) fn under(self, terms: Terms, seat: Option<Seat>) -> Self {
        Self { terms: Arc::new(terms), seat: seat.map(Arc::new), ..self }
    }

    /// The same for another credential. None of `spent` is to be used again.
    pub(super) fn with(&self, found: Found, spent: Spent) -> Self {
        let (login, account, profile) = (&self.login, &self.account, Arc::clone(&self.profile));
        let (endpoint, terms) = (self.endpoint.clone(), Arc::clone(&self.terms));
        let lease = Self::new(login, account, profile, &self.served, endpoint, self.protocol, found, terms);
        Self { spent, seat: self.seat.clone(), ..lease }
    }

    /// The same with the client's count of sessions one higher, for as long as there is a hold on that.
    pub(super) fn seated(self, seat: Seat) -> Self {
        Self { seat: Some(Arc::new(seat)), ..self }
    }

    /// The credential, for the broker.
    pub(super) fn ready(&self) -> &Ready {
        &self.credential
    }

    /// What was refused before this one was tried.
    pub(super) fn spent(&self) -> &Spent {
        &self.spent
    }

    /// Why a better credential was not used, if there is one: of a kind that is preferred, or the current one of its kind.
    pub fn fell_back(&self) -> Option<&str> {
        self.fell_back.as_deref()
    }

    /// The place that the credential has in its record.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Whether its secret is in no record, but what somebody presented who is not proven. How often that is tried is the
    /// business of whoever has it tried, and none of the breaker's.
    pub fn is_on_trial(&self) -> bool {
        self.is_on_trial
    }

    /// Under which terms the client was let in.
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// The session's part of its client's count, to be held until it ends.
    pub fn seat(&self) -> Option<Arc<Seat>> {
        self.seat.clone()
    }

    /// The client's login name, as it stands in its record.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The account's name.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Whose record the credential is in.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// The id of the credential that is current there, where this one is used in its place because that is refused.
    pub fn passed_over(&self) -> Option<&str> {
        self.passed_over.as_deref()
    }

    /// The upstream profile's name.
    pub fn upstream(&self) -> &str {
        &self.profile.name
    }

    /// The upstreams whose accounts may be used where the client came in.
    pub(super) fn served(&self) -> &[String] {
        &self.served
    }

    /// Where to log in.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What to speak there.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The id of the credential, for people.
    pub fn credential_id(&self) -> &str {
        &self.credential.version.id
    }

    /// What kind of credential it is.
    pub fn credential_kind(&self) -> CredentialKind {
        self.credential.credentials.kind
    }

    /// Which version of the credential it is in the store: many access tokens come of one.
    pub fn stored_version(&self) -> &CredentialVersion {
        self.credential.stored_version()
    }

    /// Which version of the credential it is: the password, or the access token.
    pub fn credential_version(&self) -> &CredentialVersion {
        &self.credential.version
    }

    /// What to log in with.
    pub fn credentials(&self) -> &Credentials {
        &self.credential.credentials
    }
}
