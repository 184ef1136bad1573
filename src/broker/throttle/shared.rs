//! Counts that nodes share, at a Valkey or Redis server: what fails at one counts at all. Its keys are digests under a key that
//! the nodes have and the server has not, and each ends by itself. It must never put a login or an address there, nor keep a
//! login waiting for a server that does not answer: then each node counts for itself, as it does all the time.

use std::net::IpAddr;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use super::subject::{Digester, Key, Subjects};
use crate::broker::{Options, SharedOptions};
use crate::net::{Commands, Valkey, ValkeyError};
use crate::store::{KeyError, KeySource};

/// The shortest key in characters: 128 bits and more, however it is written.
const KEY_CHARS_MIN: usize = 32;

/// For how many times its last holding back a subject's strikes are remembered there, once that is over.
const REMEMBERED_TIMES: u32 = 2;

/// Why nodes cannot count together as they are set up.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    /// A secret cannot be read.
    #[error("{what} of [limits.shared] cannot be read: {why}")]
    Unreadable {
        /// Which one.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// It can be guessed.
    #[error(
        "{place}, named in [limits.shared], holds a key of less than {KEY_CHARS_MIN} characters; make one with `openssl rand \
         -base64 32`, the same for all nodes"
    )]
    ShortKey {
        /// Where it is.
        place: KeySource,
    },
    /// Its certificate authorities cannot be read.
    #[error("ca-file in [limits.shared]: {0}")]
    Tls(String),
}

/// Where nodes count together.
#[derive(Debug)]
pub struct Shared {
    valkey: Valkey,
    digester: Digester,
    prefix: String,
}

/// How that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedStatus {
    /// `host:port` of the server.
    pub place: String,
    /// Why this node counts alone now; `None` if it does not.
    pub trouble: Option<ValkeyError>,
}

/// What nodes have counted: for how long yet subjects are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// Whether anything is counted against the pair.
    pub(super) has_failed: bool,
    pub(super) pair: Option<Duration>,
    pub(super) source: Option<Duration>,
    pub(super) site: Option<Duration>,
}

impl Shared {
    /// With what these name. Nothing is dialled before [`Shared::run`].
    ///
    /// # Errors
    /// If a secret or a certificate cannot be read.
    pub fn open(options: &SharedOptions) -> Result<Self, SharedError> {
        let read = |what, source: &KeySource| {
            source.read_text().map_err(|why| SharedError::Unreadable { what, why: plain(&why) })
        };
        let key = read("the digest key", &options.key)?;
        if key.expose().len() < KEY_CHARS_MIN {
            return Err(SharedError::ShortKey { place: options.key.clone() });
        }
        let password = options.password.as_ref().map(|source| read("the password", source)).transpose()?;
        let valkey = Valkey::new(options.server.clone(), password).map_err(|errors| {
            SharedError::Tls(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        Ok(Self { valkey, digester: Digester::by_secret(&key), prefix: options.prefix.clone() })
    }

    /// Keeps the connection for as long as it is polled, and says once when it is lost or back.
    pub async fn run(&self) {
        let place = self.valkey.place();
        let told = |trouble: Option<&ValkeyError>| match trouble {
            None => tracing::info!(server = %place, "failed logins are counted together with other nodes"),
            Some(why) => tracing::warn!(
                server = %place,
                %why,
                "failed logins are counted by this node alone until the server answers; see [limits.shared]"
            ),
        };
        self.valkey.keep(&self.probe(), told).await;
    }

    /// Tries once whether nodes can count there, for an operator.
    ///
    /// # Errors
    /// Why not.
    pub async fn try_once(&self) -> Result<(), ValkeyError> {
        self.valkey.try_once(&self.probe()).await
    }

    /// How it is.
    pub fn status(&self) -> SharedStatus {
        SharedStatus { place: self.valkey.place(), trouble: self.valkey.trouble() }
    }

    /// What of an attempt is held back, by what all nodes have counted; `None` if nobody answers.
    pub(super) async fn held(&self, peer: IpAddr, login: &[u8]) -> Option<Held> {
        let Subjects { pair, source, site } = self.digester.subjects(peer, login);
        let [count, strikes] = ['c', 's'].map(|kind| self.key(kind, &pair));
        let mut commands = Commands::new().and(&["EXISTS", &count, &strikes]);
        for key in [Some(pair), Some(source), site].into_iter().flatten() {
            commands = commands.and(&["PTTL", &self.key('h', &key)]);
        }
        let answers = self.valkey.ask(&commands).await?;
        // Below zero: there is none.
        let rest = |at: usize| answers.get(at).copied().flatten().and_then(|rest| u64::try_from(rest).ok());
        let [pair, source, site] = [1, 2, 3].map(|at| rest(at).filter(|rest| *rest > 0).map(Duration::from_millis));
        let has_failed = answers.first().copied().flatten().is_some_and(|failed| failed > 0);
        Some(Held { has_failed, pair, source, site })
    }

    /// Counts a failure for all nodes.
    pub(super) async fn failed(&self, peer: IpAddr, login: &[u8], options: &Options) {
        let Subjects { pair, source, site } = self.digester.subjects(peer, login);
        let subjects = [
            (Some(pair), options.failures_per_login_max),
            (Some(source), options.failures_per_address_max),
            (site, options.failures_per_site_max),
        ];
        let subjects: Vec<(Key, u32)> = subjects.into_iter().filter_map(|(key, max)| Some((key?, max))).collect();
        let window = millis(options.failure_window);
        let mut commands = Commands::new();
        for (key, _) in &subjects {
            let count = self.key('c', key);
            // The window begins with the first failure, and ends whatever comes.
            commands = commands.and(&["SET", &count, "0", "PX", &window, "NX"]).and(&["INCR", &count]);
        }
        let Some(answers) = self.valkey.ask(&commands).await else { return };
        for ((key, max), answer) in subjects.iter().zip(answers.chunks(2)) {
            let failures = answer.last().copied().flatten().unwrap_or_default();
            if failures >= i64::from(*max) && self.hold(key, options).await.is_none() {
                return;
            }
        }
    }

    /// Forgets what a pair did wrong.
    pub(super) async fn succeeded(&self, peer: IpAddr, login: &[u8]) {
        let pair = self.digester.subjects(peer, login).pair;
        let [count, strikes] = ['c', 's'].map(|kind| self.key(kind, &pair));
        let _ = self.valkey.ask(&Commands::new().and(&["DEL", &count]).and(&["DEL", &strikes])).await;
    }

    /// Holds a subject back for all nodes, for longer each time.
    async fn hold(&self, key: &Key, options: &Options) -> Option<()> {
        let [count, strikes, held] = ['c', 's', 'h'].map(|kind| self.key(kind, key));
        let longest = millis(options.hold_back_max);
        let counted =
            Commands::new().and(&["INCR", &strikes]).and(&["PEXPIRE", &strikes, &longest]).and(&["DEL", &count]);
        let answers = self.valkey.ask(&counted).await?;
        let strike = answers.first().copied().flatten().unwrap_or(1);
        let bounds = super::Bounds { max: 0, window: options.failure_window, hold_max: options.hold_back_max };
        let hold = bounds.hold(u8::try_from(strike).unwrap_or(u8::MAX));
        let (hold, remembered) = (millis(hold), millis(hold.saturating_mul(1 + REMEMBERED_TIMES)));
        let commands = Commands::new().and(&["SET", &held, "1", "PX", &hold]).and(&["PEXPIRE", &strikes, &remembered]);
        self.valkey.ask(&commands).await.map(drop)
    }

    /// A key that nothing hangs on.
    fn probe(&self) -> String {
        format!("{}probe", self.prefix)
    }

    /// `<prefix><kind>:<digest>`; `c`: failures in the window, `s`: strikes, `h`: held back.
    fn key(&self, kind: char, key: &Key) -> String {
        format!("{}{kind}:{}", self.prefix, BASE64URL_NOPAD.encode(&key.0))
    }
}

/// What is wrong with a place of a secret that is no store's key.
fn plain(error: &KeyError) -> String {
    match error {
        KeyError::Missing { path } => format!("there is no file {}", path.display()),
        KeyError::NotSet { name } => format!("the environment variable {name} is not set"),
        KeyError::Unreadable { path, source } => format!("{}: {source}", path.display()),
        other => other.to_string(),
    }
}

/// Milliseconds as a server takes them: one at least, for none would be an error.
fn millis(time: Duration) -> String {
    time.as_millis().max(1).to_string()
}
