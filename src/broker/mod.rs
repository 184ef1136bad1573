//! Floor 3: the broker decides. It proves who a client is, finds the account it may act as, and hands out a [`Lease`],
//! the only thing that opens an upstream. It knows no socket and no protocol's words.
//!
//! - [`Broker::decide`]: an [`Attempt`] in, a [`Lease`] or a [`Reason`] out. [`Broker::recognise`]: the same for a device that
//!   cannot log in. [`Proven`]: who has proven itself by an attempt.
//! - [`Directory`]: the records of clients and accounts, typed.
//! - [`Standing`]: whether a session that was let in may go on.
//! - [`client_secret`]: how secrets for clients are made and checked.

mod authority;
pub mod client_secret;
mod delegation;
mod directory;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub mod fuzzing;
mod headcount;
mod keyring;
mod lease;
mod login_form;
mod namesake;
mod objection;
mod options;
mod policy;
mod proven;
mod reason;
mod recognise;
mod refresh_tokens;
mod standing;
mod terms;
mod throttle;
mod trial;
mod unproven;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use crate::audit::{self, Audit, Event, Origin};
use crate::credential::oauth2::{TokenOptions, Tokens};
use crate::credential::{Issued, Ready};
use crate::model::{
    Account, Attempt, Client, ClientSecret, CredentialKind, Entrance, Preference, Profile, Protocol, Refusal, Slot,
    normalise,
};
use crate::net::Https;
use crate::store::StoreError;
use client_secret::{Prover, Rank};
use delegation::{ActsAs, acts_as};
use headcount::Headcount;
use keyring::{Door, Found, Freshness, Keyring, Search, Spent};
use login_form::{Asked, Candidate, Candidates};
use throttle::{Admission, Look, Throttle};

pub use authority::Authorities;
pub use directory::{Change, Damage, Directory, DirectoryError, Page, Versioned};
pub use headcount::Seat;
pub use lease::Lease;
pub use objection::Objection;
pub use options::{Options, SharedOptions};
pub use proven::Proven;
pub use reason::Reason;
pub use refresh_tokens::KeptTokens;
pub use standing::{Standing, Withdrawal};
pub use terms::Terms;
pub use throttle::{Shared, SharedError, SharedStatus};
pub use trial::{account_of_domain, is_of_domain};
pub use unproven::{LEARNT_LABEL, Unproven, Way};

/// Access tokens by HTTPS, with the refresh tokens that are kept among these records. They come while [`Tokens::run`] runs.
pub fn tokens(directory: Directory, https: Https, options: TokenOptions) -> Tokens {
    Tokens::new(Arc::new(Authorities::new(https)), Arc::new(KeptTokens::new(directory)), options)
}

/// A wrong secret and an unknown login are both answered this long after they came, and so is everything that a proven client
/// may not do: how long the store and the hash took, and whether there is an account of the name that it asked for, cannot be
/// read from it. It also slows guessing; a person who mistyped does not notice.
const REFUSAL_TIME: Duration = Duration::from_millis(250);

/// When a refusal is told of which that much was spent: after a whole multiple of [`REFUSAL_TIME`], for several slow hashes can
/// take longer than one.
fn told_after(spent: Duration) -> Duration {
    let times = spent.as_millis().div_ceil(REFUSAL_TIME.as_millis()).max(1);
    REFUSAL_TIME.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))
}

/// What an operator logs in with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choice {
    /// One kind of credential, whatever is preferred.
    pub kind: Option<CredentialKind>,
    /// The credential in that place, whatever its state, and no other: the account's own, or its domain's where it has none
    /// of its own there.
    pub slot: Option<Slot>,
}

/// Decides about logins.
#[derive(Debug)]
pub struct Broker {
    keyring: Keyring,
    upstreams: ArcSwap<BTreeMap<String, Arc<Profile>>>,
    throttle: Throttle,
    prover: Prover,
    headcount: Headcount,
    audit: Audit,
}

impl Broker {
    /// A broker over these records and upstream profiles. Access tokens come from `tokens`, which has to be kept running.
    pub fn new(
        directory: Directory,
        tokens: Arc<Tokens>,
        upstreams: BTreeMap<String, Arc<Profile>>,
        audit: Audit,
        options: Options,
    ) -> Self {
        let (keyring, throttle) = (Keyring::new(directory, tokens), Throttle::new(options));
        let (prover, headcount) = (Prover::default(), Headcount::default());
        let upstreams = ArcSwap::from_pointee(upstreams);
        Self { keyring, upstreams, throttle, prover, headcount, audit }
    }

    /// Decides by these from now on. Failures, counts of sessions and access tokens stay what they are.
    pub fn change(&self, upstreams: BTreeMap<String, Arc<Profile>>, options: Options) {
        self.upstreams.store(Arc::new(upstreams));
        self.throttle.change(options);
    }

    /// Decides about an attempt. `entrance` is where it came in. One audit event is written either way, but for attempts beyond
    /// the first that are held back for too many failures.
    ///
    /// # Errors
    /// The [`Reason`] why the client is not let in; [`Reason::refusal`] is what it may be told.
    pub async fn decide(&self, attempt: &Attempt, origin: &Origin, entrance: &Entrance) -> Result<Lease, Reason> {
        self.decide_telling(attempt, origin, entrance, &mut None).await
    }

    /// The same, and who has proven itself by it, be it let in or not.
    ///
    /// # Errors
    /// As for [`Broker::decide`].
    pub async fn decide_telling(
        &self,
        attempt: &Attempt,
        origin: &Origin,
        entrance: &Entrance,
        proven: &mut Option<Proven>,
    ) -> Result<Lease, Reason> {
        let began = Instant::now();
        let candidates = Candidates::of(attempt, &entrance.login_forms);
        let counted_by = candidates.counted_by(attempt);
        let look = match self.throttle.admit(origin.peer, counted_by, Some(&attempt.proof)).await {
            Admission::Look(look) => look,
            Admission::HoldBack { first } => return self.unseen(Reason::Throttled, first, attempt, origin, began),
            Admission::Repeat { first } => {
                sleep_until(began + REFUSAL_TIME).await;
                return self.unseen(Reason::Repeated, first, attempt, origin, began);
            }
        };
        let mut decision = self.try_decide(attempt, &candidates, &look, origin, entrance, proven).await;
        if let Err(denied @ (Reason::UnknownLogin | Reason::WrongSecret)) = decision {
            decision = match self.unproven(denied, attempt, origin, entrance).await {
                // It has become a client's since this node looked last.
                None => self.try_decide(attempt, &candidates, &look, origin, entrance, proven).await,
                Some(reason) => Err(reason),
            };
        }
        let mut decision = decision.and_then(|lease| self.seated(lease));
        let refusal = decision.as_ref().err().map(Reason::refusal);
        match &decision {
            Ok(_) => look.succeeded(origin.peer, counted_by).await,
            Err(_) if refusal == Some(Refusal::WrongCredentials) => look.failed(origin.peer, counted_by).await,
            Err(_) => drop(look),
        }
        if matches!(decision, Err(Reason::UnknownLogin | Reason::WrongSecret)) && self.keyring.directory().is_silent() {
            // That a record is remembered must not show: who is not remembered is told this, too. And it may have changed.
            let silent = StoreError::Unavailable("it does not answer, and what is remembered may be old".into());
            decision = Err(Reason::Directory(silent.into()));
        }
        if let Err(reason) = &decision
            && reason.takes_time()
        {
            sleep_until(began + told_after(began.elapsed())).await;
        }
        let told = event(attempt, proven.as_ref(), &decision, began);
        let lets_in = matches!(decision, Ok(_) | Err(Reason::Unproven(_)));
        if lets_in && let Err(unwritten) = self.audit.commit(origin, &told).await {
            let denied = Err(Reason::Unwritten(unwritten));
            self.audit.record(origin, &event(attempt, proven.as_ref(), &denied, began));
            return denied;
        }
        if !lets_in {
            self.audit.record(origin, &told);
        }
        decision
    }

    /// An attempt that was not looked at; the first of many is written down.
    fn unseen(
        &self,
        reason: Reason,
        first: bool,
        attempt: &Attempt,
        origin: &Origin,
        began: Instant,
    ) -> Result<Lease, Reason> {
        let denied = Err(reason);
        if first {
            self.audit.record(origin, &event(attempt, None, &denied, began));
        }
        denied
    }

    /// Counts a session in, if its client may have one more.
    fn seated(&self, lease: Lease) -> Result<Lease, Reason> {
        if !lease.terms().is_client {
            return Ok(lease);
        }
        let max = lease.terms().sessions_max;
        match self.headcount.seat(lease.login(), max) {
            Some(seat) => Ok(lease.seated(seat)),
            None => Err(Reason::TooManySessions { max: max.unwrap_or_default() }),
        }
    }

    /// The client of that login name as the store says it is now, to see which of its sessions may go on.
    ///
    /// # Errors
    /// If the store does not answer, or the record cannot be read. Neither says anything about the client.
    pub async fn standing(&self, login: &str) -> Result<Standing, DirectoryError> {
        let found = self.keyring.directory().certain_client(login).await?;
        Ok(Standing::new(found.map(|found| found.record)))
    }

    /// How many addresses, sites, and logins from one, are held back now for too many failures.
    pub fn throttled(&self) -> usize {
        self.throttle.held_back()
    }

    /// Counts failures together with other nodes from now on, in so far as their server answers.
    #[must_use]
    pub fn sharing(self, shared: Option<Arc<Shared>>) -> Self {
        shared.into_iter().for_each(|shared| self.throttle.share(shared));
        self
    }

    /// Where failures are counted together with other nodes, if they are.
    pub fn shared(&self) -> Option<&Arc<Shared>> {
        self.throttle.shared()
    }

    /// The upstream of that name.
    pub fn upstream(&self, name: &str) -> Option<Arc<Profile>> {
        self.upstreams.load().get(name).cloned()
    }

    /// A lease for an operator, who needs no client's right: to see whether an account can be used, with one kind of
    /// credential, or with the one in a certain place, if that is named. Nothing is audited, for nobody is let in.
    ///
    /// # Errors
    /// As for a client: the account is missing, or its upstream, or a credential that can be presented.
    pub async fn lease_for(&self, account: &str, protocol: Protocol, choice: Choice) -> Result<Lease, Reason> {
        let mut account = self.account(account, Freshness::Latest).await?;
        if let Some(kind) = choice.kind {
            account.preference = Preference { all: vec![kind], ..Preference::default() };
        }
        let served = [account.upstream.clone()];
        let search = Search { fresh: Freshness::Latest, only: choice.slot, spent: &Spent::default() };
        self.lease("", account, protocol, &served, search, Terms::default()).await
    }

    /// Another lease, after an upstream refused the credential of `refused`: with what the store itself holds now, whatever
    /// this node remembers. Was the credential refused for its own sake, that is the best one of those that were not: the one
    /// that is current by now; else the next one of its kind that may be used; else one of the next kind, if an operator
    /// named one. Was it an access token, another one; was it the kind, the next kind. `None` if there is no other.
    ///
    /// # Errors
    /// If the account is gone, or its new credential cannot be used, or the store is out of reach.
    pub async fn renew(&self, refused: &Lease, objection: Objection) -> Result<Option<Lease>, Reason> {
        let found = self.account(refused.account(), Freshness::Latest).await;
        let account = found.map_err(|reason| reason.told_to(refused.terms()))?;
        let profile = self.served_profile(&account, refused.served())?;
        let door = door(&profile, refused.protocol())?;
        let mut spent = refused.spent().clone();
        let mut failed = None;
        match objection {
            Objection::Credential => spent.versions.push(refused.ready().stored_version().clone()),
            Objection::Token | Objection::Kind => {
                let now = self.keyring.credential(&account, door, Search::latest(&spent)).await?;
                // Stored anew, or an access token that another login got meanwhile.
                if now.ready.version != refused.ready().version {
                    return Ok(Some(refused.with(now, spent)));
                }
                if objection == Objection::Token {
                    match self.another_token(refused, &account, now).await {
                        Ok(Some(found)) => return Ok(Some(refused.with(found, spent))),
                        Ok(None) => {}
                        Err(error) => failed = Some(error),
                    }
                }
                spent.kinds.push(refused.credential_kind());
            }
        }
        match (self.keyring.credential(&account, door, Search::latest(&spent)).await, failed) {
            (Ok(next), _) => Ok(Some(refused.with(next, spent))),
            (Err(_), Some(failed)) => Err(failed),
            (Err(Reason::Credential(_)), None) => Ok(None),
            (Err(error), None) => Err(error),
        }
    }

    /// The same credential with another access token than the one that was refused; `None` if none would be better.
    async fn another_token(&self, refused: &Lease, account: &Account, now: Found) -> Result<Option<Found>, Reason> {
        let Some(issued) = &refused.ready().issued else { return Ok(None) };
        let Some(token) = self.keyring.another_token(issued).await? else { return Ok(None) };
        let issued = Issued { wanted: Arc::clone(&issued.wanted), token };
        Ok(Some(Found { ready: Ready::of_token(account.identity(refused.protocol()), issued), ..now }))
    }

    async fn try_decide(
        &self,
        attempt: &Attempt,
        candidates: &Candidates,
        look: &Look<'_>,
        origin: &Origin,
        entrance: &Entrance,
        proven: &mut Option<Proven>,
    ) -> Result<Lease, Reason> {
        let (client, secret, asked) = self.prove(attempt, candidates, look, proven).await?;
        look.release(); // what follows may wait for an authority, and is no guess any more
        policy::check_time(&client, Timestamp::now())?;
        policy::check(&client, origin)?;
        let ActsAs { account: name, delegation } = acts_as(&client, &asked, origin.peer, Timestamp::now())?;
        let terms = Terms::of(&client, Some(&secret), delegation);
        let found = self.account(&name, Freshness::Remembered).await;
        let account = found.map_err(|reason| reason.told_to(&terms))?;
        let search = Search { fresh: Freshness::Remembered, only: None, spent: &Spent::default() };
        self.lease(&client.login, account, origin.protocol, &entrance.upstreams, search, terms).await
    }

    /// Who it is, and as whom it asks to act. An unknown login is looked up and hashed like a known one (see [`Prover`]), and all
    /// that a login can mean is looked up, whichever of it there is.
    async fn prove(
        &self,
        attempt: &Attempt,
        candidates: &Candidates,
        look: &Look<'_>,
        proven: &mut Option<Proven>,
    ) -> Result<(Client, ClientSecret, Asked), Reason> {
        let directory = self.keyring.directory();
        let look_up = async |Candidate { principal, asked }: &Candidate| {
            let found = directory.client(principal).await?;
            Ok::<_, DirectoryError>(found.map(|found| (found.record, asked.clone())))
        };
        let found = try_join_all(candidates.iter().map(look_up)).await?;
        let best = found.into_iter().flatten().next();
        let secrets = best.as_ref().map_or(&[][..], |(client, _)| &client.secrets);
        let login = best.as_ref().map_or_else(
            || normalise(&String::from_utf8_lossy(&attempt.authcid)),
            |(client, _)| normalise(&client.login),
        );
        let now = Timestamp::now();
        let rank = || if look.is_of_known_source() { Rank::Known } else { Rank::Stranger };
        let matching = self.prover.find(&login, secrets, &attempt.proof, rank, now).await?.cloned();
        let both = best.as_ref().zip(matching.as_ref());
        *proven = both.map(|((client, asked), secret)| Proven::by(client, secret, asked, attempt));
        match (best, matching) {
            (None, _) => Err(Reason::UnknownLogin),
            (Some(_), None) => Err(Reason::WrongSecret),
            (Some(_), Some(secret)) if secret.expires.is_some_and(|end| end <= now) => {
                Err(Reason::SecretExpired { id: secret.id })
            }
            (Some((client, asked)), Some(secret)) => Ok((client, secret, asked)),
        }
    }

    async fn account(&self, name: &str, fresh: Freshness) -> Result<Account, Reason> {
        let found = self.keyring.account(name, fresh).await?;
        found.ok_or_else(|| Reason::AccountMissing { account: name.to_owned() })
    }

    async fn lease(
        &self,
        login: &str,
        account: Account,
        protocol: Protocol,
        served: &[String],
        search: Search<'_>,
        terms: Terms,
    ) -> Result<Lease, Reason> {
        let profile = self.served_profile(&account, served)?;
        let door = door(&profile, protocol)?;
        let found = self.keyring.credential(&account, door, search).await?;
        let (endpoint, terms) = (door.endpoint.clone(), Arc::new(terms));
        Ok(Lease::new(login, &account.name, Arc::clone(&profile), served, endpoint, protocol, found, terms))
    }

    /// The upstream of the account, if clients may be led there.
    fn served_profile(&self, account: &Account, served: &[String]) -> Result<Arc<Profile>, Reason> {
        let upstream = &account.upstream;
        if !served.contains(upstream) {
            return Err(Reason::UpstreamNotServed { upstream: upstream.clone() });
        }
        self.upstream(upstream).ok_or_else(|| Reason::UpstreamUnknown { upstream: upstream.clone() })
    }
}

/// Where an account of that upstream is entered.
fn door(profile: &Profile, protocol: Protocol) -> Result<Door<'_>, Reason> {
    let missing = || Reason::ProtocolNotServed { upstream: profile.name.clone(), protocol };
    let endpoint = profile.endpoints.get(&protocol).ok_or_else(missing)?;
    Ok(Door { profile, endpoint, protocol })
}

/// What is audited of a decision.
fn event(attempt: &Attempt, proven: Option<&Proven>, decision: &Result<Lease, Reason>, began: Instant) -> Event {
    let lease = decision.as_ref().ok();
    let way = match decision {
        Err(Reason::Unproven(unproven)) => Some(unproven.way()),
        _ => None,
    };
    Event::Decision {
        outcome: match (decision, way) {
            (Ok(_), _) | (_, Some(Way::Passthrough)) => "allow",
            (Err(_), Some(Way::Learn | Way::FirstLogin)) => "try",
            (Err(_), None) => "deny",
        },
        reason: decision.as_ref().err().map(ToString::to_string),
        login: audit::name(&client_secret::mask(&attempt.authcid)),
        method: attempt.method,
        way: way.map(Way::name),
        client_secret: proven.map(|it| it.secret.clone()),
        account: lease.map(|lease| lease.account().to_owned()),
        delegated: lease.is_some_and(|lease| lease.terms().is_delegated),
        asked: proven.and_then(|it| it.asked.clone()).filter(|_| lease.is_none()),
        duration_ms: millis(began),
    }
}

/// Time since then, for the audit.
fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use async_trait::async_trait;

    use super::*;
    use crate::credential;
    use crate::credential::oauth2::{HttpAnswer, HttpError, TokenEndpoint};
    use crate::model::presets::preset;
    use crate::model::{
        AppPasswordFormat, Binding, CredentialKind, Identity, Next, NextState, Policy, Preference, RecordId,
        RecordKind, Secret, Slots,
    };
    use crate::store::memory::Memory;
    use crate::store::{Expected, Record, Store, Version};

    /// Where a client of the tests in this room comes from.
    pub(super) fn origin(listener: &str, protocol: Protocol, peer: IpAddr) -> Origin {
        Origin { session: 1, listener: listener.into(), protocol, peer, via: vec![], tls: true, tls_version: None }
    }

    /// No login here gets as far as an authority.
    #[derive(Debug)]
    struct Nobody;

    #[async_trait]
    impl TokenEndpoint for Nobody {
        async fn post(&self, _: &str, _: &[(&str, Secret)]) -> Result<HttpAnswer, HttpError> {
            Err(HttpError::Unreachable("nobody is there".into()))
        }
    }

    fn no_tokens(directory: &Directory) -> Arc<Tokens> {
        Arc::new(Tokens::new(Arc::new(Nobody), Arc::new(KeptTokens::new(directory.clone())), TokenOptions::default()))
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_login_and_a_wrong_secret_take_the_same_time() {
        let directory = Directory::new(Arc::new(Memory::new()));
        let (secret, _) = client_secret::issue("", None, Timestamp::now()).unwrap();
        let bindings = vec![Binding::Account("a".into())];
        let client = Client { login: "known".into(), secrets: vec![secret], bindings, policy: Policy::default() };
        directory.put_client(&client, None).await.unwrap();
        let broker = Broker::new(
            directory.clone(),
            no_tokens(&directory),
            BTreeMap::new(),
            Audit::default(),
            Options::default(),
        );
        let origin = origin("imaps", Protocol::Imap, [192, 0, 2, 1].into());
        for (login, reason) in [("known", "wrong client secret"), ("nobody", "unknown login")] {
            let proof = Secret::new("wrong");
            let attempt = Attempt { authcid: login.into(), authzid: None, proof, method: "test" };
            let began = Instant::now();
            let denied = broker.decide(&attempt, &origin, &Entrance::default()).await.unwrap_err();
            assert_eq!((denied.to_string().as_str(), began.elapsed()), (reason, REFUSAL_TIME));
        }
    }

    #[test]
    fn a_refusal_is_told_after_whole_multiples() {
        for (spent, after) in [(0, 250), (1, 250), (250, 250), (251, 500), (600, 750)] {
            assert_eq!(told_after(Duration::from_millis(spent)).as_millis(), after, "{spent}");
        }
    }

    /// A store as a node remembers it: what is read is old, and only who insists is told what was written since.
    #[derive(Debug)]
    struct Remembering {
        old: Memory,
        new: Memory,
    }

    #[async_trait]
    impl Store for Remembering {
        async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
            self.old.read(id).await
        }

        async fn read_latest(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
            self.new.read(id).await
        }

        async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
            self.new.write(id, value, expected).await
        }

        async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
            self.new.delete(id, expected).await
        }

        async fn list(
            &self,
            kind: RecordKind,
            after: Option<&RecordId>,
            limit: usize,
        ) -> Result<Vec<RecordId>, StoreError> {
            self.new.list(kind, after, limit).await
        }
    }

    fn account(credential: &str) -> Account {
        let stored = credential::new_app_password(
            &Secret::new("abcdefghijklmnop"),
            AppPasswordFormat::Verbatim,
            credential.to_owned(),
            "",
            Timestamp::now(),
        );
        let slots = Slots::of(stored.unwrap());
        Account {
            name: "a".into(),
            upstream: "gmail".into(),
            identity: Identity::default(),
            credentials: BTreeMap::from([(CredentialKind::AppPassword, slots)]),
            preference: Preference::default(),
            class: None,
        }
    }

    #[tokio::test]
    async fn a_login_uses_what_is_remembered_and_a_refused_credential_is_read_anew() {
        let store = Arc::new(Remembering { old: Memory::new(), new: Memory::new() });
        let (secret, proof) = client_secret::issue("", None, Timestamp::now()).unwrap();
        let bindings = vec![Binding::Account("a".into())];
        let client = Client { login: "scan".into(), secrets: vec![secret], bindings, policy: Policy::default() };
        for (records, credential) in [(&store.old, "old"), (&store.new, "new")] {
            for (id, value) in [
                (RecordId::new(RecordKind::Account, "a"), serde_json::to_vec(&account(credential)).unwrap()),
                (RecordId::new(RecordKind::Client, "scan"), serde_json::to_vec(&client).unwrap()),
            ] {
                records.write(&id, &Secret::new(value), Expected::Absent).await.unwrap();
            }
        }
        let upstreams = BTreeMap::from([("gmail".to_owned(), Arc::new(preset("gmail").unwrap()))]);
        let directory = Directory::new(store);
        let broker =
            Broker::new(directory.clone(), no_tokens(&directory), upstreams, Audit::default(), Options::default());
        let origin = origin("imaps", Protocol::Imap, [192, 0, 2, 1].into());
        let attempt = Attempt { authcid: "scan".into(), authzid: None, proof, method: "test" };
        let entrance = Entrance { upstreams: vec!["gmail".into()], ..Entrance::default() };
        let lease = broker.decide(&attempt, &origin, &entrance).await.unwrap();
        assert_eq!(lease.credential_id(), "old");
        let renewed = broker.renew(&lease, Objection::Credential).await.unwrap().unwrap();
        assert_eq!(renewed.credential_id(), "new");
        assert!(broker.renew(&renewed, Objection::Credential).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_operator_is_led_to_the_place_that_is_named_and_to_no_other() {
        let directory = Directory::new(Arc::new(Memory::new()));
        let mut account = account("now");
        let staged = self::account("staged").credentials.remove(&CredentialKind::AppPassword).unwrap();
        let slots = account.credentials.get_mut(&CredentialKind::AppPassword).unwrap();
        slots.next = staged.current.map(|credential| Next {
            credential,
            op: "op".into(),
            by: "alice".into(),
            since: Timestamp::now(),
            state: NextState::Staged,
            replaces: false,
            refused: None,
        });
        directory.put_account(&account, None).await.unwrap();
        let upstreams = BTreeMap::from([("gmail".to_owned(), Arc::new(preset("gmail").unwrap()))]);
        let broker =
            Broker::new(directory.clone(), no_tokens(&directory), upstreams, Audit::default(), Options::default());
        for (slot, id) in [(None, "now"), (Some(Slot::Current), "now"), (Some(Slot::Next), "staged")] {
            let lease = broker.lease_for("a", Protocol::Imap, Choice { kind: None, slot }).await.unwrap();
            assert_eq!((lease.credential_id(), lease.slot()), (id, slot.unwrap_or(Slot::Current)));
        }
        let none = Choice { kind: None, slot: Some(Slot::Previous) };
        let denied = broker.lease_for("a", Protocol::Imap, none).await.unwrap_err();
        assert!(denied.to_string().contains("has no credential"), "{denied}");
    }
}
