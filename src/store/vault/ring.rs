//! The change feed's two entries, as text: `changes/head` says how many changes there have been, `changes/ring` names the
//! newest of them. The ring is one string, newest first, for the same reasons as a record is.

use std::str::FromStr;

use serde_json::{Value, json};

use super::super::{Changes, Position, Version};
use crate::model::{RecordId, RecordKind};

/// The key of the head.
pub(super) const HEAD: &str = "changes/head";
/// The key of the ring.
pub(super) const RING: &str = "changes/ring";

/// Changes that the ring holds: a node that was away for more asks for everything anew.
const ENTRIES_MAX: usize = 1000;

/// A position as an entry.
pub(super) fn head_fields(position: &Position) -> Value {
    json!({ "epoch": position.epoch, "sequence": position.sequence })
}

/// `None` if it has not that form.
pub(super) fn parse_head(fields: &Value) -> Option<Position> {
    Some(Position { epoch: fields["epoch"].as_str()?.to_owned(), sequence: fields["sequence"].as_u64()? })
}

/// The newest changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ring {
    epoch: String,
    /// Newest first, each with its place in the feed.
    entries: Vec<(u64, RecordId, Version)>,
}

impl Ring {
    /// A feed that begins.
    pub(super) fn new(epoch: String) -> Self {
        Self { epoch, entries: Vec::new() }
    }

    /// `None` if it has not that form.
    pub(super) fn parse(fields: &Value) -> Option<Self> {
        let text = fields["ring"].as_str()?;
        let entries = text.split(';').filter(|entry| !entry.is_empty()).map(parse_entry).collect::<Option<_>>()?;
        Some(Self { epoch: fields["epoch"].as_str()?.to_owned(), entries })
    }

    /// The ring as an entry.
    pub(super) fn fields(&self) -> Value {
        let entries = self.entries.iter().map(|(sequence, id, version)| format!("{sequence} {id} {version}"));
        json!({ "epoch": self.epoch, "ring": entries.collect::<Vec<_>>().join(";") })
    }

    /// Where the feed stands.
    pub(super) fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), sequence: self.entries.first().map_or(0, |(sequence, ..)| *sequence) }
    }

    /// Takes in changes, oldest first.
    pub(super) fn push(&mut self, changes: &[(RecordId, Version)]) {
        let mut sequence = self.position().sequence;
        for (id, version) in changes {
            // One that came from another hand may stand at the end already.
            sequence = sequence.saturating_add(1);
            self.entries.insert(0, (sequence, id.clone(), *version));
        }
        self.entries.truncate(ENTRIES_MAX);
    }

    /// What came after `seen`.
    pub(super) fn since(&self, seen: &Position) -> Changes {
        let position = self.position();
        let oldest = self.entries.last().map_or(0, |(sequence, ..)| *sequence);
        let reaches_back =
            seen.epoch == self.epoch && seen.sequence <= position.sequence && oldest <= seen.sequence.saturating_add(1);
        let records = reaches_back.then(|| {
            let newer = self.entries.iter().take_while(|(sequence, ..)| *sequence > seen.sequence);
            let mut records: Vec<_> = newer.map(|(_, id, version)| (id.clone(), *version)).collect();
            records.reverse();
            records
        });
        Changes { position, records }
    }
}

fn parse_entry(text: &str) -> Option<(u64, RecordId, Version)> {
    let mut words = text.split(' ');
    let sequence = words.next()?.parse().ok()?;
    let (folder, hash) = words.next()?.split_once('/')?;
    let kind = RecordKind::ALL.into_iter().find(|kind| kind.folder() == folder)?;
    let version = u64::from_str(words.next()?).ok()?;
    words.next().is_none().then_some(())?;
    Some((sequence, RecordId::from_hash(kind, hash)?, Version(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(number: u64) -> (RecordId, Version) {
        (RecordId::new(RecordKind::Account, &format!("a{number}")), Version(number))
    }

    fn ring(changes: std::ops::RangeInclusive<u64>) -> Ring {
        let mut ring = Ring::new("e".into());
        changes.for_each(|number| ring.push(&[change(number)]));
        ring
    }

    fn at(epoch: &str, sequence: u64) -> Position {
        Position { epoch: epoch.into(), sequence }
    }

    #[test]
    fn it_survives_the_round_trip() {
        let mut ring = ring(1..=3);
        ring.push(&[(RecordId::new(RecordKind::Token, "t"), Version(9)), change(4)]);
        assert_eq!(Ring::parse(&ring.fields()), Some(ring.clone()));
        assert_eq!(Ring::parse(&Ring::new("e".into()).fields()), Some(Ring::new("e".into())));
        assert_eq!(parse_head(&head_fields(&ring.position())), Some(at("e", 5)));
    }

    #[test]
    fn changes_come_oldest_first() {
        let changes = ring(1..=5).since(&at("e", 3));
        assert_eq!(changes, Changes { position: at("e", 5), records: Some(vec![change(4), change(5)]) });
        assert_eq!(ring(1..=5).since(&at("e", 5)).records, Some(vec![]));
        assert_eq!(ring(1..=2).since(&at("e", 0)).records, Some(vec![change(1), change(2)]));
    }

    #[test]
    fn what_it_no_longer_holds_is_said_to_be_unknown() {
        let full = ring(1..=ENTRIES_MAX as u64 + 5);
        assert_eq!(full.entries.len(), ENTRIES_MAX);
        assert_eq!(full.since(&at("e", 4)).records, None, "entry 5 has gone");
        assert_eq!(full.since(&at("e", 5)).records.map(|records| records.len()), Some(ENTRIES_MAX));
    }

    #[test]
    fn another_feed_and_a_later_place_are_unknown() {
        assert_eq!(ring(1..=5).since(&at("other", 3)).records, None);
        assert_eq!(ring(1..=5).since(&at("e", 6)).records, None, "the feed went backwards");
    }

    #[test]
    fn what_is_no_ring_is_refused() {
        for text in [
            "x",
            "1 accounts/short 1",
            "1 keys/p7retqmrh3aapwznlmu6dmkuf74cvkn3 1",
            "1 accounts/p7retqmrh3aapwznlmu6dmkuf74cvkn3 1 2",
        ] {
            assert_eq!(Ring::parse(&json!({ "epoch": "e", "ring": text })), None, "{text}");
        }
        assert_eq!(Ring::parse(&json!({})), None);
    }
}
