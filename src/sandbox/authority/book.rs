//! What the authority remembers: applications, who shares what with whom, and what it issued, each under its digest alone.
//! It must never give a token out again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::watch;
use tokio::time::Instant;

use super::denial::Denial;
use super::{Application, ApplicationProof, AuthorityTrouble, TokenOutcome, TokenRequest};
use crate::model::{Protocol, Secret, normalise};
use crate::sandbox::Face;

/// Requests that are remembered; older ones are forgotten.
const REQUESTS_MAX: usize = 10_000;
/// The life of an authorization code.
const CODE_LIFE: Duration = Duration::from_secs(600);
/// The life of a device code, as Entra says it.
pub(super) const DEVICE_LIFE: Duration = Duration::from_secs(900);
/// Letters of a user code, without those that are taken for others.
const USER_CODE_LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const USER_CODE_LENGTH: usize = 9;

/// The digest of a token or code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::sandbox) struct TokenId([u8; 32]);

impl TokenId {
    pub(in crate::sandbox) fn of(token: &Secret) -> Self {
        let digest = digest::digest(&digest::SHA256, token.expose());
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Whom a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// The application itself.
    Application,
    /// The person with that (normalised) address.
    Person(String),
}

/// An access token.
pub(super) struct Access {
    pub(super) client_id: String,
    pub(super) holder: Holder,
    /// Where it is good.
    pub(super) protocols: Vec<Protocol>,
    ends: Instant,
}

/// A right to ask for access tokens again.
#[derive(Clone)]
pub(super) struct Refresh {
    pub(super) client_id: String,
    pub(super) person: String,
    pub(super) scope: String,
    pub(super) standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Spent,
    Revoked,
}

/// A person's yes, on its way to the application.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) person: String,
    pub(super) scope: String,
    pub(super) redirect_uri: String,
    /// The S256 challenge (RFC 7636 section 4.2).
    pub(super) challenge: Option<String>,
    /// Whether a refresh token was asked for.
    pub(super) offline: bool,
    pub(super) redeemed: bool,
    made: Instant,
}

impl Code {
    pub(super) fn is_over(&self) -> bool {
        self.made.elapsed() > CODE_LIFE
    }
}

/// A device that waits for a person.
pub(super) struct Device {
    code: TokenId,
    user_code: String,
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) asked: Option<Instant>,
    made: Instant,
    pub(super) answered: Option<Answered>,
}

impl Device {
    pub(super) fn is_over(&self) -> bool {
        self.made.elapsed() > DEVICE_LIFE || self.answered == Some(Answered::TooLate)
    }
}

/// What a person said to a device's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answered {
    Yes(String),
    No,
    TooLate,
}

struct Registered {
    application: Application,
    /// What it may prove itself by besides.
    more: Vec<ApplicationProof>,
    secret_is_over: bool,
}

pub(in crate::sandbox) struct Book {
    pub(super) face: Face,
    applications: HashMap<String, Registered>,
    shared: HashSet<(String, String)>,
    access: HashMap<TokenId, Access>,
    refresh: HashMap<TokenId, Refresh>,
    codes: HashMap<TokenId, Code>,
    devices: Vec<Device>,
    requests: VecDeque<TokenRequest>,
    handed_out: Vec<Secret>,
    pub(super) token_life: Duration,
    pub(super) token_length: usize,
    pub(super) strict_rotation: bool,
    pub(super) clock_ahead: SignedDuration,
    pub(super) device_interval: u32,
    pub(super) trouble: Option<(AuthorityTrouble, Option<usize>)>,
    /// Answers that are held back now, and how often answers were let out.
    pub(super) held: watch::Sender<usize>,
    pub(super) released: watch::Sender<u64>,
    /// How often tokens were ended before their time.
    ended: watch::Sender<u64>,
}

impl Book {
    pub(in crate::sandbox) fn new(face: Face) -> Self {
        // As long as those that are seen in the wild.
        let (token_life, token_length) = match face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => (4499, 1800),
            Face::Gmail => (3599, 220),
        };
        Self {
            face,
            applications: HashMap::new(),
            shared: HashSet::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            codes: HashMap::new(),
            devices: Vec::new(),
            requests: VecDeque::new(),
            handed_out: Vec::new(),
            token_life: Duration::from_secs(token_life),
            token_length,
            strict_rotation: false,
            clock_ahead: SignedDuration::ZERO,
            device_interval: 5,
            trouble: None,
            held: watch::Sender::new(0),
            released: watch::Sender::new(0),
            ended: watch::Sender::new(0),
        }
    }

    /// What time it is at the authority.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.clock_ahead).expect("a signed duration has no calendar units")
    }

    /// What is wrong with the next answer.
    pub(super) fn take_trouble(&mut self) -> Option<AuthorityTrouble> {
        let (trouble, answers) = self.trouble.as_mut()?;
        let taken = trouble.clone();
        match answers {
            None => {}
            Some(left @ 2..) => *left -= 1,
            Some(1) => self.trouble = None,
            Some(0) => {
                self.trouble = None;
                return None;
            }
        }
        Some(taken)
    }

    pub(super) fn requests(&self) -> Vec<TokenRequest> {
        self.requests.iter().cloned().collect()
    }

    pub(super) fn record(&mut self, grant: &str, client_id: &str, outcome: TokenOutcome) {
        if self.requests.len() == REQUESTS_MAX {
            self.requests.pop_front();
        }
        let short = |text: &str| text.chars().take(128).collect();
        self.requests.push_back(TokenRequest {
            grant: short(grant),
            client_id: short(client_id),
            outcome,
            at: Timestamp::now(),
        });
    }
}

/// Applications and shares.
impl Book {
    pub(super) fn register(&mut self, application: Application) {
        let id = application.client_id.clone();
        self.applications.insert(id, Registered { application, more: Vec::new(), secret_is_over: false });
    }

    pub(super) fn set_secret(&mut self, client_id: &str, secret: Secret) -> bool {
        let Some(registered) = self.applications.get_mut(client_id) else { return false };
        registered.application.authentication = ApplicationProof::Secret(secret);
        registered.more.clear();
        registered.secret_is_over = false;
        true
    }

    pub(super) fn add_proof(&mut self, client_id: &str, proof: ApplicationProof) -> bool {
        self.applications.get_mut(client_id).map(|registered| registered.more.push(proof)).is_some()
    }

    pub(super) fn remove_proof(&mut self, client_id: &str, proof: &ApplicationProof) -> bool {
        let Some(registered) = self.applications.get_mut(client_id) else { return false };
        if let Some(index) = registered.more.iter().position(|other| other.is(proof)) {
            registered.more.remove(index);
            return true;
        }
        let is_first = registered.application.authentication.is(proof) && !registered.more.is_empty();
        if is_first {
            registered.application.authentication = registered.more.remove(0);
        }
        is_first
    }

    /// What an application may prove itself by besides what it was registered with.
    pub(super) fn more_proofs(&self, client_id: &str) -> &[ApplicationProof] {
        self.applications.get(client_id).map_or(&[], |registered| &registered.more)
    }

    pub(super) fn expire_secret(&mut self, client_id: &str) -> bool {
        self.applications.get_mut(client_id).map(|registered| registered.secret_is_over = true).is_some()
    }

    pub(super) fn application(&self, client_id: &str) -> Option<&Application> {
        self.applications.get(client_id).map(|registered| &registered.application)
    }

    /// The application, if it is known in that tenant. `common` and its kind stand for any.
    pub(super) fn application_in(&self, client_id: &str, tenant: Option<&str>) -> Result<&Application, Denial> {
        let any = |tenant: &str| matches!(tenant, "common" | "organizations" | "consumers");
        let applications = || self.applications.values().map(|registered| &registered.application);
        if let Some(tenant) = tenant
            && !any(tenant)
            && applications().all(|application| application.tenant != tenant)
        {
            return Err(Denial::UnknownTenant(tenant.to_owned()));
        }
        let found = self.application(client_id);
        let found = found.filter(|found| tenant.is_none_or(|tenant| any(tenant) || found.tenant == tenant));
        found.ok_or_else(|| Denial::UnknownApplication(client_id.to_owned()))
    }

    pub(super) fn secret_is_over(&self, client_id: &str) -> bool {
        self.applications.get(client_id).is_some_and(|registered| registered.secret_is_over)
    }

    pub(super) fn share(&mut self, delegate: &str, shared: &str) {
        self.shared.insert((normalise(delegate), normalise(shared)));
    }
}

/// Access tokens.
impl Book {
    pub(super) fn issue_access(&mut self, client_id: &str, holder: Holder, protocols: Vec<Protocol>) -> Secret {
        let prefix = match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.",
            Face::Gmail => "ya29.",
        };
        let token = random(prefix, self.token_length);
        let ends = Instant::now() + self.token_life;
        self.access.insert(TokenId::of(&token), Access { client_id: client_id.to_owned(), holder, protocols, ends });
        self.hand_out(&token);
        token
    }

    /// The token is good nowhere.
    pub(super) fn spoil(&mut self, token: &Secret) {
        if let Some(access) = self.access.get_mut(&TokenId::of(token)) {
            access.protocols.clear();
        }
    }

    /// The mailbox that a token opens in that protocol: the one that is named, or the person's own where none is.
    pub(in crate::sandbox) fn opens(&self, token: &Secret, protocol: Protocol, named: &str) -> Opens {
        let access = self.access.get(&TokenId::of(token));
        let Some(access) = access.filter(|access| access.ends > Instant::now()) else { return Opens::Nothing };
        if !access.protocols.contains(&protocol) {
            return Opens::Nothing;
        }
        let named = normalise(named);
        let may_open = match &access.holder {
            Holder::Application => {
                self.application(&access.client_id).is_some_and(|application| application.may_act_as.has(&named))
            }
            Holder::Person(person) if named.is_empty() => return Opens::Mailbox(person.clone()),
            // Mail is sent by who holds the token, in the name of whomever.
            Holder::Person(person) => {
                *person == named
                    || protocol != Protocol::Submission && self.shared.contains(&(person.clone(), named.clone()))
            }
        };
        if may_open { Opens::Mailbox(named) } else { Opens::OthersOnly }
    }

    /// When a token ends; now, if it is not known.
    pub(in crate::sandbox) fn end_of(&self, token: TokenId) -> Instant {
        self.access.get(&token).map_or_else(Instant::now, |access| access.ends)
    }

    /// A signal that is raised when tokens end before their time.
    pub(in crate::sandbox) fn ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    pub(super) fn end_access_tokens(&mut self) {
        let now = Instant::now();
        self.access.values_mut().for_each(|access| access.ends = access.ends.min(now));
        self.ended.send_modify(|times| *times += 1);
    }
}

/// What a token opens.
pub(in crate::sandbox) enum Opens {
    /// The mailbox of that (normalised) address.
    Mailbox(String),
    /// It is good, but not for that mailbox.
    OthersOnly,
    /// It is not good here.
    Nothing,
}

/// Refresh tokens and codes.
impl Book {
    pub(super) fn issue_refresh(&mut self, refresh: Refresh) -> Secret {
        let prefix = match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => "1.AXoA",
            Face::Gmail => "1//0",
        };
        let token = random(prefix, 128);
        self.refresh.insert(TokenId::of(&token), refresh);
        self.hand_out(&token);
        token
    }

    fn hand_out(&mut self, token: &Secret) {
        if self.handed_out.len() < REQUESTS_MAX {
            self.handed_out.push(token.clone());
        }
    }

    /// The tokens that were made, access and refresh, the oldest first.
    pub(super) fn handed_out(&self) -> Vec<Secret> {
        self.handed_out.clone()
    }

    pub(super) fn refresh(&self, token: &Secret) -> Option<Refresh> {
        self.refresh.get(&TokenId::of(token)).cloned()
    }

    pub(super) fn spend(&mut self, token: &Secret) {
        if let Some(refresh) = self.refresh.get_mut(&TokenId::of(token)) {
            refresh.standing = Standing::Spent;
        }
    }

    pub(super) fn revoke(&mut self, address: &str) {
        let address = normalise(address);
        for refresh in self.refresh.values_mut().filter(|refresh| refresh.person == address) {
            refresh.standing = Standing::Revoked;
        }
    }

    pub(super) fn issue_code(&mut self, request: &super::AuthorizeRequest, person: String) -> Secret {
        let prefix = match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => "1.AXoA",
            Face::Gmail => "4/0A",
        };
        let token = random(prefix, 96);
        let code = Code {
            client_id: request.client_id.clone(),
            person,
            scope: request.scope.clone(),
            redirect_uri: request.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            offline: request.offline,
            redeemed: false,
            made: Instant::now(),
        };
        self.codes.insert(TokenId::of(&token), code);
        token
    }

    pub(super) fn code(&mut self, code: &Secret) -> Option<&mut Code> {
        self.codes.get_mut(&TokenId::of(code))
    }

    /// A new device code, and what a person types in.
    pub(super) fn issue_device(&mut self, client_id: &str, scope: &str) -> (Secret, String) {
        let code = random("", 128);
        let user_code = user_code();
        self.devices.push(Device {
            code: TokenId::of(&code),
            user_code: user_code.clone(),
            client_id: client_id.to_owned(),
            scope: scope.to_owned(),
            asked: None,
            made: Instant::now(),
            answered: None,
        });
        (code, user_code)
    }

    pub(super) fn device(&mut self, code: &Secret) -> Option<&mut Device> {
        let code = TokenId::of(code);
        self.devices.iter_mut().find(|device| device.code == code)
    }

    pub(super) fn forget_device(&mut self, code: &Secret) {
        let code = TokenId::of(code);
        self.devices.retain(|device| device.code != code);
    }

    pub(super) fn answer_device(&mut self, user_code: &str, answered: Answered) -> bool {
        let device = self.devices.iter_mut().find(|device| device.user_code.eq_ignore_ascii_case(user_code));
        device.map(|device| device.answered = Some(answered)).is_some()
    }
}

/// A token of that many characters, no less than make it unguessable.
fn random(prefix: &str, length: usize) -> Secret {
    const CHANCE_MIN: usize = 43;
    let mut bytes = vec![0; length.saturating_sub(prefix.len()).max(CHANCE_MIN)];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    let mut token = format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes));
    token.truncate(length.max(prefix.len() + CHANCE_MIN));
    Secret::new(token)
}

fn user_code() -> String {
    let mut bytes = [0; USER_CODE_LENGTH];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| char::from(USER_CODE_LETTERS[usize::from(byte % 32)])).collect()
}
