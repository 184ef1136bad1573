//! What is shown of the places of credentials: for people, and as JSON; never a secret. And which records have any.

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::exit::{self, Failure};
use super::output;
use crate::broker::Directory;
use crate::management::{accounts, check_name};
use crate::model::{
    Account, CredentialKind, HistoryEntry, Leftover, LeftoverReason, NextState, Refused, Slot, Slots, StoredCredential,
    Tenant, normalise,
};
use crate::rotation::{Inventory, Subject, machine};

/// Records asked for in one go.
const PAGE: usize = 5_000;

/// The places of one kind in one record.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) subject: Subject,
    /// The upstream profile.
    pub(super) upstream: String,
    pub(super) slots: Slots,
}

/// Those of an account, by kind; or of a domain, with an `@` before it.
pub(super) async fn of_one(directory: &Directory, name: &str) -> Result<Vec<Held>> {
    let name = check_name(name)?;
    let Some(domain) = name.strip_prefix('@') else {
        return Ok(of_account(accounts::record(directory, name).await?.record));
    };
    let missing = || {
        let message = format!("there is no credential of the domain {domain}; see `locum oauth status --all`");
        Failure::new(exit::NOT_FOUND, message)
    };
    let tenant = directory.tenant(domain).await?.ok_or_else(missing)?.record;
    Ok(vec![Held {
        subject: Subject::Tenant { domain: tenant.domain },
        upstream: tenant.upstream,
        slots: tenant.oauth2,
    }])
}

/// Those of all records, or of all of a domain, in order; and how many records cannot be read, which is said of each.
pub(super) async fn of_all(directory: &Directory, domain: Option<&str>) -> Result<(Vec<Held>, usize)> {
    let (accounts, tenants, unread) = records_of_all(directory, domain).await?;
    Ok((held(accounts, tenants), unread))
}

/// Those of these records, in order.
pub(super) fn held(accounts: Vec<Account>, tenants: Vec<Tenant>) -> Vec<Held> {
    let of_tenant = |tenant: Tenant| Held {
        subject: Subject::Tenant { domain: tenant.domain },
        upstream: tenant.upstream,
        slots: tenant.oauth2,
    };
    let mut held: Vec<Held> = accounts.into_iter().flat_map(of_account).collect();
    held.extend(tenants.into_iter().map(of_tenant));
    held.sort_by(|a, b| (a.subject.name(), a.subject.kind()).cmp(&(b.subject.name(), b.subject.kind())));
    held
}

/// All accounts and domains, or all of a domain; and how many records cannot be read, which is said of each.
pub(super) async fn records_of_all(
    directory: &Directory,
    domain: Option<&str>,
) -> Result<(Vec<Account>, Vec<Tenant>, usize)> {
    let domain = domain.map(|domain| normalise(domain.trim().trim_start_matches('@')));
    let is_meant = |own: Option<&str>| match &domain {
        Some(domain) => own.is_some_and(|own| normalise(own) == *domain),
        None => true,
    };
    let (mut accounts, mut tenants, mut unread, mut after) = (Vec::new(), Vec::new(), 0, None);
    let mut tell = |error| {
        output::note(format!("locum: {error}"));
        unread += 1;
    };
    loop {
        let page = directory.accounts_page(after.as_ref(), PAGE).await?;
        page.damaged.into_iter().for_each(|(_, error)| tell(error));
        let found = page.records.into_iter().map(|found| found.record);
        let is_in = |account: &Account| is_meant(account.name.rsplit_once('@').map(|(_, domain)| domain));
        accounts.extend(found.filter(is_in));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    loop {
        let page = directory.tenants_page(after.as_ref(), PAGE).await?;
        page.damaged.into_iter().for_each(|(_, error)| tell(error));
        let found = page.records.into_iter().map(|found| found.record);
        tenants.extend(found.filter(|tenant: &Tenant| is_meant(Some(&tenant.domain))));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    accounts.sort_by(|a: &Account, b| a.name.cmp(&b.name));
    Ok((accounts, tenants, unread))
}

fn of_account(account: Account) -> Vec<Held> {
    let Account { name, upstream, credentials, .. } = account;
    let held = |(kind, slots)| {
        let subject = Subject::Account { name: name.clone(), kind };
        Held { subject, upstream: upstream.clone(), slots }
    };
    credentials.into_iter().map(held).collect()
}

/// The places as JSON has them.
#[derive(Debug, Serialize)]
pub(super) struct Places {
    kind: CredentialKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<StoredView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousView>,
    to_delete: Vec<Leftover>,
}

#[derive(Debug, Serialize)]
struct StoredView {
    id: String,
    label: String,
    created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct NextView {
    #[serde(flatten)]
    stored: StoredView,
    /// `staged`, `verified` …
    state: &'static str,
    staged_by: String,
    staged: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
}

#[derive(Debug, Serialize)]
struct PreviousView {
    #[serde(flatten)]
    stored: StoredView,
    replaced: Timestamp,
    usable_until: Timestamp,
    usable: bool,
}

impl StoredView {
    fn of(stored: &StoredCredential) -> Self {
        let StoredCredential { id, label, created, verified, .. } = stored;
        Self { id: id.clone(), label: label.clone(), created: *created, verified: *verified }
    }
}

impl Places {
    pub(super) fn of(kind: CredentialKind, slots: &Slots) -> Self {
        let next = slots.next.as_ref().map(|next| NextView {
            stored: StoredView::of(&next.credential),
            state: machine::state_name(&next.state),
            staged_by: next.by.clone(),
            staged: next.since,
            refused: next.refused.clone(),
        });
        let previous = slots.previous.as_ref().map(|previous| PreviousView {
            stored: StoredView::of(&previous.credential),
            replaced: previous.since,
            usable_until: previous.retire_at,
            usable: previous.usable,
        });
        let current = slots.current.as_ref().map(StoredView::of);
        Self { kind, current, next, previous, to_delete: slots.leftovers.clone() }
    }
}

/// A credential as people know it: by the name that it bears in the provider's portal, and by its id.
pub(super) fn called(stored: &StoredCredential) -> String {
    named(&stored.label, &stored.id)
}

/// The same, of what is in no place any more.
pub(super) fn named(label: &str, id: &str) -> String {
    if label.is_empty() { format!("{id} (no label)") } else { format!("{label:?} ({id})") }
}

/// How far a rotation is, in a word or two; empty if there is nothing to be done.
pub(super) fn state(slots: &Slots, now: Timestamp) -> String {
    match (&slots.next, &slots.previous) {
        (Some(next), _) => machine::state_name(&next.state).to_owned(),
        (None, Some(previous)) if now < previous.retire_at => "overlap".to_owned(),
        (None, Some(_)) => "to retire".to_owned(),
        (None, None) if slots.leftovers.is_empty() => String::new(),
        (None, None) => format!("{} to delete", slots.leftovers.len()),
    }
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
        lines.push(("next", format!("{}, {state}staged {since} by {by}", called(&next.credential))));
        if let Some(Refused { times, at, cause }) = &next.refused {
            let times = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
            lines.push(("refused", format!("{times}, last {}: {cause}", output::minute(*at))));
        }
    }
    if let Some(previous) = &slots.previous {
        let until = output::minute(previous.retire_at);
        let use_of_it =
            if previous.usable { format!("may be used until {until}") } else { "not taken any more".to_owned() };
        lines.push(("previous", format!("{}, {use_of_it}", called(&previous.credential))));
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

/// A leftover in one line.
pub(super) fn described(left: &Leftover) -> String {
    let Leftover { id, label, since, by, why, upstream, until: _ } = left;
    let why = match why {
        LeftoverReason::Retired => "retired",
        LeftoverReason::Discarded => "discarded",
        LeftoverReason::Moved => "left behind",
        LeftoverReason::Asked => "asked of a command that has not answered (so it may not exist)",
    };
    let at = upstream.as_ref().map_or_else(String::new, |upstream| format!(" at {upstream}"));
    format!("{}{at}, {why} {} by {by}", named(label, id), output::minute(*since))
}

/// What was done, in one line.
pub(super) fn done(entry: &HistoryEntry) -> String {
    let HistoryEntry { at, by, step, id, reason } = entry;
    let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let id = if id.is_empty() { String::new() } else { format!(" {id}") };
    format!("{}  {step}{id} by {by}{reason}", output::minute(*at))
}

/// A subject as it is typed: the account, or `@` and a domain.
pub(super) fn typed(subject: &Subject) -> String {
    match subject {
        Subject::Account { name, .. } => name.clone(),
        Subject::Tenant { domain } => format!("@{domain}"),
    }
}

/// How many exist at the provider, in words.
pub(super) fn counted(inventory: &Inventory<'_>) -> String {
    let max = inventory.max.map_or_else(String::new, |max| format!(" of {max} that it allows"));
    let elsewhere = match inventory.elsewhere {
        0 => String::new(),
        elsewhere => format!(", {elsewhere} of them none of ours"),
    };
    format!("{} there{max}{elsewhere}, as far as is known", inventory.count)
}
