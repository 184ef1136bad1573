//! Finds the secret that a proof is of. What that costs depends on the form of the proof alone: in the form of an issued
//! secret, one fast hash; in any other, that and a slow one, nobody's where the client has none or there is no such client.
//! It must never answer sooner, or later, for one of these than for another, as far as that is in its hands.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::remembered::{Remembered, Tag};
use super::{Busy, CHOSEN_MAX, ChosenHash, Rank, is_fit, issue, pool, proves_fast};
use crate::model::{ClientSecret, Secret, Verifier};

/// Proves clients, and remembers whom it proved by a slow hash.
#[derive(Debug, Default)]
pub(in crate::broker) struct Prover {
    remembered: Remembered,
    /// Proofs that were none, by all that they were held against: one that is repeated costs nothing again, and a record that
    /// changes is looked at anew.
    wrong: Remembered,
    flights: Flights,
    /// Proofs for which slow hashes were computed.
    computed: AtomicU64,
}

impl Prover {
    /// The secret among these, of the client of that login, that `proof` is. One that holds comes before one that expired. `rank`
    /// is asked for where a slow hash is needed.
    ///
    /// # Errors
    /// If too many wait for a slow hash.
    pub(in crate::broker) async fn find<'a>(
        &self,
        login: &str,
        secrets: &'a [ClientSecret],
        proof: &Secret,
        rank: impl FnOnce() -> Rank,
        now: Timestamp,
    ) -> Result<Option<&'a ClientSecret>, Busy> {
        if !is_fit(proof) {
            return Ok(None);
        }
        match find_fast(secrets, proof) {
            Some(secret) => Ok(Some(secret)),
            None if issue::is_of_form(proof) => Ok(None),
            None => self.find_slow(login, secrets, proof, rank(), now).await,
        }
    }

    /// Remembers a proof that was hashed a moment ago: it need not be computed again at the next login.
    pub(in crate::broker) fn remember(&self, login: &str, secret: &ClientSecret, proof: &Secret) {
        let Verifier::Chosen { hash } = &secret.verifier else { return };
        if let Some(tag) = self.remembered.tag([login, &secret.id, hash], proof) {
            self.remembered.add(tag, Instant::now());
        }
    }

    /// How often slow hashes were computed.
    #[cfg(test)]
    pub(in crate::broker) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn find_slow<'a>(
        &self,
        login: &str,
        secrets: &'a [ClientSecret],
        proof: &Secret,
        rank: Rank,
        now: Timestamp,
    ) -> Result<Option<&'a ClientSecret>, Busy> {
        let candidates = candidates(secrets, proof, now);
        let began = Instant::now();
        let tags: Vec<Option<Tag>> =
            candidates.iter().map(|(secret, hash)| self.remembered.tag([login, &secret.id, *hash], proof)).collect();
        let is_known = |tag: &Option<Tag>| tag.is_some_and(|tag| self.remembered.knows(&tag, began));
        if let Some(known) = tags.iter().position(is_known) {
            return Ok(Some(candidates[known].0));
        }
        let flight = candidates.iter().flat_map(|(secret, hash)| [secret.id.as_str(), *hash]);
        let flight = self.remembered.tag([login].into_iter().chain(flight), proof);
        if flight.is_some_and(|flight| self.wrong.knows(&flight, began)) {
            return Ok(None);
        }
        let found = match flight {
            Some(flight) => self.flights.join(flight).found(|| self.compute(&candidates, proof, rank)).await?,
            None => self.compute(&candidates, proof, rank).await?,
        };
        let Some(found) = found else {
            flight.into_iter().for_each(|flight| self.wrong.add(flight, Instant::now()));
            return Ok(None);
        };
        if let Some(tag) = tags[found] {
            self.remembered.add(tag, Instant::now());
        }
        Ok(Some(candidates[found].0))
    }

    /// Which of them the proof is of.
    async fn compute(
        &self,
        candidates: &[(&ClientSecret, &str)],
        proof: &Secret,
        rank: Rank,
    ) -> Result<Option<usize>, Busy> {
        // A hash that is damaged, or that costs too much though it came into the record, proves nothing.
        let hashes: Vec<Option<ChosenHash>> = candidates.iter().map(|(_, hash)| ChosenHash::parse(hash).ok()).collect();
        let proof = proof.clone();
        let found = pool::run(rank, move || {
            let hashes = || hashes.iter().enumerate().filter_map(|(at, hash)| Some((at, hash.as_ref()?)));
            let found = hashes().find(|(_, hash)| hash.proves(&proof)).map(|(at, _)| at);
            if found.is_none() && !hashes().any(|(_, hash)| hash.costs_enough()) {
                // It is the work that is wanted; nobody knows the secret.
                black_box(ChosenHash::nobody().proves(&proof));
            }
            found
        });
        let found = found.await?;
        self.computed.fetch_add(1, Ordering::Relaxed);
        Ok(found)
    }
}

/// The secret that the proof names by its id, if it is stored as a fast hash and is that. One hash is computed, whichever
/// way it goes.
fn find_fast<'a>(secrets: &'a [ClientSecret], proof: &Secret) -> Option<&'a ClientSecret> {
    let named = secrets.iter().filter(|secret| issue::names(secret, proof)).find_map(|secret| match &secret.verifier {
        Verifier::SaltedSha256 { salt, digest } => Some((secret, salt.as_str(), digest.as_str())),
        Verifier::Chosen { .. } => None,
    });
    let (salt, digest) = named.map_or(("", ""), |(_, salt, digest)| (salt, digest));
    let is_it = proves_fast(salt, digest, proof);
    named.filter(|_| is_it).map(|(secret, ..)| secret)
}

/// What has to be tried: the issued one that the proof names, if there is one, and all that people chose.
fn candidates<'a>(secrets: &'a [ClientSecret], proof: &Secret, now: Timestamp) -> Vec<(&'a ClientSecret, &'a str)> {
    let mut candidates: Vec<_> = secrets
        .iter()
        .filter_map(|secret| match &secret.verifier {
            Verifier::Chosen { hash } if !issue::is_issued(secret) || issue::names(secret, proof) => {
                Some((secret, hash.as_str()))
            }
            _ => None,
        })
        .collect();
    candidates.sort_by_key(|(secret, _)| secret.expires.is_some_and(|end| end <= now));
    candidates.truncate(CHOSEN_MAX);
    candidates
}

/// Proofs that are being checked: whoever comes with the same one meanwhile waits for the same answer.
#[derive(Debug, Default)]
struct Flights(Mutex<HashMap<Tag, Arc<OnceCell<Option<usize>>>>>);

/// One of those who wait.
struct Flight<'f> {
    flights: &'f Flights,
    tag: Tag,
    answer: Arc<OnceCell<Option<usize>>>,
}

impl Flights {
    fn join(&self, tag: Tag) -> Flight<'_> {
        let mut flights = self.0.lock().expect("no holder of this lock panics");
        let answer = Arc::clone(flights.entry(tag).or_default());
        Flight { flights: self, tag, answer }
    }
}

impl Flight<'_> {
    /// The answer. Should who computes it go away, another one of those who wait does.
    async fn found<F>(&self, compute: impl FnOnce() -> F) -> Result<Option<usize>, Busy>
    where
        F: Future<Output = Result<Option<usize>, Busy>>,
    {
        self.answer.get_or_try_init(compute).await.copied()
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().expect("no holder of this lock panics");
        // The map's and this one: nobody else waits, and nobody can begin to while the map is locked.
        if Arc::strong_count(&self.answer) == 2 {
            flights.remove(&self.tag);
        }
    }
}

#[cfg(test)]
mod tests;
