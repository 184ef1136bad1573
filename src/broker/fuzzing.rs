//! Doors to what only this room sees, for the fuzz targets (`tests/fuzz`). A release has none of them. It must hold nothing
//! but doors.

use super::client_secret;
use super::client_secret::ChosenHash;
use super::login_form::{Asked, Candidates};
use crate::model::{Attempt, LoginForm, Secret};

/// What an attempt can mean: who proves, and as whom to act (`None`: as itself; an inner `None`: it cannot be said).
pub fn candidates(attempt: &Attempt, forms: &[LoginForm]) -> Vec<(String, Option<Option<String>>)> {
    let asked = |asked: &Asked| match asked {
        Asked::Itself => None,
        Asked::Mailbox(..) => Some(asked.address().map(str::to_owned)),
        Asked::Unclear => Some(None),
    };
    let candidates = Candidates::of(attempt, forms);
    candidates.iter().map(|candidate| (candidate.principal.clone(), asked(&candidate.asked))).collect()
}

/// A login name as the audit shows it.
pub fn masked(name: &[u8]) -> Vec<u8> {
    client_secret::mask(name)
}

/// Whether a hash is made of that. It takes as long as the hash wants.
pub fn proves(hash: &ChosenHash, proof: &Secret) -> bool {
    hash.proves(proof)
}
