//! Counts of many subjects, in bounds. Where there is no room, the one that has been quiet for longest goes, and of those that
//! were held back none before all others have: it must never be emptied at once, or a flood of addresses would wash out what
//! is known of those that guess.

use std::hash::RandomState;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::count::{Bounds, Count};
use super::subject::Key;

/// What is looked at for being forgotten with each failure: with two, a table shrinks sooner than it grows.
const SWEPT_AT_ONCE: usize = 2;

/// Counts by subject, in two parts: a flood fills the first, and only who fails as often as he may gets into the second.
#[derive(Debug)]
pub(super) struct Table {
    /// Subjects that have failed of late.
    young: LruCache<Key, Count, RandomState>,
    /// Subjects that were held back, until that is forgotten.
    marked: LruCache<Key, Count, RandomState>,
    /// Entries of each part.
    entries_max: usize,
}

impl Table {
    /// An empty one.
    pub(super) fn new(entries_max: usize) -> Self {
        // Bounded here and not by the cache, which would take the room for all of them at once.
        let empty = || LruCache::unbounded_with_hasher(RandomState::new());
        Self { young: empty(), marked: empty(), entries_max }
    }

    /// What is known of that subject.
    pub(super) fn find(&self, key: &Key) -> Option<&Count> {
        self.marked.peek(key).or_else(|| self.young.peek(key))
    }

    /// Whether it is held back.
    pub(super) fn is_held(&self, key: &Key, now: Instant) -> bool {
        self.marked.peek(key).is_some_and(|count| count.is_held(now))
    }

    /// Failures that count.
    pub(super) fn failures(&self, key: &Key, bounds: &Bounds, now: Instant) -> u32 {
        self.find(key).map_or(0, |count| count.failures(bounds, now))
    }

    /// Whether this is the first time that it is said of a subject that is held back.
    pub(super) fn say(&mut self, key: &Key) -> bool {
        self.marked.peek_mut(key).is_some_and(Count::say)
    }

    /// Notes a failure.
    pub(super) fn failed(&mut self, key: Key, bounds: &Bounds, now: Instant) {
        let mut count = self.take(&key).unwrap_or_else(|| Count::new(now));
        count.failed(bounds, now);
        self.put(key, count, bounds, now);
    }

    /// Holds it back for so long.
    pub(super) fn hold_for(&mut self, key: Key, rest: Duration, bounds: &Bounds, now: Instant) {
        let mut count = self.take(&key).unwrap_or_else(|| Count::new(now));
        count.hold_for(rest, bounds, now);
        self.put(key, count, bounds, now);
    }

    /// Forgets a subject.
    pub(super) fn forget(&mut self, key: &Key) {
        self.take(key);
    }

    /// How many are held back.
    pub(super) fn held_back(&self, now: Instant) -> usize {
        self.marked.iter().filter(|(_, count)| count.is_held(now)).count()
    }

    fn take(&mut self, key: &Key) -> Option<Count> {
        self.marked.pop(key).or_else(|| self.young.pop(key))
    }

    fn put(&mut self, key: Key, count: Count, bounds: &Bounds, now: Instant) {
        for part in [&mut self.young, &mut self.marked] {
            for _ in 0..SWEPT_AT_ONCE {
                // The oldest is the first to be forgotten, or all but that.
                if !part.peek_lru().is_some_and(|(_, oldest)| Count::clone(oldest).settle(bounds, now)) {
                    break;
                }
                part.pop_lru();
            }
        }
        let part = if count.is_marked() { &mut self.marked } else { &mut self.young };
        if part.len() >= self.entries_max {
            part.pop_lru();
        }
        part.put(key, count);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.marked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { max: 2, window: Duration::from_secs(60), hold_max: Duration::from_secs(3600) };

    fn key(number: u32) -> Key {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&number.to_le_bytes());
        Key(key)
    }

    #[test]
    fn a_flood_of_subjects_washes_out_none_that_is_held_back() {
        let (mut table, now) = (Table::new(100), Instant::now());
        table.failed(key(1), &BOUNDS, now);
        table.failed(key(1), &BOUNDS, now);
        for other in 2..10_000 {
            table.failed(key(other), &BOUNDS, now);
        }
        assert!(table.is_held(&key(1), now));
        assert_eq!(table.len(), 101, "its bound, and the one that is held back");
        assert_eq!(table.failures(&key(9_999), &BOUNDS, now), 1, "the newest is there");
        assert_eq!(table.failures(&key(2), &BOUNDS, now), 0, "the oldest is gone");
    }

    #[test]
    fn of_those_held_back_the_oldest_goes_first_and_there_are_no_more_than_the_bound() {
        let (mut table, now) = (Table::new(100), Instant::now());
        for subject in 0..150 {
            table.failed(key(subject), &BOUNDS, now);
            table.failed(key(subject), &BOUNDS, now);
        }
        assert_eq!((table.len(), table.held_back(now)), (100, 100));
        assert!(!table.is_held(&key(49), now) && table.is_held(&key(50), now));
    }

    #[test]
    fn what_is_over_makes_room_by_itself() {
        let (mut table, now) = (Table::new(1_000), Instant::now());
        for subject in 0..500 {
            table.failed(key(subject), &BOUNDS, now);
        }
        let later = now + BOUNDS.window;
        for subject in 500..1_000 {
            table.failed(key(subject), &BOUNDS, later);
        }
        assert_eq!(table.len(), 500);
    }

    #[test]
    fn what_is_forgiven_is_forgotten() {
        let (mut table, now) = (Table::new(10), Instant::now());
        table.failed(key(1), &BOUNDS, now);
        table.failed(key(1), &BOUNDS, now);
        assert!(table.say(&key(1)) && !table.say(&key(1)));
        table.forget(&key(1));
        assert!(!table.is_held(&key(1), now) && table.len() == 0);
    }
}
