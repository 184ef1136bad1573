//! A step that takes a while: how far it is, and what came of it. With a script the page reads this again by itself, and who
//! listens is told; without, the browser loads the page again.

use maud::{Markup, html};

use crate::admin::console::page::sentence;
use crate::admin::console::parts::{Mood, ago, note};
use crate::management::{Operation, OperationKind, OperationState, Operations};

/// The operation of that id, if it is that subject's; or one of its that is under way, whoever began it.
pub(super) fn of(operations: &Operations, subject: &str, id: &str) -> Option<Operation> {
    let own = |operation: &Operation| operation.subject == subject;
    let running = || operations.list().into_iter().find(|operation| own(operation) && is_running(operation));
    operations.find(id).filter(own).or_else(running)
}

pub(super) fn is_running(operation: &Operation) -> bool {
    operation.state == OperationState::Running
}

/// How far it is.
pub(super) fn progress(operation: &Operation) -> Markup {
    let what = match operation.kind {
        OperationKind::Verify => "Verifying",
        OperationKind::Run => "Rotating",
        OperationKind::RollBack => "Rolling back",
        OperationKind::Retire => "Retiring",
        OperationKind::Probe => "Looking",
        OperationKind::Import => "Importing",
    };
    html! {
        div #operation data-live="operation" role="status" aria-live="polite" {
            @match operation.state {
                OperationState::Running => (note(Mood::Busy, html! {
                    p { strong { (what) } " at the provider… begun " (ago(operation.started)) " by " (operation.by) }
                    progress max=[operation.steps_total] value=[operation.steps_done] aria-label=(what) {}
                    @if let Some(line) = operation.progress.last() { p.hint { (line) } }
                })),
                OperationState::Done => (note(Mood::Good, html! {
                    p { strong { (done(operation)) } }
                    @for line in notes(operation) { p.hint { (sentence(&line)) } }
                })),
                OperationState::Failed => (note(Mood::Bad, html! {
                    p { strong { (what) " failed." } }
                    @if let Some(problem) = &operation.problem { p { (sentence(&problem.detail)) } }
                })),
            }
        }
    }
}

fn done(operation: &Operation) -> String {
    let protocols = operation.result.as_ref().and_then(|result| result["protocols"].as_array().cloned());
    let names: Vec<String> =
        protocols.unwrap_or_default().iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    match operation.kind {
        OperationKind::Verify if names.is_empty() => "The provider takes it.".to_owned(),
        OperationKind::Verify => format!("The provider takes it, by {}. It can be promoted.", names.join(", ")),
        OperationKind::RollBack => "Rolled back: logins use the one before again.".to_owned(),
        OperationKind::Run => "Rotated.".to_owned(),
        OperationKind::Retire => "Retired.".to_owned(),
        OperationKind::Probe | OperationKind::Import => "Done.".to_owned(),
    }
}

/// What stands in the way though not because of the credential.
fn notes(operation: &Operation) -> Vec<String> {
    let notes = operation.result.as_ref().and_then(|result| result["notes"].as_array().cloned()).unwrap_or_default();
    notes.iter().filter_map(|line| line.as_str().map(str::to_owned)).collect()
}
