//! The records that nodes write of themselves: who uses what, whom they have seen, and the keys of their TLS tickets.

use super::{Directory, DirectoryError, Page, Versioned};
use crate::model::{RecordId, RecordKind, Sighting, TicketKeys, UsageReport};
use crate::store::Version;

impl Directory {
    /// What the node of that id told last.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn usage(&self, node: &str) -> Result<Option<Versioned<UsageReport>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Usage, node), true).await
    }

    /// Writes what a node tells, new (`found` is `None`) or in place of the version that was read.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn put_usage(&self, report: &UsageReport, found: Option<Version>) -> Result<Version, DirectoryError> {
        self.write(RecordKind::Usage, &report.node, report, found).await
    }

    /// Removes what was read at that version of a node.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn remove_usage(&self, node: &str, found: Version) -> Result<(), DirectoryError> {
        self.remove(RecordKind::Usage, node, found).await
    }

    /// What up to `limit` nodes told, beginning behind `after`.
    ///
    /// # Errors
    /// As for [`Directory::accounts_page`].
    pub async fn usage_page(
        &self,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Page<UsageReport>, DirectoryError> {
        self.page(RecordKind::Usage, after, limit).await
    }

    /// What all nodes have seen of the client of that [key](crate::model::SeenKey::name), as of the last write anywhere.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn seen(&self, key: &str) -> Result<Option<Versioned<Sighting>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Seen, key), true).await
    }

    /// Writes what was seen of a client, new (`found` is `None`) or in place of the version that was read.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn put_seen(&self, sighting: &Sighting, found: Option<Version>) -> Result<Version, DirectoryError> {
        self.write(RecordKind::Seen, &sighting.key.name(), sighting, found).await
    }

    /// Removes what was read at that version of a client.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn remove_seen(&self, key: &str, found: Version) -> Result<(), DirectoryError> {
        self.remove(RecordKind::Seen, key, found).await
    }

    /// Up to `limit` clients as they were seen, beginning behind `after`.
    ///
    /// # Errors
    /// As for [`Directory::accounts_page`].
    pub async fn seen_page(&self, after: Option<&RecordId>, limit: usize) -> Result<Page<Sighting>, DirectoryError> {
        self.page(RecordKind::Seen, after, limit).await
    }

    /// The keys of TLS tickets, as of the last write anywhere.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn ticket_keys(&self) -> Result<Option<Versioned<TicketKeys>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Tickets, TicketKeys::NAME), true).await
    }

    /// Writes the keys of TLS tickets, new (`found` is `None`) or in place of the version that was read.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn put_ticket_keys(&self, keys: &TicketKeys, found: Option<Version>) -> Result<Version, DirectoryError> {
        self.write(RecordKind::Tickets, TicketKeys::NAME, keys, found).await
    }
}
