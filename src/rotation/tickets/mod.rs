//! A node keeps the keys of its TLS tickets in step with the other nodes', by a record that each may renew. It must never hold
//! up a login, nor refuse one: without the record it has keys of its own, and a client that comes from another node shakes
//! hands in full.

mod schedule;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::broker::{Directory, DirectoryError};
use crate::model::KeptTicketKey;
use crate::net::tls::{TicketKey, Tickets};
use crate::store::{StoreError, Version};

/// How often the record is read: a key is replaced twice in a ticket's life, and `SETTLES` is six of these. Each read is 3 KB in the
/// audit log of a Vault.
const ROUND: Duration = Duration::from_secs(5 * 60);

/// Tries to renew the record in one round, each after another node was faster. That one has made what was due.
const TRIES_MAX: usize = 3;

/// A node renews the record no more often. Only clocks that are hours apart would have it do so: each takes the other's keys for
/// none.
const RENEWALS_APART: Duration = Duration::from_secs(10 * 60);

/// A node that may not read or write the record asks again so often: somebody may have given it the right.
const DENIED_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Keeps [`Tickets`] supplied with keys.
#[derive(Debug)]
pub struct TicketKeeper {
    directory: Directory,
    tickets: Tickets,
    /// What the record held when it was read last.
    shared: Vec<KeptTicketKey>,
    /// Keys that no other node has, for want of a record.
    own: Vec<KeptTicketKey>,
    renewed: Option<Timestamp>,
    trouble: Option<Trouble>,
}

/// Why the record is of no use.
#[derive(Debug)]
enum Trouble {
    /// It passes.
    Away,
    /// Somebody has to see to it. When it was tried last.
    Denied(Timestamp),
}

impl TicketKeeper {
    /// Supplies those tickets with keys.
    pub fn new(directory: Directory, tickets: Tickets) -> Self {
        Self { directory, tickets, shared: Vec::new(), own: Vec::new(), renewed: None, trouble: None }
    }

    /// Has keys when it returns, those of the record if it can be read within `patience`: clients who come back to a process that
    /// just began come all at once.
    pub async fn begin(&mut self, patience: Duration) {
        if timeout(patience, self.round(Timestamp::now())).await.is_err() {
            self.hold(Timestamp::now());
        }
    }

    /// Goes on until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let round = async {
                sleep(ROUND).await;
                // One that is broken off may have written: the next one reads it.
                self.round(Timestamp::now()).await;
            };
            if stop.run_until_cancelled(round).await.is_none() {
                return;
            }
        }
    }

    /// Reads the record, renews it if that is due, and holds what came of it.
    async fn round(&mut self, now: Timestamp) {
        if !matches!(self.trouble, Some(Trouble::Denied(at)) if now < at + DENIED_PAUSE) {
            let done = self.share(now).await;
            self.note(done, now);
        }
        self.hold(now);
    }

    async fn share(&mut self, now: Timestamp) -> Result<(), DirectoryError> {
        for _ in 0..TRIES_MAX {
            let (version, is_damaged) = self.read().await?;
            let was_lately = self.renewed.is_some_and(|at| now < at + RENEWALS_APART);
            if was_lately || !schedule::is_due(&self.shared, now) {
                return Ok(());
            }
            let Some(new) = draw(now) else { return Ok(()) };
            let keys = schedule::renewed(&self.shared, new, now);
            match self.directory.put_ticket_keys(&keys, version).await {
                Ok(_) => {
                    if is_damaged {
                        tracing::warn!("the record of the keys of TLS tickets was damaged, and is replaced");
                    }
                    (self.shared, self.renewed) = (keys.keys, Some(now));
                    return Ok(());
                }
                Err(
                    DirectoryError::Changed { .. }
                    | DirectoryError::Removed { .. }
                    | DirectoryError::Store(StoreError::Conflict { .. }),
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(()) // they are at it, and the next round finds what they made
    }

    /// Reads what the record holds; its version, and whether it is damaged. One that is holds nothing, and is replaced: nothing
    /// in it is missed.
    async fn read(&mut self) -> Result<(Option<Version>, bool), DirectoryError> {
        let (mut keys, version, is_damaged) = match self.directory.ticket_keys().await {
            Ok(Some(found)) => (found.record.keys, Some(found.version), false),
            Ok(None) => (Vec::new(), None, false),
            Err(error) => (Vec::new(), Some(error.damaged().ok_or(error)?), true),
        };
        keys.retain(|key| usable(key).is_some());
        keys.sort_by_key(|key| key.made);
        self.shared = keys.split_off(keys.len().saturating_sub(schedule::KEYS_MAX));
        Ok((version, is_damaged))
    }

    /// From now on tickets are sealed and opened by what is known.
    fn hold(&mut self, now: Timestamp) {
        self.shared.retain(|key| schedule::is_live(key, now));
        self.own.retain(|key| schedule::is_live(key, now));
        if self.shared.is_empty() && schedule::is_due(&self.own, now) {
            self.own.extend(draw(now));
        }
        let own = || self.own.iter().max_by_key(|key| key.made);
        let Some(first) = schedule::sealing(&self.shared, now).or_else(own) else {
            return self.tickets.hold(Vec::new());
        };
        let others = self.shared.iter().chain(&self.own).filter(|key| key.id != first.id);
        self.tickets.hold([first].into_iter().chain(others).filter_map(usable).collect());
    }

    /// Says when trouble begins and when it is over, and nothing in between.
    fn note(&mut self, done: Result<(), DirectoryError>, now: Timestamp) {
        let before = self.trouble.take();
        self.trouble = match done {
            Ok(()) => {
                if before.is_some() {
                    tracing::info!("the keys of TLS tickets are shared with other nodes again");
                }
                None
            }
            Err(DirectoryError::Store(error @ StoreError::Config(_))) => {
                if !matches!(before, Some(Trouble::Denied(_))) {
                    tracing::warn!(
                        %error,
                        "TLS sessions are resumed at this node alone: a node needs to create, read and update tickets/+, as \
                         config/deploy/vault/locum-node.hcl has it; clients are served"
                    );
                }
                Some(Trouble::Denied(now))
            }
            Err(error) => {
                if before.is_none() {
                    tracing::warn!(%error, "the keys of TLS tickets cannot be shared with other nodes for now; clients are served");
                }
                Some(Trouble::Away)
            }
        };
    }
}

fn usable(key: &KeptTicketKey) -> Option<TicketKey> {
    TicketKey::new(&key.id, &key.secret, schedule::end(key))
}

/// A new key; `None` if the operating system gives no random numbers.
fn draw(now: Timestamp) -> Option<KeptTicketKey> {
    TicketKey::draw().map(|(id, secret)| KeptTicketKey { id, made: now, secret })
}

#[cfg(test)]
mod tests;
