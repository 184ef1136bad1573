//! The same wrong password, presented by one device over and over: an old one that nobody took out of a scanner. It tells whoever
//! guesses nothing that he did not know, so it counts once; and beyond a few looks in a window it is answered without one. It
//! must never keep a password, nor answer for one that it has not seen fail.

use std::hash::RandomState;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::subject::Key;

/// Pairs whose wrong passwords are remembered, of about 200 bytes each. With more than this the one that was quiet for longest is
/// forgotten, and its next failure counts.
const PAIRS_MAX: usize = 20_000;

/// Wrong passwords remembered of a pair: devices of one login behind one address that were left behind by a change of its
/// password, and a person who tries two old ones. With one more the oldest is forgotten.
const PROOFS_MAX: usize = 4;

/// How long one is remembered: as long as a device may be silent between two looks for mail.
const REMEMBERED_FOR: Duration = Duration::from_secs(60 * 60);

/// Wrong passwords by pair.
#[derive(Debug)]
pub(super) struct Repeats(LruCache<Key, [Option<Repeat>; PROOFS_MAX], RandomState>);

#[derive(Debug, Clone, Copy)]
struct Repeat {
    proof: Key,
    seen: Instant,
    /// When the window in which looks are counted began, and how many there were.
    since: Instant,
    looks: u32,
}

/// What is to be done about a password that a pair presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is not known to be wrong.
    No,
    /// It was wrong a while ago, and may have become right since.
    Look,
    /// It was wrong a moment ago.
    Wrong {
        /// Whether it is the first in this window that is not looked at.
        first: bool,
    },
}

impl Repeats {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self(LruCache::unbounded_with_hasher(RandomState::new()))
    }

    /// Whether that is known to be wrong; with up to `looks_max` looks in a `window`.
    pub(super) fn known(&mut self, pair: &Key, proof: &Key, looks_max: u32, window: Duration, now: Instant) -> Known {
        let Some(known) = self.0.get_mut(pair) else { return Known::No };
        let lasting = known.iter_mut().flatten().filter(|it| now.duration_since(it.seen) < REMEMBERED_FOR);
        let Some(repeat) = lasting.into_iter().find(|it| it.proof == *proof) else { return Known::No };
        if now.duration_since(repeat.since) >= window {
            (repeat.since, repeat.looks) = (now, 0);
        }
        repeat.seen = now;
        repeat.looks = repeat.looks.saturating_add(1);
        match repeat.looks.checked_sub(looks_max) {
            None | Some(0) => Known::Look,
            Some(beyond) => Known::Wrong { first: beyond == 1 },
        }
    }

    /// Remembers one that was wrong.
    pub(super) fn wrong(&mut self, pair: Key, proof: Key, now: Instant) {
        if self.0.len() >= PAIRS_MAX && !self.0.contains(&pair) {
            self.0.pop_lru();
        }
        let known = self.0.get_or_insert_mut(pair, || [None; PROOFS_MAX]);
        let repeat = Repeat { proof, seen: now, since: now, looks: 1 };
        let same = known.iter().position(|it| it.is_some_and(|it| it.proof == proof));
        let oldest = || known.iter().enumerate().min_by_key(|(_, it)| it.map(|it| it.seen)).map_or(0, |(at, _)| at);
        let place = same.unwrap_or_else(oldest);
        known[place] = Some(repeat);
    }

    /// It is right by now.
    pub(super) fn right(&mut self, pair: &Key, proof: &Key) {
        for known in self.0.peek_mut(pair).into_iter().flatten() {
            if known.is_some_and(|it| it.proof == *proof) {
                *known = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn key(byte: u8) -> Key {
        Key([byte; 16])
    }

    #[test]
    fn a_few_are_looked_at_in_a_window_and_the_rest_is_answered() {
        let (mut repeats, now) = (Repeats::new(), Instant::now());
        let known = |repeats: &mut Repeats, now| repeats.known(&key(1), &key(9), 3, WINDOW, now);
        assert_eq!(known(&mut repeats, now), Known::No);
        repeats.wrong(key(1), key(9), now);
        let said: Vec<Known> = (0..5).map(|_| known(&mut repeats, now)).collect();
        let rest = [Known::Wrong { first: true }, Known::Wrong { first: false }, Known::Wrong { first: false }];
        assert_eq!(said, [&[Known::Look; 2][..], &rest].concat());
        assert_eq!(known(&mut repeats, now + WINDOW), Known::Look, "it may have become right");
        assert_eq!(repeats.known(&key(2), &key(9), 3, WINDOW, now), Known::No, "of another pair");
        repeats.right(&key(1), &key(9));
        assert_eq!(known(&mut repeats, now + WINDOW), Known::No);
    }

    #[test]
    fn it_is_forgotten_in_time_and_of_many_the_oldest_is() {
        let (mut repeats, now) = (Repeats::new(), Instant::now());
        for proof in 0..6u8 {
            repeats.wrong(key(1), key(proof), now + Duration::from_secs(u64::from(proof)));
        }
        let later = now + Duration::from_secs(10);
        let mut known = |proof, now| repeats.known(&key(1), &key(proof), 100, WINDOW, now) != Known::No;
        assert_eq!([0, 1, 2, 5].map(|proof| known(proof, later)), [false, false, true, true]);
        assert!(!known(3, later + REMEMBERED_FOR));
    }

    #[test]
    fn pairs_are_bounded() {
        let (mut repeats, now) = (Repeats::new(), Instant::now());
        for pair in 0..PAIRS_MAX as u32 + 10 {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&pair.to_le_bytes());
            repeats.wrong(Key(bytes), key(1), now);
        }
        assert_eq!(repeats.0.len(), PAIRS_MAX);
    }
}
