//! What was read of late, as it lies in the file, sealed: a login reads the same few records each time, and a change of threads costs
//! more than all else about reading them. It must never tell what is in the file no more: before each answer SQLite is asked whether
//! anybody has written since, which takes a look at memory that all who have the file open share, and no other.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::Connection;

use super::rows::{self, Row};
use crate::model::RecordId;
use crate::store::cache::lru::Lru;
use crate::store::{StoreError, Version};

/// Records that are remembered: the clients and accounts of ten thousand mailboxes, a kilobyte each.
const RECORDS_MAX: usize = 20_000;

/// Rows that were read of late.
pub(super) struct Recent(Mutex<State>);

struct State {
    /// Asked whether anything was written. It reads nothing else, and waits for nobody.
    watch: Connection,
    /// What it answered last.
    seen: Option<i64>,
    /// How many writes there had been by then.
    stamp: u64,
    /// Those of them, and later ones, that were made here: of these it is known what they changed.
    own: BTreeSet<u64>,
    /// One is being made here now.
    is_writing: bool,
    /// Another one whenever a row that is being read may be old before it comes.
    generation: u64,
    rows: Lru<Option<Row>>,
}

/// What is known of a record.
pub(super) enum Look {
    /// It is so now; `None` if there is none.
    Known(Option<Row>),
    /// It has to be read; with this, what was read is learnt.
    Unknown(Ticket),
}

/// Since when a row is being read.
pub(super) struct Ticket {
    generation: u64,
}

impl Recent {
    /// Nothing yet. The connection is to be used for nothing else.
    pub(super) fn new(watch: Connection) -> Self {
        // It is asked on a thread that others wait for. What fails is read in the usual way, which waits.
        let _ = watch.busy_timeout(Duration::ZERO);
        Self(Mutex::new(State {
            watch,
            seen: None,
            stamp: 0,
            own: BTreeSet::new(),
            is_writing: false,
            generation: 0,
            rows: Lru::new(RECORDS_MAX),
        }))
    }

    /// What is known of that record now.
    pub(super) fn look(&self, id: &RecordId) -> Look {
        let mut state = self.state();
        let known = state.is_current().then(|| state.rows.touch(id).cloned()).flatten();
        known.map_or_else(|| Look::Unknown(Ticket { generation: state.generation }), Look::Known)
    }

    /// Remembers what was read with that ticket, unless it may be old by now.
    pub(super) fn learn(&self, ticket: Ticket, id: &RecordId, row: &Option<Row>) {
        let mut state = self.state();
        if state.generation == ticket.generation {
            state.rows.insert(id, row.clone());
        }
    }

    /// Writes that record. It is to be called by the one thread that does.
    pub(super) fn write(
        &self,
        id: &RecordId,
        write: impl FnOnce() -> Result<Version, StoreError>,
    ) -> Result<Version, StoreError> {
        {
            let mut state = self.state();
            state.is_writing = true;
            state.forget(id);
        }
        let written = write();
        let mut state = self.state();
        state.is_writing = false;
        state.forget(id);
        // One that failed may have been made all the same: then it counts as somebody else's.
        state.own.extend(written.as_ref().ok().map(|version| version.0));
        written
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

impl State {
    /// Whether what is remembered is in the file now. What others may have changed is forgotten.
    fn is_current(&mut self) -> bool {
        match rows::data_version(&self.watch) {
            Ok(found) if self.seen == Some(found) => true,
            // By us, or by another process, or both: that shows in a moment.
            Ok(_) if self.is_writing => false,
            Ok(found) => self.catch_up(found).is_ok(),
            Err(_) => false,
        }
    }

    fn catch_up(&mut self, found: i64) -> Result<(), StoreError> {
        let stamp = rows::stamp(&mut self.watch)?;
        let own = &mut self.own;
        let is_ours = self.seen.is_some() && stamp >= self.stamp && (self.stamp + 1..=stamp).all(|it| own.remove(&it));
        if !is_ours {
            self.rows.clear();
            self.generation += 1;
        }
        self.own = self.own.split_off(&(stamp + 1));
        (self.seen, self.stamp) = (Some(found), stamp);
        Ok(())
    }

    fn forget(&mut self, id: &RecordId) {
        self.rows.remove(id);
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests;
