//! What to type next: behind what was done, and behind what could not be done.

use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::rotation::machine::StepError;
use crate::rotation::{RotationError, Subject};

/// The command of that verb for a subject, as it is typed. `rest` is what comes behind.
pub(in crate::cli) fn command(verb: &str, subject: &Subject, rest: &str) -> String {
    let (name, kind) = match subject {
        Subject::Account { name, kind } if kind.is_usual() => (quoted(name), String::new()),
        Subject::Account { name, kind } => (quoted(name), format!(" --kind {}", kind.name())),
        Subject::Tenant { domain } => (quoted(&format!("@{domain}")), String::new()),
    };
    let rest = if rest.is_empty() { String::new() } else { format!(" {rest}") };
    format!("locum rotate {verb} {name}{kind}{rest}")
}

/// A word as a shell takes it for one.
pub(in crate::cli) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "@._+-=:,/%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Says what to type next.
pub(in crate::cli) fn next(command: &str) {
    output::note(format!("next: {command}"));
}

/// An error with the command that helps.
pub(in crate::cli) fn failed(error: RotationError, subject: &Subject) -> anyhow::Error {
    let Some(help) = help(&error, subject) else { return error.into() };
    Failure::new(exit::of_rotation(&error), format!("{}: {error}\nnext: {help}", subject.name())).into()
}

/// The command that helps where a rotation does not go on.
fn help(error: &RotationError, subject: &Subject) -> Option<String> {
    let command = |verb| command(verb, subject, "");
    Some(match error {
        RotationError::Step(error) => match error {
            StepError::UnderWay { .. } | StepError::Another | StepError::Applying { .. } => command("status"),
            StepError::Same(_) | StepError::NoLeftover(_) | StepError::NoPrevious => command("status"),
            StepError::NothingStaged | StepError::NoCurrent => command("stage"),
            StepError::NotVerified | StepError::VerifiedLongAgo { .. } | StepError::MayBeInForce => command("verify"),
            StepError::Failed { .. } => command("discard"),
            StepError::Overlap { .. } => command("status"),
            StepError::Replaced => command("status"),
        },
        RotationError::Missing(Subject::Account { .. }) => "locum account list".to_owned(),
        RotationError::Missing(Subject::Tenant { .. }) => "locum oauth status".to_owned(),
        RotationError::Unverified { .. } => command("verify"),
        RotationError::Refused { .. } | RotationError::RolledBack { .. } | RotationError::NothingToVerify { .. } => {
            command("status")
        }
        RotationError::Reason(_) | RotationError::Directory(_) => return None,
    })
}
