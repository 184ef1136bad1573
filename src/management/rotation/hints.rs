//! What to type next on the command line, for places as they are. Messages name commands; so do views, for people who read
//! them elsewhere.

use jiff::Timestamp;

use crate::model::{CredentialKind, NextState, Slots};
use crate::rotation::{Options, Subject, machine};

/// The command of that verb for a subject, as it is typed. `rest` is what comes behind.
pub fn command(verb: &str, subject: &Subject, rest: &str) -> String {
    let rest = if rest.is_empty() { String::new() } else { format!(" {rest}") };
    format!("locum rotate {verb} {}{rest}", target(subject))
}

/// A subject as `locum rotate` takes it.
pub fn target(subject: &Subject) -> String {
    match subject {
        Subject::Account { name, kind: CredentialKind::AppPassword } => quoted(name),
        Subject::Account { name, kind } => format!("{} --kind {}", quoted(name), kind.name()),
        Subject::Tenant { domain } => quoted(&format!("@{domain}")),
    }
}

/// A word as a shell takes it for one.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "@._+-=:,/%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The command that ticks off one that was deleted in the portal.
pub fn deleted_command(subject: &Subject, label: &str, id: &str) -> String {
    command("deleted", subject, &quoted(if label.is_empty() { id } else { label }))
}

/// The next command for places as they are, and from when on it is of use if that is not now; `None` if there is nothing to
/// be done.
pub fn next_command(
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
            NextState::Applied { verified: Some(at) } if now <= *at + options.verified_within => {
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
        return Some((deleted_command(subject, &left.label, &left.id), None));
    }
    slots.current.is_none().then(|| (command("stage", ""), None))
}
