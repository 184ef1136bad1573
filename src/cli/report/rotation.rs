//! `locum report rotation`: the credentials that are being replaced, and who still uses which, as nodes tell it.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::list::{PAGE, Rest};
use crate::cli::{desk, output};
use crate::management::reports::{self, Before, Replaced, RotationReport, Shown};
use crate::management::{Desk, Paging};
use crate::model::RecordKind;
use crate::rotation::StillUsed;

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
    rotations: Vec<Replaced>,
}

pub(super) async fn run(path: &Path, arguments: Arguments) -> Result<()> {
    let desk = desk::look(path).await?;
    let report = read(&desk, &arguments).await?;
    let damaged = |kind: RecordKind| {
        let of_kind = report.damaged.iter().filter(|it| it.id.starts_with(kind.folder()));
        Rest::of_damaged(kind, of_kind.map(|it| it.detail.clone()).collect())
    };
    let rests = [RecordKind::Account, RecordKind::Tenant].map(damaged);
    if !arguments.json {
        let header = ["ACCOUNT", "KIND", "CURRENT", "SINCE", "BESIDE IT", "STATE", "USED BY"];
        let now = Timestamp::now();
        let rows = report.items.iter().flat_map(|row| cells(row, &report, now)).collect();
        output::table(header, rows, "nothing is being replaced");
    }
    if let Some(why) = &report.usage_unknown {
        output::note(format!("who uses what is not known: {why}"));
    }
    if report.usage_omitted > 0 {
        output::note(format!("nodes tell of {} more uses than find room in their records", report.usage_omitted));
    }
    if arguments.json {
        let RotationReport { usage_known, usage_omitted, items: rotations, .. } = report;
        output::json(&Told { usage_known, usage_omitted, rotations })?;
    }
    rests.into_iter().try_for_each(Rest::tell)
}

/// All of it, in order.
async fn read(desk: &Desk, arguments: &Arguments) -> Result<RotationReport> {
    let (account, domain) = (arguments.account.as_deref(), arguments.domain.as_deref());
    let mut paging = Paging { limit: PAGE, after: None };
    let mut whole = reports::rotation(desk, account, domain, &paging).await?;
    while let Some(next) = whole.next.take() {
        paging.after = Some(next);
        let more = reports::rotation(desk, account, domain, &paging).await?;
        whole.items.extend(more.items);
        whole.damaged.extend(more.damaged);
        whole.next = more.next;
    }
    whole.items.sort_by(|a, b| (&a.account, a.kind).cmp(&(&b.account, b.kind)));
    Ok(whole)
}

/// A line for each credential that is beside the current one.
fn cells(row: &Replaced, report: &RotationReport, now: Timestamp) -> Vec<[String; 7]> {
    let current = row.current.as_ref().map_or_else(|| "none".to_owned(), described);
    let since = row.since.map_or_else(String::new, |since| output::minute(since).to_string());
    let line = |beside: String, state: String, used: String| {
        [row.account.clone(), row.kind.to_string(), current.clone(), since.clone(), beside, state, used]
    };
    let previous = row.previous.as_ref().map(|it| {
        let used = users(report, &it.used);
        let used = if it.may_be_retired { format!("{used}: may be retired") } else { used };
        line(format!("previous: {}", described(&it.shown)), state(it, now), used)
    });
    let next = row.next.as_ref().map(|it| {
        let state = format!("{} by {}, {}", it.state, it.by, output::minute(it.since));
        line(format!("next: {}", described(&it.shown)), state, users(report, &it.used))
    });
    previous.into_iter().chain(next).collect()
}

/// Who uses it, for people.
fn users(report: &RotationReport, used: &[StillUsed]) -> String {
    if used.is_empty() {
        return if report.is_complete() { "nobody".to_owned() } else { "not known".to_owned() };
    }
    used.iter().map(StillUsed::described).collect::<Vec<_>>().join("; ")
}

fn described(Shown { id, label }: &Shown) -> String {
    if label.is_empty() { id.clone() } else { format!("{id} ({label})") }
}

fn state(before: &Before, now: Timestamp) -> String {
    let until = output::minute(before.until);
    match (before.usable, before.until <= now) {
        (false, _) => "replaced at the provider".to_owned(),
        (true, true) => format!("over since {until}"),
        (true, false) => format!("until {until}"),
    }
}
