//! Lists: a page at a time, however many records there are, and whatever is wrong with one of them.

use anyhow::Result;

use super::exit::{self, Failure};
use super::output;
use crate::broker::{DirectoryError, Page, Versioned};
use crate::management::{self, ManagementError, Paging};
use crate::model::{RecordId, RecordKind};

/// Records asked for in one go. A server that has no pages of its own makes the whole list each time.
pub(super) const PAGE: usize = 5_000;

/// What to list, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Listing {
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Show so many at the most; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Show all, however many there are.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Go on where a list before ended: what it said behind `more:`.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found<T> {
    /// What can be shown, in no order that means anything.
    pub(super) records: Vec<T>,
    /// What is to be said of the others.
    pub(super) rest: Rest,
}

/// The records that are not shown.
#[derive(Debug)]
#[must_use = "what is not shown must be told"]
pub(super) struct Rest {
    kind: RecordKind,
    shown: usize,
    damaged: Vec<String>,
    next: Option<String>,
}

impl Listing {
    /// Reads as many pages as it takes.
    pub(super) async fn read<T>(
        &self,
        kind: RecordKind,
        page: impl AsyncFn(Option<&RecordId>, usize) -> Result<Page<T>, DirectoryError>,
    ) -> Result<Found<Versioned<T>>> {
        let limit = self.limit();
        let mut next = parse_cursor_of(kind, self.after.as_deref())?;
        let (mut records, mut damaged) = (Vec::new(), Vec::new());
        loop {
            let wanted = limit.saturating_sub(records.len()).min(PAGE);
            let found = page(next.as_ref(), wanted).await?;
            records.extend(found.records);
            damaged.extend(found.damaged.into_iter().map(|(_, error)| error.to_string()));
            next = found.next;
            if next.is_none() || records.len() >= limit {
                let (shown, next) = (records.len(), next.map(|id| id.hash().to_owned()));
                return Ok(Found { records, rest: Rest { kind, shown, damaged, next } });
            }
        }
    }

    /// The same of a list of a use case.
    pub(super) async fn gather<T>(
        &self,
        kind: RecordKind,
        page: impl AsyncFn(&Paging) -> Result<management::Page<T>, ManagementError>,
    ) -> Result<Found<T>> {
        parse_cursor_of(kind, self.after.as_deref())?;
        let (limit, mut after) = (self.limit(), self.after.clone());
        let (mut records, mut damaged) = (Vec::new(), Vec::new());
        loop {
            let wanted = limit.saturating_sub(records.len()).min(PAGE);
            let found = page(&Paging { limit: wanted, after }).await?;
            records.extend(found.items);
            damaged.extend(found.damaged.into_iter().map(|it| it.detail));
            if found.next.is_none() || records.len() >= limit {
                let (shown, next) = (records.len(), found.next);
                return Ok(Found { records, rest: Rest { kind, shown, damaged, next } });
            }
            after = found.next;
        }
    }

    fn limit(&self) -> usize {
        if self.all || self.limit == 0 { usize::MAX } else { self.limit }
    }

    /// A list of everything, for lists that stand before one that is asked for in parts.
    pub(super) fn of_all() -> Self {
        Self { json: false, limit: 0, all: true, after: None }
    }

    /// Whether it begins with the first one.
    pub(super) fn begins(&self) -> bool {
        self.after.is_none()
    }

    /// What to say where there is nothing to show: the hint only to those who asked for everything.
    pub(super) fn none<'a>(&self, hint: &'a str) -> &'a str {
        if self.begins() { hint } else { "no more" }
    }
}

impl Rest {
    /// Those that cannot be read, and nothing else.
    pub(super) fn of_damaged(kind: RecordKind, damaged: Vec<String>) -> Self {
        Self { kind, shown: 0, damaged, next: None }
    }

    /// Says what is not shown.
    pub(super) fn tell(self) -> Result<()> {
        for error in &self.damaged {
            output::note(format!("locum: {error}"));
        }
        if !self.damaged.is_empty() {
            output::note(format!("what no backup has can be removed: locum {} --damaged ID", removal(self.kind)));
        }
        if let Some(next) = self.next {
            output::note(format!("{} shown; more: --after {next}, or --all", self.shown));
        }
        match self.damaged.len() {
            0 => Ok(()),
            1 => Err(Failure::new(exit::DATA, "that record is not in the list; all others are").into()),
            count => Err(Failure::new(exit::DATA, format!("{count} records are not in the list")).into()),
        }
    }
}

fn parse_cursor_of(kind: RecordKind, cursor: Option<&str>) -> Result<Option<RecordId>> {
    let wrong = || Failure::new(exit::USAGE, "--after takes what an earlier list said behind `more: --after`");
    Ok(cursor.map(|cursor| RecordId::from_hash(kind, cursor).ok_or_else(wrong)).transpose()?)
}

/// The verb that removes records of a kind.
fn removal(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Account => "account remove",
        RecordKind::Client => "client revoke",
        RecordKind::Tenant => "oauth remove-tenant",
        RecordKind::Operator => "operator revoke",
        RecordKind::Token | RecordKind::Usage | RecordKind::Seen | RecordKind::Tickets => "store", // no verb lists them
    }
}
