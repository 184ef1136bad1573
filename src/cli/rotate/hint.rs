//! What to type next: behind what was done, and behind what could not be done.

use crate::cli::exit::{self, Failure};
use crate::cli::{author, output};
use crate::management::ManagementError;
use crate::management::rotation::{NextView, command, quoted, target};
use crate::rotation::machine::StepError;
use crate::rotation::{RotationError, Subject};

/// Says what to type next.
pub(in crate::cli) fn next(command: &str) {
    output::note(format!("next: {command}"));
}

/// An error with the command that helps.
pub(in crate::cli) fn failed(error: RotationError, subject: &Subject) -> anyhow::Error {
    let Some(help) = help(&error, subject) else { return error.into() };
    let message = match &error {
        // It begins with the name already.
        RotationError::Missing(_) => format!("{error}; see `{help}`"),
        error => format!("{}: {error}\nnext: {help}", subject.name()),
    };
    Failure::new(exit::of_rotation(&error), message).into()
}

/// The same for an error of a use case.
pub(in crate::cli) fn failed_to_manage(error: ManagementError, subject: &Subject) -> anyhow::Error {
    match error {
        ManagementError::Rotation(error) => failed(error, subject),
        error => error.into(),
    }
}

/// An error, what it means for logins, and the command that helps.
pub(in crate::cli) fn failed_with(error: &RotationError, subject: &Subject, what: &str, next: &str) -> anyhow::Error {
    let message = format!("{}: {error}; {what}\nnext: {next}", subject.name());
    Failure::new(exit::of_rotation(error), message).into()
}

/// The command that tells who uses what.
fn report(subject: &Subject) -> String {
    match subject {
        Subject::Account { name, .. } => format!("locum report rotation --account {}", quoted(name)),
        Subject::Tenant { domain } => format!("locum report rotation --domain {}", quoted(domain)),
    }
}

/// The command that helps where a rotation does not go on.
fn help(error: &RotationError, subject: &Subject) -> Option<String> {
    let of = |verb, rest| command(verb, subject, rest);
    Some(match error {
        RotationError::Step(error) => match error {
            // One's own is given up without asking anybody.
            StepError::UnderWay { by, .. } if *by == author() => of("discard", ""),
            StepError::UnderWay { .. } | StepError::Another | StepError::OtherPrevious => of("status", ""),
            StepError::Applying { .. } | StepError::Asked { .. } | StepError::NotSet => of("run", "--by-hook"),
            StepError::Same(crate::model::Slot::Previous) => of("rollback", ""),
            StepError::Same(_) | StepError::NoLeftover(_) | StepError::NoPrevious => of("status", ""),
            StepError::Replaced | StepError::Miscounted { .. } | StepError::Full { .. } => of("status", ""),
            StepError::NothingStaged | StepError::NoCurrent => of("stage", ""),
            StepError::NotVerified | StepError::VerifiedLongAgo { .. } | StepError::MayBeInForce => of("verify", ""),
            StepError::Failed { .. } => of("discard", ""),
            StepError::Overlap { .. } => of("retire", "--now"),
        },
        RotationError::Missing(Subject::Account { .. }) => "locum account list".to_owned(),
        RotationError::Missing(Subject::Tenant { .. }) => "locum oauth status --all".to_owned(),
        RotationError::StillUsed { .. } => report(subject),
        RotationError::Unverified { passes: true, .. } => of("verify", ""),
        RotationError::Unverified { .. } | RotationError::NothingToVerify { .. } => {
            format!("locum probe {}", probed(subject)?)
        }
        RotationError::SetInVain { .. } => of("run", "--by-hook"),
        RotationError::Broken { .. } => of("stage", ""),
        RotationError::Refused { .. } | RotationError::RolledBack { .. } => of("status", ""),
        RotationError::OtherMailbox { .. }
        | RotationError::Reason(_)
        | RotationError::Directory(_)
        | RotationError::Hook { .. } => return None,
    })
}

fn probed(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Account { .. } => Some(target(subject)),
        Subject::Tenant { .. } => None,
    }
}

/// How long a rotation that is under way has got.
pub(in crate::cli) fn how_far(next: &NextView) -> String {
    format!("staged {} by {} ({})", output::minute(next.staged), next.staged_by, next.state)
}
