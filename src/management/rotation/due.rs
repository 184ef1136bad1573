//! What somebody has to do about credentials, and by when. It changes nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::typed;
use crate::broker::Directory;
use crate::management::{Damaged, Desk, ManagementError};
use crate::model::{Account, CredentialKind, Profile, normalise};
use crate::rotation::Subject;
use crate::rotation::schedule::{self, Due, Terms};

/// Records asked for in one go.
const PAGE: usize = 5_000;

/// Ten years. Nobody plans further.
const WITHIN_DAYS_MAX: u64 = 3_650;

/// Which of it.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct DueWanted {
    /// Only the accounts of this domain, and its own credential.
    pub domain: Option<String>,
    /// Also what becomes due within so many hours.
    pub within_hours: u64,
}

/// One thing that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DueItem {
    /// The account, or `@` and a domain.
    pub account: String,
    /// The kind of credential.
    pub kind: CredentialKind,
    /// Its id.
    pub credential: String,
    /// `ended`, `failed`, `ends-soon`, `too-old`, `near-limit`, `staged`, `grace-over` or `to-delete`.
    pub why: String,
    /// The same in words.
    #[serde(skip)]
    pub why_in_words: String,
    /// Since when, or by when.
    pub at: Timestamp,
    /// What to do.
    pub todo: String,
}

/// All that is due, what is worst first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Dues {
    /// What is due.
    pub items: Vec<DueItem>,
    /// Accounts that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
    /// Domains whose credential cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged_tenants: Vec<Damaged>,
}

/// What is due of all accounts and domains. Only that is kept, however many there are.
///
/// # Errors
/// See [`ManagementError`]; a record that is damaged is none.
pub async fn due(desk: &Desk, wanted: &DueWanted) -> Result<Dues, ManagementError> {
    let within = Duration::from_secs(wanted.within_hours.min(WITHIN_DAYS_MAX * 24) * 60 * 60);
    let terms = Terms { max_ages: &desk.options.max_ages, within, now: Timestamp::now() };
    let mut dues = Dues::default();
    let mut found = find(desk, &desk.directory, terms, &mut dues).await?;
    if let Some(domain) = &wanted.domain {
        let domain = normalise(domain.trim_start_matches('@'));
        found.retain(|due| is_in(&due.subject, &domain));
    }
    found.sort_by(|a, b| (a.why, a.at, a.subject.name()).cmp(&(b.why, b.at, b.subject.name())));
    dues.items = found.into_iter().map(DueItem::from).collect();
    Ok(dues)
}

async fn find(
    desk: &Desk,
    directory: &Directory,
    terms: Terms<'_>,
    dues: &mut Dues,
) -> Result<Vec<Due>, ManagementError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = directory.accounts_page(after.as_ref(), PAGE).await?;
        let of = |account: &Account| schedule::of_account(account, upstream(desk, account), terms);
        found.extend(page.records.iter().flat_map(|record| of(&record.record)));
        dues.damaged.extend(Damaged::all(page.damaged));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    loop {
        let page = directory.tenants_page(after.as_ref(), PAGE).await?;
        found.extend(page.records.iter().flat_map(|record| schedule::of_tenant(&record.record, terms)));
        dues.damaged_tenants.extend(Damaged::all(page.damaged));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

fn upstream<'d>(desk: &'d Desk, account: &Account) -> Option<&'d Profile> {
    desk.profiles.get(&account.upstream).map(|profile| &**profile)
}

fn is_in(subject: &Subject, domain: &str) -> bool {
    match subject {
        Subject::Account { name, .. } => name.rsplit_once('@').is_some_and(|(_, it)| normalise(it) == domain),
        Subject::Tenant { domain: it } => normalise(it) == domain,
    }
}

impl From<Due> for DueItem {
    fn from(due: Due) -> Self {
        Self {
            account: typed(&due.subject),
            kind: due.subject.kind(),
            credential: due.credential,
            why: due.why.name().to_owned(),
            why_in_words: due.why.to_string(),
            at: due.at,
            todo: due.todo,
        }
    }
}
