//! What the provider remembers: accounts, logins, sent mail. It must never give a password out again, but to who asks the
//! provider itself ([`super::Sandbox::passwords`]).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::authority::book::{Book, Opens, TokenId};
use super::authority::{Denial, Issued, Wish};
use super::login::kind_of;
use super::mailbox::{Flags, Folders};
use super::texts::{Texts, Verdict};
use super::{Account, Behaviour, Face, Login, Outcome, SendLimits, Sent};
use crate::model::{Attempt, CredentialKind, Protocol, Secret, normalise};

/// Logins and messages that are remembered; older ones are forgotten.
const LOGINS_MAX: usize = 100_000;
const SENT_MAX: usize = 1_000;

/// An account and its mail.
pub(super) struct Held {
    /// All that are in force: app passwords live side by side.
    pub(super) passwords: Vec<Secret>,
    /// Of those, the ones that end by themselves, and after how many logins.
    pub(super) fleeting: Vec<(Secret, u32)>,
    pub(super) behaviour: Behaviour,
    pub(super) folders: Folders,
    pub(super) sends: Sends,
}

/// What an account submits, and how much of that it may.
#[derive(Default)]
pub(super) struct Sends {
    pub(super) limits: Option<SendLimits>,
    /// Sessions that are logged in.
    pub(super) connections: usize,
    /// When messages were taken within the last window, oldest first.
    taken: VecDeque<Instant>,
    /// Messages that were too many.
    pub(super) put_off: usize,
}

/// Of what an account has too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    Connections,
    Messages,
}

impl Sends {
    /// Whether one more message is too much; if it is not, it counts.
    pub(super) fn admit(&mut self) -> Option<Excess> {
        let limits = self.limits?;
        let now = Instant::now();
        while self.taken.front().is_some_and(|&at| at + limits.window <= now) {
            self.taken.pop_front();
        }
        let excess = if self.connections > limits.connections {
            Excess::Connections
        } else if self.taken.len() >= limits.messages {
            Excess::Messages
        } else {
            self.taken.push_back(now);
            return None;
        };
        self.put_off += 1;
        Some(excess)
    }
}

impl Held {
    /// That password logged in.
    fn wear_out(&mut self, password: &Secret) {
        let Some((_, left)) = self.fleeting.iter_mut().find(|(fleeting, _)| fleeting == password) else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.fleeting.retain(|(fleeting, _)| fleeting != password);
            self.passwords.retain(|it| it != password);
        }
    }
}

pub(super) struct State {
    accounts: HashMap<String, Held>,
    logins: VecDeque<Login>,
    /// Every secret ever presented, and how often. Never forgotten: "was it ever presented?" must have an answer.
    presented: Vec<(Secret, usize)>,
    sent: VecDeque<Sent>,
    /// No password is taken any more, whoever's.
    pub(super) passwords_are_off: bool,
    /// What the authority remembers.
    pub(super) book: Book,
}

impl State {
    pub(super) fn new(face: Face) -> Self {
        Self {
            accounts: HashMap::new(),
            logins: VecDeque::new(),
            presented: Vec::new(),
            sent: VecDeque::new(),
            passwords_are_off: false,
            book: Book::new(face),
        }
    }

    pub(super) fn add(&mut self, account: Account, folders: Folders) {
        let Account { address, password, behaviour } = account;
        let held =
            Held { passwords: vec![password], fleeting: Vec::new(), behaviour, folders, sends: Sends::default() };
        self.accounts.insert(normalise(&address), held);
    }

    pub(super) fn account(&mut self, address: &str) -> Option<&mut Held> {
        self.accounts.get_mut(&normalise(address))
    }

    /// Asks the authority for a token.
    pub(super) fn grant(&mut self, wish: &Wish<'_>) -> Result<Issued, Denial> {
        self.book.grant(wish, |address| self.accounts.contains_key(address))
    }

    pub(super) fn logins(&self) -> Vec<Login> {
        self.logins.iter().cloned().collect()
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.sent.iter().cloned().collect()
    }

    pub(super) fn times_presented(&self, secret: &Secret) -> usize {
        self.presented.iter().find(|(presented, _)| presented == secret).map_or(0, |(_, times)| *times)
    }

    /// Judges an attempt and remembers it.
    pub(super) fn log_in(&mut self, texts: &Texts, protocol: Protocol, attempt: &Attempt) -> Verdict {
        let mut verdict = match kind_of(attempt.method) {
            CredentialKind::AppPassword => self.judge_password(texts, protocol, attempt),
            CredentialKind::OAuth2 => self.judge_token(texts, protocol, attempt),
        };
        if let Verdict::Accept { address, connected, .. } = &mut verdict
            && protocol == Protocol::Imap
            && let Some(account) = self.accounts.get_mut(address)
            && let Some(next) = texts.imap_not_connected_once(account.behaviour)
        {
            (account.behaviour, *connected) = (next, false);
        }
        if let Verdict::Accept { address, token: None, .. } = &verdict
            && let Some(account) = self.accounts.get_mut(address)
        {
            account.wear_out(&attempt.proof);
        }
        let outcome = match verdict {
            Verdict::Accept { .. } => Outcome::Accepted,
            Verdict::Refuse(_) => Outcome::Refused,
        };
        self.record(protocol, attempt, outcome);
        verdict
    }

    fn judge_password(&self, texts: &Texts, protocol: Protocol, attempt: &Attempt) -> Verdict {
        if !texts.takes_passwords(protocol) || self.passwords_are_off {
            return Verdict::Refuse(texts.no_passwords(protocol));
        }
        let address = normalise(&String::from_utf8_lossy(&attempt.authcid));
        let wrong = Verdict::Refuse(texts.wrong_password(protocol, attempt.method));
        let Some(account) = self.accounts.get(&address) else { return wrong };
        // The provider's policies come before the password: they refuse the right one and the wrong one alike.
        if let Some(refusal) = texts.refusal(protocol, attempt.method, account.behaviour) {
            return Verdict::Refuse(refusal);
        }
        let acts_for_another = attempt.authzid.as_ref().is_some_and(|authzid| *authzid != attempt.authcid);
        if acts_for_another || !account.passwords.contains(&attempt.proof) {
            return wrong;
        }
        Verdict::Accept { address, connected: true, token: None }
    }

    fn judge_token(&self, texts: &Texts, protocol: Protocol, attempt: &Attempt) -> Verdict {
        let named = normalise(&String::from_utf8_lossy(&attempt.authcid));
        let opens = self.book.opens(&attempt.proof, protocol, &named);
        let wrong = Verdict::Refuse(texts.wrong_token(protocol));
        let address = match &opens {
            Opens::Mailbox(address) => address.clone(),
            Opens::OthersOnly | Opens::Nothing => named,
        };
        let Some(account) = self.accounts.get(&address) else { return wrong };
        if let Some(refusal) = texts.refusal(protocol, attempt.method, account.behaviour) {
            return Verdict::Refuse(refusal);
        }
        let token = Some(TokenId::of(&attempt.proof));
        match opens {
            Opens::Mailbox(address) => Verdict::Accept { address, connected: true, token },
            Opens::OthersOnly if texts.imap_lets_strangers_in(protocol, account.behaviour) => {
                Verdict::Accept { address, connected: false, token }
            }
            Opens::OthersOnly | Opens::Nothing => wrong,
        }
    }

    pub(super) fn record(&mut self, protocol: Protocol, attempt: &Attempt, outcome: Outcome) {
        match self.presented.iter_mut().find(|(presented, _)| *presented == attempt.proof) {
            Some((_, times)) => *times += 1,
            None => self.presented.push((attempt.proof.clone(), 1)),
        }
        if self.logins.len() == LOGINS_MAX {
            self.logins.pop_front();
        }
        let identity = String::from_utf8_lossy(&attempt.authcid).into_owned();
        self.logins.push_back(Login { protocol, identity, mechanism: attempt.method, outcome });
    }

    /// Puts a submitted message where it belongs: into the INBOX of everybody who lives here, and for Exchange into the
    /// sender's sent items.
    pub(super) fn submit(&mut self, face: Face, sent: Sent) {
        for recipient in &sent.recipients {
            if let Some(account) = self.account(recipient) {
                account.folders.deliver(Arc::clone(&sent.message));
            }
        }
        match face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                if let Some(account) = self.account(&sent.account) {
                    account.folders.append("Sent Items", Arc::clone(&sent.message), Flags::seen(), None);
                }
            }
            Face::Gmail => {}
        }
        if self.sent.len() == SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back(sent);
    }
}
