//! The steps of a rotation, as somebody takes them by a button. What takes a while goes on by itself, and is watched.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::kind;
use crate::admin::Office;
use crate::admin::caller::Operating;
use crate::admin::console::browsers::Tone;
use crate::admin::console::fields::Fields;
use crate::admin::console::paths;
use crate::admin::console::visitor::Visitor;
use crate::admin::problem::Problem;
use crate::management::rotation::{self, DeletedWanted, Logins, NewCredential, Promote, Retire, RollBack, StagedAs};
use crate::management::{Desk, GivenSecret, ManagementError, OperationKind, reports};
use crate::rotation::Subject;

pub(super) async fn take(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path((name, step)): Path<(String, String)>,
    fields: Fields,
) -> Response {
    let kind = kind(&fields);
    let to = format!("{}?kind={}", paths::item("rotations", &name), kind.name());
    let subject = match rotation::subject(&name, kind) {
        Ok(subject) => subject,
        Err(error) => return Problem::from(error).into_response(),
    };
    let desk = visitor.desk(&office);
    let done = match step.as_str() {
        "verify" | "rollback" => return begin(&office, &visitor, &desk, &subject, &step, &to),
        "stage" => stage(&desk, &subject, &fields).await,
        "promote" => rotation::promote(&desk, &subject, &Promote::default()).await.map(|_| {
            "Promoted: clients use the new one from their next login on. The one before is kept for a while.".to_owned()
        }),
        "retire" | "retire-now" => {
            let how = Retire { now: step == "retire-now", by_hook: false };
            rotation::retire(&desk, &subject, how).await.map(|retired| retired_text(&retired))
        }
        "discard" => rotation::discard(&desk, &subject, None).await.map(|_| {
            "Discarded: logins go on with the current one. Delete the other in the portal, and tick it off.".to_owned()
        }),
        "deleted" => deleted(&desk, &subject, &fields).await,
        _ => return Problem::nothing_here().into_response(),
    };
    visitor.tell(&to, done, |text| text)
}

/// Begins what logs in at a provider, and leads to where it is watched.
fn begin(office: &Office, visitor: &Visitor, desk: &Desk, subject: &Subject, step: &str, to: &str) -> Response {
    let (desk, subject, author) = (desk.clone(), subject.clone(), visitor.caller.name.as_str());
    let named = reports::typed(&subject);
    let begun = if step == "verify" {
        office.operations.begin(OperationKind::Verify, &named, author, |_| async move {
            rotation::verify(&desk, &subject, &Logins::default()).await
        })
    } else {
        office.operations.begin(OperationKind::RollBack, &named, author, |_| async move {
            rotation::roll_back(&desk, &subject, &RollBack::default()).await
        })
    };
    match begun {
        Ok(operation) => Redirect::to(&format!("{to}&operation={}", operation.id)).into_response(),
        Err(error) => visitor.go(to, Tone::Bad, error.to_string()),
    }
}

async fn stage(desk: &Desk, subject: &Subject, fields: &Fields) -> Result<String, ManagementError> {
    let new = NewCredential {
        label: fields.some("label"),
        secret: Some(GivenSecret::from(fields.pasted("secret"))),
        secret_expires: fields.day("expires", "Ends")?,
        ..NewCredential::default()
    };
    let staged = rotation::stage(desk, subject, new).await?;
    let first = match staged.staged_as {
        StagedAs::Next => "Staged. Verify it next: no login uses it yet.",
        StagedAs::NextAlready => "This one is staged already.",
        StagedAs::CurrentAlready => "This is the current one already; nothing is done.",
    };
    Ok(std::iter::once(first.to_owned()).chain(staged.room).collect::<Vec<_>>().join("\n"))
}

fn retired_text(retired: &rotation::RetiredView) -> String {
    let mut lines = vec![match &retired.retired {
        None => "There was nothing to retire.".to_owned(),
        Some(gone) if gone.to_delete => "Retired. Delete it in the portal now, and tick it off below.".to_owned(),
        Some(_) => "Retired.".to_owned(),
    }];
    lines.extend(retired.note.clone());
    lines.join("\n")
}

async fn deleted(desk: &Desk, subject: &Subject, fields: &Fields) -> Result<String, ManagementError> {
    let names = fields.all("deleted");
    if names.is_empty() {
        return Err(ManagementError::invalid("tick what was deleted in the portal first"));
    }
    let count = names.len();
    rotation::deleted(desk, subject, DeletedWanted { names, all: false }).await?;
    Ok(if count == 1 { "Ticked off.".to_owned() } else { format!("Ticked off {count}.") })
}
