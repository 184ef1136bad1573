//! How rotations are made, and what a node does by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::HookOptions;
use super::{SeenOptions, UsageOptions};
use crate::model::CredentialKind;

/// Bounds of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long the one before may be used when the current one is refused. Longer than any node may go on with what it
    /// remembers of the record.
    pub grace: Duration,
    /// Time between a definite refusal of a new credential and the second try: providers take a while to know a new one
    /// everywhere (Exchange Online: half a minute).
    pub second_look: Duration,
    /// How long ago the login may be that a promotion relies on.
    pub verified_within: Duration,
    /// How long a verification goes on where the provider gives no verdict.
    pub patience: Duration,
    /// How old credentials may become.
    pub max_ages: MaxAges,
    /// What a node does by itself.
    pub keeper: KeeperOptions,
    /// Whom to tell what somebody has to know.
    pub webhook: Option<WebhookOptions>,
    /// How a node tells who still uses the one before.
    pub usage: UsageOptions,
    /// How a node puts down which clients come in.
    pub seen: SeenOptions,
    /// The program of the site's own, if there is one.
    pub hook: Option<HookOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(24 * 60 * 60),
            second_look: Duration::from_secs(30),
            verified_within: Duration::from_secs(10 * 60),
            patience: Duration::from_secs(2 * 60),
            max_ages: MaxAges::default(),
            keeper: KeeperOptions::default(),
            webhook: None,
            usage: UsageOptions::default(),
            seen: SeenOptions::default(),
            hook: None,
        }
    }
}

/// How old credentials may become, by kind. What is not named may become as old as it will.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaxAges {
    /// Those of accounts of no class, and of a class that says nothing of the kind.
    pub all: BTreeMap<CredentialKind, Duration>,
    /// Those of a class of account, by its name.
    pub classes: BTreeMap<String, BTreeMap<CredentialKind, Duration>>,
}

impl MaxAges {
    /// How old a credential of that kind may become in an account of that class.
    pub fn of(&self, kind: CredentialKind, class: Option<&str>) -> Option<Duration> {
        let own = class.and_then(|class| self.classes.get(class)).and_then(|ages| ages.get(&kind));
        own.or_else(|| self.all.get(&kind)).copied()
    }
}

/// What a node does by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperOptions {
    /// Whether it looks after credentials at all: it needs the right to list accounts, and to write them.
    pub keeps: bool,
    /// How often each account's credential is logged in with if no client did. `None`: never.
    pub verify_every: Option<Duration>,
    /// Definite refusals of a credential since it became current, after which the one before becomes current again. 0: never.
    pub rollback_after: u32,
    /// Whether what was current before is taken out of use when its grace is over and nobody uses it.
    pub retires: bool,
    /// How often all records are looked through. A Vault with 10,000 of them is busy with that for some seconds.
    pub round_every: Duration,
    /// How often the logins of clients are looked at.
    pub look_every: Duration,
}

impl Default for KeeperOptions {
    fn default() -> Self {
        Self {
            keeps: true,
            verify_every: Some(Duration::from_secs(24 * 60 * 60)),
            rollback_after: 2,
            retires: true,
            round_every: Duration::from_secs(10 * 60),
            look_every: Duration::from_secs(10),
        }
    }
}

/// Where alerts are posted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookOptions {
    /// By HTTPS, or by HTTP to this machine.
    pub url: String,
    /// A file with the bearer token that is shown there. It is read anew each time.
    pub token_file: Option<PathBuf>,
}
