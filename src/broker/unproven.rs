//! Logins that no client secret proves, where a listener says that something may come of them all the same: a window of
//! enrolment, or an upstream that unknown logins are passed through to. It must never take up a login that is a client's with
//! secrets, whatever was presented, nor a password that cannot be one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

use super::keyring::Found;
use super::{Broker, DirectoryError, Lease, REFUSAL_TIME, Reason, Terms, Versioned, client_secret, policy};
use crate::audit::Origin;
use crate::credential;
use crate::model::{
    Account, Attempt, Binding, Client, ClientSecret, CredentialKind, Enrolment, EnrolmentMode, Entrance, Holder,
    Identity, Preference, Protocol, Secret, Slot, Slots, StoredCredential, UnknownLogins, normalise,
};

/// What the learnt credential of an account is called.
pub const LEARNT_LABEL: &str = "learnt from its client";

/// The longest login that is anything: an address has a local part of 64 octets and a domain of 255 (RFC 5321 section 4.5.3.1).
const LOGIN_BYTES_MAX: usize = 320;

/// By what a login may be believed that no client secret proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The provider takes the password, and the login becomes a client's.
    Learn,
    /// It is the first for an account that has a credential, and becomes a client's.
    FirstLogin,
    /// The provider takes the password, this time.
    Passthrough,
}

impl Way {
    /// The name used in the audit and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learn => "learn",
            Self::FirstLogin => "first-login",
            Self::Passthrough => "passthrough",
        }
    }

    /// What becomes of it, for the operator.
    pub(super) fn plain(self) -> &'static str {
        match self {
            Self::Learn => "the provider is asked whether it takes the password",
            Self::FirstLogin => "it is the first for this account",
            Self::Passthrough => "it is shown to the provider as it came",
        }
    }
}

/// A login that no client secret proves, and what the records say about it as of now.
#[derive(Clone)]
pub struct Unproven {
    way: Way,
    login: String,
    account: String,
    upstream: String,
    served: Vec<String>,
    protocol: Protocol,
    client: Option<Versioned<Client>>,
    recorded: Option<Versioned<Account>>,
    presented: StoredCredential,
    proof: Secret,
}

impl fmt::Debug for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, login, account, upstream, .. } = self;
        write!(f, "Unproven({way:?}, {login:?} as {account:?} at {upstream})")
    }
}

impl Unproven {
    /// By what it may be believed.
    pub fn way(&self) -> Way {
        self.way
    }

    /// The login name, as it came.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The account that it is for; where it is passed through, what the provider is shown.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The upstream profile of the account.
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// The client of that login, if there is one. It has no secret.
    pub fn client(&self) -> Option<&Versioned<Client>> {
        self.client.as_ref()
    }

    /// The account with what was presented as its credential, to be made if there is none of its name.
    pub fn new_account(&self) -> Account {
        let slots = Slots::of(self.presented.clone());
        let credentials = BTreeMap::from([(CredentialKind::AppPassword, slots)]);
        Account { credentials, ..new_account(&self.account, &self.upstream) }
    }

    /// The record of the account, if there is one.
    pub fn recorded(&self) -> Option<&Versioned<Account>> {
        self.recorded.as_ref()
    }

    /// What was presented, as the secret of a client.
    pub fn proof(&self) -> &Secret {
        &self.proof
    }
}

impl Broker {
    /// What may come of an attempt that was `denied`, as the reason why it is not let in as such; `denied` if nothing. `None`
    /// if the login is a client's by now.
    pub(super) async fn unproven(
        &self,
        denied: Reason,
        attempt: &Attempt,
        origin: &Origin,
        entrance: &Entrance,
    ) -> Option<Reason> {
        let enrolment = entrance.enrolment.as_ref().filter(|it| it.is_open_to(origin.peer, Timestamp::now()));
        let passthrough = passthrough(entrance, origin.peer);
        let login = policy::login_name(&attempt.authcid).map(str::trim).filter(|login| !login.is_empty());
        let Some(login) = login.filter(|login| may_be_shown(login, attempt)) else { return Some(denied) };
        if enrolment.is_none() && passthrough.is_none() {
            return Some(denied);
        }
        let client = match self.keyring.directory().latest_client(login).await {
            Ok(client) => client,
            Err(error) => return Some(error.into()),
        };
        if client.as_ref().is_some_and(|found| !found.record.secrets.is_empty()) {
            return (!matches!(denied, Reason::UnknownLogin)).then_some(denied);
        }
        // A form of the login named a client: what was presented is meant for that one, and is nobody else's to see.
        if client.is_none() && matches!(denied, Reason::WrongSecret) {
            return Some(denied);
        }
        match self.is_anothers(login, client.is_some(), attempt, enrolment).await {
            Ok(None) => {}
            Ok(Some(reason)) => return Some(reason),
            Err(error) => return Some(error.into()),
        }
        let found = match (enrolment, passthrough) {
            (Some(enrolment), _) => self.enrollable(enrolment, login, client, attempt, origin, entrance).await,
            // A client that has lost its secrets is a known login.
            (None, Some(_)) if client.is_some() => Ok(None),
            (None, upstream) => Ok(upstream.zip(presented(attempt)).map(|(upstream, presented)| Unproven {
                way: Way::Passthrough,
                login: login.to_owned(),
                account: login.to_owned(),
                upstream: upstream.to_owned(),
                served: entrance.upstreams.clone(),
                protocol: origin.protocol,
                client: None,
                recorded: None,
                presented,
                proof: attempt.proof.clone(),
            })),
        };
        Some(match found {
            Ok(Some(unproven)) => Reason::Unproven(Box::new(unproven)),
            Ok(None) => denied,
            Err(reason) => reason,
        })
    }

    /// Whether the records let this login become a client's here. `None`: nothing is known of it.
    async fn enrollable(
        &self,
        enrolment: &Enrolment,
        login: &str,
        client: Option<Versioned<Client>>,
        attempt: &Attempt,
        origin: &Origin,
        entrance: &Entrance,
    ) -> Result<Option<Unproven>, Reason> {
        let account = match &client {
            Some(found) => {
                let now = Timestamp::now();
                if policy::check_time(&found.record, now).is_err() || policy::check(&found.record, origin).is_err() {
                    return Err(Reason::NotEnrollable {
                        why: "the policy of the client does not let it in here and now",
                    });
                }
                sole_account(&found.record)?
            }
            None => None,
        };
        let named = match &enrolment.mode {
            EnrolmentMode::Learn { .. } => enrolment.mailbox(login),
            // No provider is shown it, and an account may have any name.
            EnrolmentMode::FirstLogin => Some(enrolment.mailbox(login).unwrap_or_else(|| login.to_owned())),
        };
        let Some(account) = account.or(named) else { return Ok(None) };
        let recorded = self.keyring.directory().latest_account(&account).await?;
        let (way, upstream) = match (&enrolment.mode, &recorded) {
            (EnrolmentMode::Learn { upstream }, recorded) => {
                if let Some(found) = recorded {
                    fits(&found.record, upstream)?;
                }
                (Way::Learn, upstream.clone())
            }
            (EnrolmentMode::FirstLogin, None) => return Ok(None),
            (EnrolmentMode::FirstLogin, Some(found)) => {
                if !entrance.upstreams.contains(&found.record.upstream) {
                    return Err(Reason::UpstreamNotServed { upstream: found.record.upstream.clone() }.unproven());
                }
                if !self.has_credential(&found.record, origin.protocol).await? {
                    return Err(Reason::NotEnrollable { why: "the account has no credential" });
                }
                (Way::FirstLogin, found.record.upstream.clone())
            }
        };
        Ok(presented(attempt).map(|presented| Unproven {
            way,
            login: login.to_owned(),
            account,
            upstream,
            served: entrance.upstreams.clone(),
            protocol: origin.protocol,
            client,
            recorded,
            presented,
            proof: attempt.proof.clone(),
        }))
    }

    /// Whether an account has a credential of its own, or by its domain.
    async fn has_credential(&self, account: &Account, protocol: Protocol) -> Result<bool, DirectoryError> {
        if account.credentials.values().any(|slots| slots.current.is_some()) {
            return Ok(true);
        }
        let Some((_, domain)) = account.identity(protocol).rsplit_once('@') else { return Ok(false) };
        let tenant = self.keyring.directory().latest_tenant(domain).await?;
        Ok(tenant
            .is_some_and(|found| found.record.upstream == account.upstream && found.record.oauth2.current.is_some()))
    }

    /// A lease by which the provider is shown what was presented, and nothing else.
    ///
    /// # Errors
    /// If the upstream does not speak the protocol, or takes no password for it.
    pub fn lease_on_trial(&self, unproven: &Unproven) -> Result<Lease, Reason> {
        let Unproven { login, account, upstream, served, protocol, presented, .. } = unproven;
        let unknown = || Reason::UpstreamUnknown { upstream: upstream.clone() };
        let profile = self.upstream(upstream).ok_or_else(unknown)?;
        let missing = || Reason::ProtocolNotServed { upstream: upstream.clone(), protocol: *protocol };
        let endpoint = profile.endpoints.get(protocol).ok_or_else(missing)?;
        let of_nobody = new_account(account, upstream);
        let ready = credential::app_password(&of_nobody, presented, *protocol, endpoint)?;
        let holder = Holder::Account(account.clone());
        let found = Found { ready, slot: Slot::Current, holder, passed_over: None, fell_back: None };
        let (profile, endpoint, terms) =
            (Arc::clone(&profile), endpoint.clone(), Arc::new(Terms { way: Some(unproven.way), ..Terms::default() }));
        Ok(Lease::new(login, account, profile, served, endpoint, *protocol, found, terms).on_trial())
    }

    /// The lease of a client that was made after the provider took what it presented.
    pub fn lease_of_enrolled(
        &self,
        lease: Lease,
        unproven: &Unproven,
        client: &Client,
        secret: &ClientSecret,
    ) -> Lease {
        self.prover.remember(&normalise(&client.login), secret, &unproven.proof);
        // Whatever the cap: it has been let in, and counts from now on.
        let seat = self.headcount.seat(&client.login, None);
        lease.under(Terms::of(client, Some(secret), None), seat)
    }

    /// The lease of one that the provider took and that could not be written down: it is held to what its record says, if it
    /// has one, and lives and dies with that where it names the account.
    pub fn lease_of_let_in(&self, lease: Lease, unproven: &Unproven) -> Lease {
        let Some(found) = &unproven.client else { return lease };
        let client = &found.record;
        let is_client = !client.bindings.is_empty();
        let seat = is_client.then(|| self.headcount.seat(&client.login, None)).flatten();
        lease.under(Terms { is_client, way: Some(unproven.way), ..Terms::of(client, None, None) }, seat)
    }

    /// Counts a failure of which only the provider knew, and takes the time of any other.
    pub async fn proved_wrong(&self, attempt: &Attempt, origin: &Origin, began: Instant) {
        self.throttle.failed(origin.peer, &attempt.authcid, &attempt.proof).await;
        sleep_until(began + REFUSAL_TIME).await;
    }
}

impl Reason {
    /// The same before anybody is proven: it is told as if there were no such login.
    fn unproven(self) -> Self {
        match self {
            Self::UpstreamNotServed { .. } => {
                Self::NotEnrollable { why: "the listener does not serve the upstream of the account" }
            }
            other => other,
        }
    }
}

/// An account without a credential.
fn new_account(name: &str, upstream: &str) -> Account {
    Account {
        name: name.to_owned(),
        upstream: upstream.to_owned(),
        identity: Identity::default(),
        credentials: BTreeMap::new(),
        preference: Preference::default(),
        class: None,
    }
}

/// The upstream to which unknown logins from there are passed through.
fn passthrough(entrance: &Entrance, peer: IpAddr) -> Option<&str> {
    match &entrance.unknown_logins {
        UnknownLogins::Reject => None,
        UnknownLogins::Passthrough { upstream, networks } => {
            networks.iter().any(|network| network.contains(&peer)).then_some(upstream)
        }
    }
}

/// Whether what was presented may be believed or shown to anybody: it asks for nobody else, it is a password that a person
/// could have typed, and none that Locum issued to somebody.
fn may_be_shown(login: &str, attempt: &Attempt) -> bool {
    let is_itself = |authzid: &Vec<u8>| {
        policy::login_name(authzid).is_some_and(|name| name.is_empty() || normalise(name) == normalise(login))
    };
    let proof = &attempt.proof;
    // What is remembered of names that strangers think of is bounded by number, and has to be by length.
    if login.len() > LOGIN_BYTES_MAX {
        return false;
    }
    let is_blank = proof.expose().trim_ascii().is_empty();
    attempt.authzid.as_ref().is_none_or(is_itself)
        && !is_blank
        && client_secret::is_fit(proof)
        && proof.expose_text().is_some()
        && !has_issued(proof.expose())
        // Somebody typed it where the name goes.
        && !has_issued(login.as_bytes())
}

/// Whether a secret that Locum issued, or a part of one, stands in that.
fn has_issued(text: &[u8]) -> bool {
    *Zeroizing::new(client_secret::mask(text)) != text
}

/// What was presented, as a credential; `None` if it cannot be one, or there is no randomness to name it by.
fn presented(attempt: &Attempt) -> Option<StoredCredential> {
    let id = client_secret::random_id().ok()?;
    credential::presented_password(&attempt.proof, id, LEARNT_LABEL, Timestamp::now()).ok()
}

/// The only account of a client, if it has any: whoever proves one mailbox has not proven another.
fn sole_account(client: &Client) -> Result<Option<String>, Reason> {
    match &client.bindings[..] {
        [] => Ok(None),
        [Binding::Account(name)] => Ok(Some(name.clone())),
        _ => Err(Reason::NotEnrollable { why: "the client is bound to more than one account; issue it a secret" }),
    }
}

/// Whether who proves the mailbox of that name at that upstream has proven this account.
fn fits(account: &Account, upstream: &str) -> Result<(), Reason> {
    let own = normalise(&account.name);
    if account.upstream != upstream {
        return Err(Reason::NotEnrollable { why: "the account is at another upstream than is asked" });
    }
    if Protocol::ALL.iter().any(|protocol| normalise(account.identity(*protocol)) != own) {
        return Err(Reason::NotEnrollable {
            why: "the account has another name at the provider; issue its client a secret",
        });
    }
    Ok(())
}
