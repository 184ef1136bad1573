//! One version of a credential after another: the same application by the same right, with another proof. What a person
//! consented to goes on: versions share the refresh token. It must never let two versions hold a token each where the
//! authority counts them as one.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::record::{GRANT, REFRESH_TOKEN};
use super::{Authentication, OAuth2};
use crate::credential::CredentialError;
use crate::model::{Secret, Slot, Slots, StoredCredential};

/// Whether the key was made here: the authority knows nothing of it until somebody uploads its certificate.
const MADE_HERE: &str = "made-here";

impl OAuth2 {
    /// Whether it is the same application by the same right, so that each may take the place of the other while both are
    /// good.
    pub fn is_of_same_application(&self, other: &Self) -> bool {
        (&self.tenant, &self.client_id, self.grant) == (&other.tenant, &other.client_id, other.grant)
    }
}

/// The version after `before`, which differs in its proof alone. If it does not differ in that either, its material is that
/// of before.
///
/// # Errors
/// If `before` is unusable, or the proof is, or they do not go together.
pub fn successor(
    before: &StoredCredential,
    authentication: Authentication,
    id: String,
    label: &str,
    now: Timestamp,
) -> Result<StoredCredential, CredentialError> {
    let credential = OAuth2::from_stored(before)?;
    let is_same = credential.authentication == authentication;
    let mut stored = OAuth2 { authentication, ..credential }.into_stored(id, label, now)?;
    stored.material = match kept_under(before) {
        _ if is_same => before.material.clone(),
        Some(kept) => stored.material.with(REFRESH_TOKEN, Secret::new(kept)),
        None => stored.material,
    };
    Ok(stored)
}

/// The same, with a key that was made here.
#[must_use]
pub fn with_key_made_here(stored: StoredCredential) -> StoredCredential {
    let material = stored.material.with(MADE_HERE, Secret::new("yes"));
    StoredCredential { material, ..stored }
}

/// Whether the key of that version was made here.
pub fn is_made_here(stored: &StoredCredential) -> bool {
    stored.material.part(MADE_HERE).is_some()
}

/// Under which id its refresh token is kept, if it needs one: its own, or that of the version which a person consented to.
pub fn kept_under(stored: &StoredCredential) -> Option<&str> {
    let needs_one = stored.material.part(GRANT)?.expose() == b"refresh-token";
    let named = stored.material.part(REFRESH_TOKEN).and_then(Secret::expose_text);
    needs_one.then(|| named.unwrap_or(&stored.id))
}

/// What that version shows to the authority, if it is of this kind and can be read. When it ends is no part of that.
pub fn proof(stored: &StoredCredential) -> Option<Authentication> {
    Some(match OAuth2::from_stored(stored).ok()?.authentication {
        Authentication::Secret { secret, .. } => Authentication::Secret { secret, expires: None },
        other => other,
    })
}

/// The ids of all refresh tokens that are needed in these places.
pub fn kept_in(slots: &Slots) -> BTreeSet<String> {
    Slot::ALL.into_iter().filter_map(|slot| slots.in_slot(slot)).filter_map(kept_under).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Grant;
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn secret(text: &str) -> Authentication {
        Authentication::Secret { secret: Secret::new(text), expires: None }
    }

    fn delegated(id: &str) -> StoredCredential {
        let (tenant, client_id) = (Some("contoso.com".to_owned()), "app".to_owned());
        let grant = Grant::RefreshToken;
        OAuth2 { tenant, client_id, authentication: secret("one"), grant }.into_stored(id.into(), "", NOW).unwrap()
    }

    #[test]
    fn a_successor_differs_in_its_proof_alone_and_shares_the_refresh_token() {
        let first = delegated("c1");
        assert_eq!(kept_under(&first), Some("c1"));
        let second = successor(&first, secret("two"), "c2".into(), "new", NOW).unwrap();
        let third = successor(&second, secret("three"), "c3".into(), "", NOW).unwrap();
        for (stored, proof) in [(&second, "two"), (&third, "three")] {
            let read = OAuth2::from_stored(stored).unwrap();
            assert_eq!(read.authentication, secret(proof));
            assert!(read.is_of_same_application(&OAuth2::from_stored(&first).unwrap()));
            assert_eq!(kept_under(stored), Some("c1"));
        }
        assert_eq!(kept_in(&Slots::of(third)), BTreeSet::from(["c1".to_owned()]));
    }

    #[test]
    fn the_same_proof_is_the_same_material() {
        let first = delegated("c1");
        let again = successor(&first, secret("one"), "c2".into(), "", NOW).unwrap();
        assert_eq!(again.material, first.material);
    }

    #[test]
    fn who_acts_by_itself_keeps_no_token() {
        let oauth2 = OAuth2 { grant: Grant::ClientCredentials, ..OAuth2::from_stored(&delegated("c1")).unwrap() };
        let stored = oauth2.into_stored("c1".into(), "", NOW).unwrap();
        assert_eq!(kept_under(&stored), None);
        assert_eq!(kept_in(&Slots::of(stored)), BTreeSet::new());
    }

    #[test]
    fn that_a_key_was_made_here_is_known_and_changes_nothing_else() {
        let stored = with_key_made_here(delegated("c1"));
        assert!(is_made_here(&stored) && !is_made_here(&delegated("c1")));
        assert_eq!(OAuth2::from_stored(&stored), OAuth2::from_stored(&delegated("c1")));
    }
}
