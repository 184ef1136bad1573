//! Proofs that a slow hash found good a while ago, so that a fleet that comes back costs none. What is remembered is a keyed
//! hash of the proof and of the very verifier that took it: one that is revoked or changed never matches, and the memory of
//! a process tells nobody a secret.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ring::hmac;
use ring::rand::SystemRandom;

use crate::model::Secret;

/// Clients that are remembered, of 56 bytes each. With more than this the oldest half is forgotten.
const ENTRIES_MAX: usize = 20_000;

/// How long one is remembered: from one working day to the next.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What a proof is remembered by.
pub(super) type Tag = [u8; 32];

/// Proofs that were good.
#[derive(Debug)]
pub(super) struct Remembered {
    /// By chance, for each process. `None` where there is no randomness: then nothing is remembered.
    key: Option<hmac::Key>,
    halves: Mutex<Halves>,
}

/// Entries go into the first; when that is full it becomes the second, and what was there is forgotten.
#[derive(Debug, Default)]
struct Halves {
    young: HashMap<Tag, Instant>,
    old: HashMap<Tag, Instant>,
}

impl Default for Remembered {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        Self { key, halves: Mutex::default() }
    }
}

impl Remembered {
    /// The tag of that proof for those: all that decides whether it is good has to be among them.
    pub(super) fn tag<'p>(&self, parts: impl IntoIterator<Item = &'p str>, proof: &'p Secret) -> Option<Tag> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        let parts = parts.into_iter().map(str::as_bytes);
        for part in parts.chain([proof.expose()]) {
            // With its length before it, no part can be taken for two.
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().ok()
    }

    /// Whether that was good of late.
    pub(super) fn knows(&self, tag: &Tag, now: Instant) -> bool {
        let halves = self.halves.lock().expect("no holder of this lock panics");
        let since = halves.young.get(tag).or_else(|| halves.old.get(tag));
        since.is_some_and(|since| now.saturating_duration_since(*since) < REMEMBERED_FOR)
    }

    /// Remembers it.
    pub(super) fn add(&self, tag: Tag, now: Instant) {
        let mut halves = self.halves.lock().expect("no holder of this lock panics");
        if halves.young.len() >= ENTRIES_MAX / 2 {
            halves.old = std::mem::take(&mut halves.young);
        }
        halves.young.insert(tag, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(memory: &Remembered, parts: &[&str], proof: &str) -> Tag {
        memory.tag(parts.iter().copied(), &Secret::new(proof)).unwrap()
    }

    #[test]
    fn what_was_good_is_known_for_a_while_and_nothing_else_is() {
        let (memory, now) = (Remembered::default(), Instant::now());
        let good = tag(&memory, &["login", "id", "$6$"], "proof");
        memory.add(good, now);
        assert!(memory.knows(&good, now) && memory.knows(&good, now + REMEMBERED_FOR - Duration::from_secs(1)));
        assert!(!memory.knows(&good, now + REMEMBERED_FOR));
        for (parts, proof) in [
            (["login", "id", "$6$"], "Proof"),
            (["Login", "id", "$6$"], "proof"),
            (["login", "i", "d$6$"], "proof"),
            (["login", "id", "$5$"], "proof"),
            (["login", "id", "$6$p"], "roof"),
        ] {
            assert!(!memory.knows(&tag(&memory, &parts, proof), now), "{parts:?}");
        }
        let other = Remembered::default();
        assert_ne!(tag(&other, &["login", "id", "$6$"], "proof"), good, "each process has its own key");
    }

    #[test]
    fn it_holds_no_more_than_its_bound_and_the_newest() {
        let (memory, now) = (Remembered::default(), Instant::now());
        let tags: Vec<Tag> = (0..2 * ENTRIES_MAX).map(|n| tag(&memory, &[], &n.to_string())).collect();
        for tag in &tags {
            memory.add(*tag, now);
        }
        let known = tags.iter().filter(|tag| memory.knows(tag, now)).count();
        assert!((ENTRIES_MAX / 2..=ENTRIES_MAX).contains(&known), "{known}");
        assert!(tags[tags.len() - ENTRIES_MAX / 2..].iter().all(|tag| memory.knows(tag, now)));
    }
}
