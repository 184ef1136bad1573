//! Why a step cannot be taken, in words that say what to do. It never holds a secret.

use jiff::Timestamp;

use crate::model::Slot;

/// Why a step cannot be taken. `Display` says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Another rotation is under way.
    #[error("{by} staged another one at {since:.0} ({state}); finish that one, or discard it")]
    UnderWay {
        /// Who began it.
        by: String,
        /// When.
        since: Timestamp,
        /// How far it is: `staged`, `verified` …
        state: &'static str,
    },
    /// It is what logins use already, or used before.
    #[error("this secret is the {0} one already")]
    Same(Slot),
    /// A command is being asked for one.
    #[error("{by} is having one made by a command that has until {until:.0}; wait for it, then run this again")]
    Asked {
        /// Who asked.
        by: String,
        /// When that has given up for certain.
        until: Timestamp,
    },
    /// A command is setting it at the provider.
    #[error("it is being set at the provider by a command that has until {until:.0}; wait for it, then go on")]
    Applying {
        /// When that has given up for certain.
        until: Timestamp,
    },
    /// There is nothing to go on with.
    #[error("nothing is staged; begin with `locum rotate stage`")]
    NothingStaged,
    /// Somebody staged another one meanwhile.
    #[error("somebody staged another one meanwhile; look at it with `locum rotate status`")]
    Another,
    /// It is one that a command sets, and none has.
    #[error("no command has set it at the provider yet: go on with `locum rotate run --by-hook`")]
    NotSet,
    /// Nobody has logged in with it.
    #[error("nobody has logged in with it yet: verify it first, or say --no-verify")]
    NotVerified,
    /// It is too long ago that somebody did.
    #[error("it was last verified at {verified:.0}, too long ago: verify it again")]
    VerifiedLongAgo {
        /// When.
        verified: Timestamp,
    },
    /// The provider refuses it.
    #[error("the provider refuses it ({cause}): discard it, and stage another one")]
    Failed {
        /// In words for the operator.
        cause: String,
    },
    /// Logins may still need the one before.
    #[error("the one before may be used until {until:.0}: wait, or retire it now with `locum rotate retire --now`")]
    Overlap {
        /// When its grace is over.
        until: Timestamp,
    },
    /// There is none to go back to.
    #[error("there is no previous one to go back to")]
    NoPrevious,
    /// Another one is in that place by now.
    #[error("somebody changed meanwhile which is the one before; look at it with `locum rotate status`")]
    OtherPrevious,
    /// The provider would have more than it allows.
    #[error(
        "the provider allows {max} app passwords and has {count}, as far as is known: delete one there and tick it off with \
         `locum rotate deleted`, or say with `locum rotate count` how many there are"
    )]
    Full {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: u32,
    },
    /// Going back would lead nowhere.
    #[error("the provider has one password only, and it is the current one: going back would lock every client out")]
    Replaced,
    /// A command was to set it at the provider, in the place of the current one, and nobody knows whether it did.
    #[error("it may be the only one that the provider takes: run it again, or verify it until it is refused twice")]
    MayBeInForce,
    /// Nobody ever gave it one.
    #[error("there is no current one")]
    NoCurrent,
    /// Fewer were counted at the provider than there are of ours alone.
    #[error(
        "{counted} were counted at the provider, and there are {known} of ours alone: tick off what was deleted there, \
         then count again"
    )]
    Miscounted {
        /// What was counted.
        counted: u32,
        /// What is known.
        known: usize,
    },
    /// There is no leftover of that name.
    #[error("there is none called {0} that is to be deleted at the provider")]
    NoLeftover(String),
}
