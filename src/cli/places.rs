//! What is said of the places of credentials, for people; never a secret.

use anyhow::Result;

use super::output;
use crate::broker::Directory;
use crate::management::rotation::{Held, RotationView, StoredView, described, held, named, records_of_all};
use crate::model::{HistoryEntry, NextState, Refused, Slot, Slots, StoredCredential};
use crate::rotation::machine;

/// The places of all records, or of all of a domain, in order; and how many records cannot be read, which is said of each.
pub(super) async fn of_all(directory: &Directory, domain: Option<&str>) -> Result<(Vec<Held>, usize)> {
    let (accounts, tenants, damaged) = records_of_all(directory, domain).await?;
    damaged.iter().for_each(|damaged| output::note(format!("locum: {}", damaged.detail)));
    Ok((held(accounts, tenants), damaged.len()))
}

/// A credential as people know it: by the name that it bears in the provider's portal, and by its id.
pub(super) fn called(stored: &StoredView) -> String {
    named(&stored.label, &stored.id)
}

/// What is in the places besides the current one, in lines: what, and what is to be said of it.
pub(super) fn lines(slots: &Slots) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(next) = &slots.next {
        let state = match &next.state {
            NextState::Applied { verified: Some(at) } => format!("verified {}", output::minute(*at)),
            NextState::Applying { until } => format!("being set at the provider, until {}", output::minute(*until)),
            NextState::Failed { at, .. } => format!("failed {}", output::minute(*at)),
            state => machine::state_name(state).to_owned(),
        };
        let (by, since) = (&next.by, output::minute(next.since));
        let state = if next.state == NextState::Staged { String::new() } else { format!("{state}; ") };
        lines.push(("next", format!("{}, {state}staged {since} by {by}", called(&StoredView::of(&next.credential)))));
        if let Some(Refused { times, at, cause }) = &next.refused {
            let times = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
            lines.push(("refused", format!("{times}, last {}: {cause}", output::minute(*at))));
        }
    }
    if let Some(previous) = &slots.previous {
        let until = output::minute(previous.retire_at);
        let use_of_it =
            if previous.usable { format!("may be used until {until}") } else { "not taken any more".to_owned() };
        lines.push(("previous", format!("{}, {use_of_it}", called(&StoredView::of(&previous.credential)))));
    }
    for left in &slots.leftovers {
        lines.push(("to delete", described(left)));
        // It may be the same one, given up once and handed in again.
        let is_alike = |stored: &&StoredCredential| !left.label.is_empty() && stored.label == left.label;
        let mut placed = Slot::ALL.into_iter().filter_map(|slot| slots.in_slot(slot));
        if left.upstream.is_none() && placed.any(|stored| is_alike(&stored)) {
            lines.push(("mind", format!("one that logins may use is called {:?}, too: look which it is", left.label)));
        }
    }
    lines
}

/// What was done, in one line.
pub(super) fn done(entry: &HistoryEntry) -> String {
    let HistoryEntry { at, by, step, id, reason } = entry;
    let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let id = if id.is_empty() { String::new() } else { format!(" {id}") };
    format!("{}  {step}{id} by {by}{reason}", output::minute(*at))
}

/// How many exist at the provider, in words.
pub(super) fn counted(rotation: &RotationView) -> String {
    let max = rotation.at_provider_max.map_or_else(String::new, |max| format!(" of {max} that it allows"));
    let elsewhere = match rotation.elsewhere {
        0 => String::new(),
        elsewhere => format!(", {elsewhere} of them none of ours"),
    };
    format!("{} there{max}{elsewhere}, as far as is known", rotation.at_provider)
}
