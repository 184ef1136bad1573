//! What all nodes told of the use of credentials, read for an operator.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::broker::{Directory, DirectoryError};
use crate::model::{CredentialKind, Holder, RecordId, UsageEntry, UsageLogin, UsageReport, normalise};
use crate::rotation::Subject;

/// What a node said longer ago is how it was then: it may have ended without a word.
pub const LIVE_FOR: Duration = Duration::from_secs(15 * 60);

/// Reports read in one go.
const PAGE: usize = 200;

/// What a node told so long ago is of no use to anybody.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Reports of long ago that are removed in one go.
const REMOVED_MAX: usize = 100;

/// What all nodes told.
#[derive(Debug, Clone, Default)]
pub struct Reports(Vec<UsageReport>);

/// The use of a credential through one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StillUsed {
    /// The node.
    pub node: String,
    /// The name of its host.
    pub host: String,
    /// Sessions that are open there.
    pub live: u32,
    /// When one was last open there.
    pub last_seen: Timestamp,
    /// Whose they are, the latest first.
    pub logins: Vec<UsageLogin>,
    /// Whether there are or were more than these.
    pub more: bool,
}

impl Reports {
    /// Reads what all nodes told. What cannot be read of one node is left out.
    ///
    /// # Errors
    /// See [`DirectoryError`]; a Vault's policy may keep the list away.
    pub async fn read(directory: &Directory) -> Result<Self, DirectoryError> {
        let mut reports = Vec::new();
        let mut after: Option<RecordId> = None;
        loop {
            let page = directory.usage_page(after.as_ref(), PAGE).await?;
            reports.extend(page.records.into_iter().map(|found| found.record));
            after = page.next;
            if after.is_none() {
                return Ok(Self(reports));
            }
        }
    }

    /// Through which nodes that credential is or was used while it was not the current one: those with sessions first, then
    /// the latest.
    pub fn still_used(&self, holder: &Holder, kind: CredentialKind, id: &str, now: Timestamp) -> Vec<StillUsed> {
        let is_meant = |entry: &&UsageEntry| entry.credential == id && entry.kind == kind && is(&entry.holder, holder);
        let used = self.0.iter().flat_map(|report| report.entries.iter().filter(is_meant).map(move |it| (report, it)));
        let mut used: Vec<StillUsed> = used.map(|(report, entry)| StillUsed::of(report, entry, now)).collect();
        used.sort_by(|a, b| (b.live > 0, b.last_seen, &a.node).cmp(&(a.live > 0, a.last_seen, &b.node)));
        used
    }

    /// How many uses found no room in what nodes told lately.
    pub fn omitted(&self, now: Timestamp) -> u32 {
        self.0.iter().filter(|report| is_of_now(report, now)).map(|report| report.omitted).sum()
    }

    /// Removes what nodes told long ago; what cannot be removed stays. How many were.
    async fn clear(&self, directory: &Directory, now: Timestamp) -> usize {
        let mut removed = 0;
        let old = self.0.iter().filter(|report| report.written + KEPT_FOR < now).take(REMOVED_MAX);
        for report in old {
            let Ok(Some(found)) = directory.usage(&report.node).await else { continue };
            // A node that is back since writes under another id; one that slept for a month goes on with this.
            if found.record.written == report.written {
                removed += usize::from(directory.remove_usage(&report.node, found.version).await.is_ok());
            }
        }
        removed
    }
}

/// Through which nodes a credential is or was used while it was not the current one, by what all of them told.
///
/// # Errors
/// As for [`Reports::read`].
pub async fn still_used(
    directory: &Directory,
    subject: &Subject,
    id: &str,
    now: Timestamp,
) -> Result<Vec<StillUsed>, DirectoryError> {
    Ok(Reports::read(directory).await?.still_used(&subject.holder(), subject.kind(), id, now))
}

/// Removes what nodes told more than a month ago, for operators: each start of a node leaves a record. It is no matter if it
/// cannot be done.
pub async fn clear_old_reports(directory: &Directory, now: Timestamp) {
    if let Ok(reports) = Reports::read(directory).await {
        reports.clear(directory, now).await;
    }
}

impl StillUsed {
    fn of(report: &UsageReport, entry: &UsageEntry, now: Timestamp) -> Self {
        // Whoever may write to the store by other means could put anything there, and it goes onto terminals.
        let clean = |text: &str| text.replace(char::is_control, "");
        let is_of_now = is_of_now(report, now);
        let mut logins = entry.logins.clone();
        for login in &mut logins {
            login.login = clean(&login.login);
            login.live = if is_of_now { login.live } else { 0 };
        }
        Self {
            node: clean(&report.node),
            host: clean(&report.host),
            live: if is_of_now { entry.live } else { 0 },
            last_seen: entry.last_seen,
            logins,
            more: entry.more,
        }
    }

    /// For people: how many sessions whose, and where.
    pub fn described(&self) -> String {
        let Self { host, live, last_seen, logins, more, .. } = self;
        let names: Vec<&str> =
            logins.iter().filter(|it| *live == 0 || it.live > 0).map(|it| it.login.as_str()).collect();
        let more = if *more { " and others" } else { "" };
        let sessions = match live {
            0 => "no session".to_owned(),
            1 => "1 session".to_owned(),
            live => format!("{live} sessions"),
        };
        let last_seen = last_seen.strftime("%Y-%m-%d %H:%M UTC");
        format!("{sessions} on {host} ({}{more}, last seen {last_seen})", names.join(", "))
    }
}

fn is_of_now(report: &UsageReport, now: Timestamp) -> bool {
    !report.ended && now <= report.written + LIVE_FOR
}

fn is(one: &Holder, other: &Holder) -> bool {
    match (one, other) {
        (Holder::Account(one), Holder::Account(other)) | (Holder::Tenant(one), Holder::Tenant(other)) => {
            normalise(one) == normalise(other)
        }
        (Holder::Account(_), Holder::Tenant(_)) | (Holder::Tenant(_), Holder::Account(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::UsagePlace;
    use crate::store::memory::Memory;

    const KIND: CredentialKind = CredentialKind::AppPassword;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn report(node: &str, written: Timestamp, live: u32, last_seen: Timestamp) -> UsageReport {
        let logins = vec![UsageLogin { login: format!("of-{node}"), live, last_seen }];
        let entry = UsageEntry {
            holder: Holder::Account("Scan@contoso.com".into()),
            kind: KIND,
            credential: "c1".into(),
            place: UsagePlace::Previous,
            live,
            last_seen,
            logins,
            more: false,
        };
        let (node, host, started) = (node.to_owned(), "mail1".to_owned(), at(0));
        UsageReport { node, host, started, written, ended: false, entries: vec![entry], omitted: 0 }
    }

    fn used(reports: &Reports, now: Timestamp) -> Vec<(String, u32, u32)> {
        let holder = Holder::Account("scan@contoso.com".into());
        let used = reports.still_used(&holder, KIND, "c1", now);
        used.into_iter().map(|it| (it.node, it.live, it.logins[0].live)).collect()
    }

    #[test]
    fn what_is_old_or_over_counts_as_history() {
        let mut over = report("over", at(100), 3, at(99));
        over.ended = true;
        let reports = Reports(vec![report("old", at(84), 2, at(84)), over, report("now", at(95), 1, at(95))]);
        let expected = [("now", 1), ("over", 0), ("old", 0)].map(|(node, live)| (node.to_owned(), live, live));
        assert_eq!(used(&reports, at(100)), expected);
        assert_eq!(used(&reports, at(111)).iter().map(|it| it.1).sum::<u32>(), 0);
    }

    #[test]
    fn another_credential_or_holder_is_not_meant() {
        let reports = Reports(vec![report("n", at(1), 1, at(1))]);
        let asked = |holder: Holder, kind, id| reports.still_used(&holder, kind, id, at(1)).len();
        assert_eq!(asked(Holder::Account("scan@contoso.com".into()), KIND, "c2"), 0);
        assert_eq!(asked(Holder::Account("scan@contoso.com".into()), CredentialKind::OAuth2, "c1"), 0);
        assert_eq!(asked(Holder::Tenant("scan@contoso.com".into()), KIND, "c1"), 0);
        assert_eq!(asked(Holder::Account("scan@contoso.com".into()), KIND, "c1"), 1);
    }

    #[test]
    fn it_says_who_and_where() {
        let reports = Reports(vec![report("n", at(1), 2, at(1))]);
        let used = reports.still_used(&Holder::Account("scan@contoso.com".into()), KIND, "c1", at(1));
        assert_eq!(used[0].described(), "2 sessions on mail1 (of-n, last seen 1970-01-01 00:01 UTC)");
    }

    #[tokio::test]
    async fn all_nodes_are_read_and_what_is_of_long_ago_is_removed() {
        let directory = Directory::of_operator(Arc::new(Memory::new()), "alice@one");
        let now = at(100 * 24 * 60);
        let long_ago = now.checked_sub(KEPT_FOR).unwrap() - Duration::from_secs(1);
        for number in 0..PAGE + 5 {
            directory.put_usage(&report(&format!("n{number}"), now, 1, now), None).await.unwrap();
        }
        directory.put_usage(&report("old", long_ago, 1, long_ago), None).await.unwrap();
        let reports = Reports::read(&directory).await.unwrap();
        assert_eq!(used(&reports, now).len(), PAGE + 6);
        assert_eq!(reports.clear(&directory, now).await, 1);
        assert_eq!(used(&Reports::read(&directory).await.unwrap(), now).len(), PAGE + 5);
    }
}
