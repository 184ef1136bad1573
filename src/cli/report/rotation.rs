//! `locum report rotation`: the credentials that are being replaced, and who still uses which, as nodes tell it.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use crate::broker::{Directory, DirectoryError};
use crate::cli::exit::{self, Failure};
use crate::cli::list::{Found, Listing, Rest};
use crate::cli::{open_directory, output};
use crate::model::{
    Account, CredentialKind, Next, Previous, RecordId, RecordKind, Slots, StoredCredential, Tenant, normalise,
};
use crate::rotation::{Reports, StillUsed, Subject, machine};
use crate::store::StoreError;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Only this account.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only the accounts of this domain, and its own credential.
    #[arg(long, conflicts_with = "account")]
    domain: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// All that is to be told.
#[derive(Debug, Serialize)]
struct Told {
    /// Whether it is known who uses what.
    usage_known: bool,
    /// Uses that found no room in what nodes told.
    usage_omitted: u32,
    rotations: Vec<Row>,
}

/// A credential that is being replaced.
#[derive(Debug, Serialize)]
struct Row {
    /// As verbs take it: a domain with an @ before it.
    account: String,
    kind: CredentialKind,
    current: Option<Shown>,
    /// Since when that is the current one.
    since: Option<Timestamp>,
    previous: Option<Before>,
    next: Option<Coming>,
}

/// A credential, less its secret.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    label: String,
}

#[derive(Debug, Serialize)]
struct Before {
    #[serde(flatten)]
    shown: Shown,
    /// Until when logins may use it.
    until: Timestamp,
    /// Whether the provider may still take it.
    usable: bool,
    live: u32,
    used: Vec<StillUsed>,
    /// Whether its time is over and nobody uses it.
    may_be_retired: bool,
}

#[derive(Debug, Serialize)]
struct Coming {
    #[serde(flatten)]
    shown: Shown,
    state: &'static str,
    by: String,
    since: Timestamp,
    live: u32,
    used: Vec<StillUsed>,
}

/// Who uses what, as far as it is known.
struct Usage {
    reports: Reports,
    omitted: u32,
    /// Why nothing is known.
    unknown: Option<String>,
    now: Timestamp,
}

pub(super) async fn run(path: &Path, arguments: Arguments) -> Result<()> {
    let (_, directory) = open_directory(path).await?;
    let usage = Usage::read(&directory, Timestamp::now()).await?;
    let (mut rows, rests) = match &arguments.account {
        Some(name) => (of_one(&directory, name, &usage).await?, Vec::new()),
        None => of_all(&directory, arguments.domain.as_deref(), &usage).await?,
    };
    rows.sort_by(|a, b| (&a.account, a.kind).cmp(&(&b.account, b.kind)));
    if arguments.json {
        let (usage_known, usage_omitted) = (usage.unknown.is_none(), usage.omitted);
        output::json(&Told { usage_known, usage_omitted, rotations: rows })?;
    } else {
        let header = ["ACCOUNT", "KIND", "CURRENT", "SINCE", "BESIDE IT", "STATE", "USED BY"];
        output::table(header, rows.iter().flat_map(|row| row.cells(&usage)).collect(), "nothing is being replaced");
    }
    if let Some(why) = &usage.unknown {
        output::note(format!("who uses what is not known: {why}"));
    }
    if usage.omitted > 0 {
        output::note(format!("nodes tell of {} more uses than find room in their records", usage.omitted));
    }
    rests.into_iter().try_for_each(Rest::tell)
}

async fn of_one(directory: &Directory, name: &str, usage: &Usage) -> Result<Vec<Row>> {
    let found = directory.account(name).await?;
    let missing = || Failure::new(exit::NOT_FOUND, format!("there is no account {name}"));
    Ok(of_account(&found.ok_or_else(missing)?.record, usage))
}

/// Of all accounts and domains, or those of one domain. Only what is being replaced is kept, however many there are.
async fn of_all(directory: &Directory, domain: Option<&str>, usage: &Usage) -> Result<(Vec<Row>, Vec<Rest>)> {
    let domain = domain.map(|domain| normalise(domain.trim_start_matches('@')));
    let is_meant =
        |of: Option<&str>| domain.as_deref().is_none_or(|domain| of.map(normalise).as_deref() == Some(domain));
    let accounts = async |after: Option<&RecordId>, limit| {
        let mut page = directory.accounts_page(after, limit).await?;
        page.records.retain(|found| {
            let Account { name, credentials, .. } = &found.record;
            is_meant(name.rsplit_once('@').map(|(_, domain)| domain)) && credentials.values().any(is_under_way)
        });
        Ok(page)
    };
    let Found { records, rest } = Listing::of_all().read(RecordKind::Account, accounts).await?;
    let mut rows: Vec<Row> = records.iter().flat_map(|found| of_account(&found.record, usage)).collect();
    let tenants = async |after: Option<&RecordId>, limit| directory.tenants_page(after, limit).await;
    let found = Listing::of_all().read(RecordKind::Tenant, tenants).await?;
    let meant = found.records.iter().filter(|found| is_meant(Some(&found.record.domain)));
    rows.extend(meant.filter_map(|found| of_tenant(&found.record, usage)));
    Ok((rows, vec![rest, found.rest]))
}

fn is_under_way(slots: &Slots) -> bool {
    slots.previous.is_some() || slots.next.is_some()
}

fn of_account(account: &Account, usage: &Usage) -> Vec<Row> {
    let under_way = account.credentials.iter().filter(|(_, slots)| is_under_way(slots));
    let row = |(kind, slots): (&CredentialKind, &Slots)| {
        let subject = Subject::Account { name: account.name.clone(), kind: *kind };
        Row::of(account.name.clone(), &subject, slots, usage)
    };
    under_way.map(row).collect()
}

fn of_tenant(tenant: &Tenant, usage: &Usage) -> Option<Row> {
    let subject = Subject::Tenant { domain: tenant.domain.clone() };
    is_under_way(&tenant.oauth2).then(|| Row::of(format!("@{}", tenant.domain), &subject, &tenant.oauth2, usage))
}

impl Usage {
    /// Where the list is kept away, all else can be told.
    async fn read(directory: &Directory, now: Timestamp) -> Result<Self, DirectoryError> {
        let (reports, unknown) = match Reports::read(directory).await {
            Ok(reports) => (reports, None),
            Err(DirectoryError::Store(error @ StoreError::Config(_))) => (Reports::default(), Some(error.to_string())),
            Err(error) => return Err(error),
        };
        Ok(Self { omitted: reports.omitted(now), reports, unknown, now })
    }

    fn of(&self, subject: &Subject, id: &str) -> Vec<StillUsed> {
        self.reports.still_used(&subject.holder(), subject.kind(), id, self.now)
    }

    /// Whether it is certain that what nobody tells of is not used.
    fn is_complete(&self) -> bool {
        self.unknown.is_none() && self.omitted == 0
    }

    /// For people.
    fn described(&self, used: &[StillUsed]) -> String {
        if used.is_empty() {
            return if self.is_complete() { "nobody".to_owned() } else { "not known".to_owned() };
        }
        used.iter().map(StillUsed::described).collect::<Vec<_>>().join("; ")
    }
}

impl Row {
    fn of(account: String, subject: &Subject, slots: &Slots, usage: &Usage) -> Self {
        let promoted = slots.previous.as_ref().map(|previous| previous.since);
        Self {
            account,
            kind: subject.kind(),
            current: slots.current.as_ref().map(Shown::of),
            since: promoted.or(slots.current.as_ref().map(|current| current.created)),
            previous: slots.previous.as_ref().map(|previous| Before::of(previous, subject, usage)),
            next: slots.next.as_ref().map(|next| Coming::of(next, subject, usage)),
        }
    }

    /// A line for each credential that is beside the current one.
    fn cells(&self, usage: &Usage) -> Vec<[String; 7]> {
        let current = self.current.as_ref().map_or_else(|| "none".to_owned(), Shown::described);
        let since = self.since.map_or_else(String::new, |since| output::minute(since).to_string());
        let line = |beside: String, state: String, used: String| {
            [self.account.clone(), self.kind.to_string(), current.clone(), since.clone(), beside, state, used]
        };
        let previous = self.previous.as_ref().map(|it| {
            let used = usage.described(&it.used);
            let used = if it.may_be_retired { format!("{used}: may be retired") } else { used };
            line(format!("previous: {}", it.shown.described()), it.state(usage.now), used)
        });
        let next = self.next.as_ref().map(|it| {
            let state = format!("{} by {}, {}", it.state, it.by, output::minute(it.since));
            line(format!("next: {}", it.shown.described()), state, usage.described(&it.used))
        });
        previous.into_iter().chain(next).collect()
    }
}

impl Shown {
    fn of(stored: &StoredCredential) -> Self {
        Self { id: stored.id.clone(), label: stored.label.clone() }
    }

    fn described(&self) -> String {
        let Self { id, label } = self;
        if label.is_empty() { id.clone() } else { format!("{id} ({label})") }
    }
}

impl Before {
    fn of(previous: &Previous, subject: &Subject, usage: &Usage) -> Self {
        let used = usage.of(subject, &previous.credential.id);
        let live = used.iter().map(|used| used.live).sum();
        let is_over = !previous.usable || previous.retire_at <= usage.now;
        Self {
            shown: Shown::of(&previous.credential),
            until: previous.retire_at,
            usable: previous.usable,
            live,
            used,
            may_be_retired: is_over && live == 0 && usage.is_complete(),
        }
    }

    fn state(&self, now: Timestamp) -> String {
        let until = output::minute(self.until);
        match (self.usable, self.until <= now) {
            (false, _) => "replaced at the provider".to_owned(),
            (true, true) => format!("over since {until}"),
            (true, false) => format!("until {until}"),
        }
    }
}

impl Coming {
    fn of(next: &Next, subject: &Subject, usage: &Usage) -> Self {
        let used = usage.of(subject, &next.credential.id);
        Self {
            shown: Shown::of(&next.credential),
            state: machine::state_name(&next.state),
            by: next.by.clone(),
            since: next.since,
            live: used.iter().map(|used| used.live).sum(),
            used,
        }
    }
}
