//! How a credential that an operator stores takes its place: over the current one of the same application, which is kept for
//! a while to go back to; or, of another application, in the place of all there are.

use anyhow::Result;
use jiff::Timestamp;

use crate::cli::author;
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::config::Config;
use crate::credential::oauth2::OAuth2;
use crate::model::{Leftover, Slots, StoredCredential};
use crate::rotation::RotationError;
use crate::rotation::machine::{self, Actor};

/// Makes it the current one. `same_place`: whether the others are for the same upstream.
///
/// # Errors
/// If one that is being set at the provider must not be given up now.
pub(super) fn place(slots: &mut Slots, stored: StoredCredential, config: &Config, same_place: bool) -> Result<()> {
    let by = author();
    let actor = Actor { by: &by, at: Timestamp::now() };
    let credential = OAuth2::from_stored(&stored)?;
    let before = slots.current.as_ref().and_then(|current| OAuth2::from_stored(current).ok());
    let takes_over = before.as_ref().is_none_or(|before| before.is_of_same_application(&credential));
    if !same_place || !takes_over || (before.is_none() && slots.current.is_some()) {
        machine::supersede(slots, stored, actor);
        return Ok(());
    }
    let op = stored.id.clone();
    machine::replace(slots, stored, op, config.rotation.grace, actor).map_err(|error| {
        let error = RotationError::from(error);
        Failure::new(exit::of_rotation(&error), error.to_string())
    })?;
    Ok(())
}

/// Says what became of those that were there before: which one is kept, and which are to be deleted at the provider.
pub(super) fn tell(before: &Slots, now: &Slots) {
    let previous = now.previous.as_ref().filter(|previous| before.current.as_ref() == Some(&previous.credential));
    if let Some(previous) = previous {
        let until = output::minute(previous.retire_at);
        output::note(format!("the one before ({}) may be used until {until}", called(&previous.credential)));
    }
    let new = now.leftovers.iter().filter(|left| !before.leftovers.contains(left));
    tell_to_delete(new);
}

/// Says what is to be deleted at the provider.
pub(super) fn tell_to_delete<'l>(leftovers: impl IntoIterator<Item = &'l Leftover>) {
    for left in leftovers {
        let name =
            if left.label.is_empty() { format!("the one that was {} here", left.id) } else { left.label.clone() };
        output::note(format!("to be deleted in the registration of the application: {name}"));
    }
}

/// By its label, or its id.
pub(in crate::cli) fn called(stored: &StoredCredential) -> &str {
    if stored.label.is_empty() { &stored.id } else { &stored.label }
}
