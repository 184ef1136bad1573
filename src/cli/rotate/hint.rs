//! What to type next: behind what was done, and behind what could not be done.

use std::time::Duration;

use jiff::Timestamp;

use crate::cli::exit::{self, Failure};
use crate::cli::{author, output};
use crate::management::ManagementError;
use crate::model::{CredentialKind, Next, NextState, Slots};
use crate::rotation::machine::{self, StepError};
use crate::rotation::{Options, RotationError, Subject};

/// The command of that verb for a subject, as it is typed. `rest` is what comes behind.
pub(in crate::cli) fn command(verb: &str, subject: &Subject, rest: &str) -> String {
    let rest = if rest.is_empty() { String::new() } else { format!(" {rest}") };
    format!("locum rotate {verb} {}{rest}", target(subject))
}

fn target(subject: &Subject) -> String {
    match subject {
        Subject::Account { name, kind: CredentialKind::AppPassword } => quoted(name),
        Subject::Account { name, kind } => format!("{} --kind {}", quoted(name), kind.name()),
        Subject::Tenant { domain } => quoted(&format!("@{domain}")),
    }
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

/// The next command for places as they are, and from when on it is of use if that is not now; `None` if there is nothing to
/// be done.
pub(in crate::cli) fn of_places(
    slots: &Slots,
    subject: &Subject,
    options: &Options,
    now: Timestamp,
) -> Option<(String, Option<Timestamp>)> {
    let command = |verb, rest| command(verb, subject, rest);
    // What a command sets is in force there or not: it alone brings that to an end.
    let by_hook = |until| Some((command("run", "--by-hook"), until));
    let in_grace = slots.previous.as_ref().is_some_and(|previous| previous.usable && now < previous.retire_at);
    if let Some(next) = &slots.next {
        return Some(match &next.state {
            NextState::Failed { .. } => (command("discard", ""), None),
            NextState::Applying { until } => return by_hook(machine::is_at_work(*until, now).then_some(*until)),
            NextState::Staged if next.replaces => return by_hook(None),
            NextState::Applied { verified: Some(at) } if is_fresh(*at, now, options.verified_within) => {
                // Two before the current one cannot be kept.
                let (verb, rest) = if in_grace { ("retire", "--now") } else { ("promote", "") };
                (command(verb, rest), None)
            }
            NextState::Staged | NextState::Applied { .. } => (command("verify", ""), None),
        });
    }
    if let Some(previous) = &slots.previous {
        return Some((command("retire", ""), (now < previous.retire_at).then_some(previous.retire_at)));
    }
    if let Some(left) = slots.leftovers.first() {
        if let Some(until) = left.until.filter(|until| machine::is_at_work(*until, now)) {
            return by_hook(Some(until));
        }
        return Some((deleted(subject, &left.label, &left.id), None));
    }
    slots.current.is_none().then(|| (command("stage", ""), None))
}

fn is_fresh(verified: Timestamp, now: Timestamp, within: Duration) -> bool {
    now <= verified + within
}

/// The command that ticks off one that was deleted in the portal.
pub(in crate::cli) fn deleted(subject: &Subject, label: &str, id: &str) -> String {
    command("deleted", subject, &quoted(if label.is_empty() { id } else { label }))
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
pub(in crate::cli) fn how_far(next: &Next) -> String {
    let state = machine::state_name(&next.state);
    format!("staged {} by {} ({state})", output::minute(next.since), next.by)
}
