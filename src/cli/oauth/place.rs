//! What is said of credentials that another one took the place of.

use crate::cli::output;
use crate::management::rotation::Places;
use crate::model::{Leftover, StoredCredential};

/// Says what became of those that were there before: which one is kept, and which are to be deleted at the provider.
pub(super) fn tell(before: Option<&StoredCredential>, now: &Places, to_delete: &[Leftover]) {
    let is_kept = |id: &str| before.is_some_and(|before| before.id == id);
    if let Some(previous) = now.previous.as_ref().filter(|previous| is_kept(&previous.stored.id)) {
        let (stored, until) = (&previous.stored, output::minute(previous.usable_until));
        let called = if stored.label.is_empty() { &stored.id } else { &stored.label };
        output::note(format!("the one before ({called}) may be used until {until}"));
    }
    for left in to_delete {
        let name =
            if left.label.is_empty() { format!("the one that was {} here", left.id) } else { left.label.clone() };
        output::note(format!("to be deleted in the registration of the application: {name}"));
    }
}
