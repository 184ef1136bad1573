//! What one look through all records counts: credentials by when they end, and rotations by how far they are. A label never
//! names anybody.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use metrics::{describe_gauge, gauge};

use crate::credential::oauth2::OAuth2;
use crate::model::{CredentialKind, NextState, Slots, StoredCredential};

/// Labels `kind`, `ends`: one of [`ENDS`].
const CREDENTIALS: &str = "locum_credentials";

/// Labels `kind`, `state`: one of [`STATES`].
const ROTATIONS: &str = "locum_rotations";

/// When a current credential ends, by what is known of it.
const ENDS: [&str; 5] = ["ended", "week", "month", "later", "unknown"];

/// How far a rotation is: the new one is stored; a command sets it; the provider has it; the provider refuses it; it is
/// current, and the one before still good.
const STATES: [&str; 5] = ["staged", "applying", "applied", "failed", "overlap"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many there are of each.
#[derive(Debug, Default)]
pub(super) struct Tally {
    credentials: BTreeMap<(CredentialKind, &'static str), usize>,
    rotations: BTreeMap<(CredentialKind, &'static str), usize>,
}

/// Tells whoever collects them what they mean.
pub(super) fn describe() {
    describe_gauge!(
        CREDENTIALS,
        "Current credentials of all records, by kind and by when they end, as of the last round."
    );
    describe_gauge!(ROTATIONS, "Rotations under way in all records, by kind and state, as of the last round.");
}

impl Tally {
    /// Counts in what one record has of a kind.
    pub(super) fn count(&mut self, kind: CredentialKind, slots: &Slots, now: Timestamp) {
        if let Some(current) = &slots.current {
            *self.credentials.entry((kind, ends(kind, current, now))).or_default() += 1;
        }
        let next = slots.next.as_ref().map(|next| match next.state {
            NextState::Staged => STATES[0],
            NextState::Applying { .. } => STATES[1],
            NextState::Applied { .. } => STATES[2],
            NextState::Failed { .. } => STATES[3],
        });
        for state in next.into_iter().chain(slots.previous.as_ref().map(|_| STATES[4])) {
            *self.rotations.entry((kind, state)).or_default() += 1;
        }
    }

    /// Says it to whoever collects it.
    pub(super) fn say(&self) {
        for kind in CredentialKind::ALL {
            for ends in ENDS {
                let count = self.credentials.get(&(kind, ends)).copied().unwrap_or_default();
                gauge!(CREDENTIALS, "kind" => kind.name(), "ends" => ends).set(count as f64);
            }
            for state in STATES {
                let count = self.rotations.get(&(kind, state)).copied().unwrap_or_default();
                gauge!(ROTATIONS, "kind" => kind.name(), "state" => state).set(count as f64);
            }
        }
    }
}

fn ends(kind: CredentialKind, current: &StoredCredential, now: Timestamp) -> &'static str {
    let end = match kind {
        CredentialKind::OAuth2 => OAuth2::from_stored(current).ok().and_then(|credential| credential.expires()),
        CredentialKind::AppPassword => None,
    };
    match end {
        None => ENDS[4],
        Some(end) if end <= now => ENDS[0],
        Some(end) if end <= now + DAY * 7 => ENDS[1],
        Some(end) if end <= now + DAY * 30 => ENDS[2],
        Some(_) => ENDS[3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::oauth2::{Authentication, Grant};
    use crate::model::{Material, Next, Secret};

    #[test]
    fn what_ends_is_counted_by_when_and_a_rotation_by_how_far_it_is() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let slots = |left: Option<Duration>| {
            let expires = left.map(|left| now + left);
            let authentication = Authentication::Secret { secret: Secret::new("x~8Q~canary"), expires };
            let grant = Grant::ClientCredentials;
            let oauth2 = OAuth2 { tenant: Some("t".into()), client_id: "c".into(), authentication, grant };
            Slots::of(oauth2.into_stored("s".into(), "", now).unwrap())
        };
        let mut tally = Tally::default();
        for left in [None, Some(Duration::ZERO), Some(DAY * 7), Some(DAY * 30), Some(DAY * 31)] {
            tally.count(CredentialKind::OAuth2, &slots(left), now);
        }
        for ends in ENDS {
            assert_eq!(tally.credentials[&(CredentialKind::OAuth2, ends)], 1, "{ends}");
        }

        let credential = StoredCredential {
            id: "b".into(),
            label: String::new(),
            created: now,
            verified: None,
            retries: 0,
            material: Material::of("secret", Secret::new("abcdefghijklmnop")),
        };
        let (op, by) = ("op".to_owned(), "ann@desk".to_owned());
        let state = NextState::Failed { at: now, cause: "no".into() };
        let next = Next { credential, op, by, since: now, state, replaces: false, refused: None };
        let failed = Slots { next: Some(next), ..Slots::default() };
        tally.count(CredentialKind::AppPassword, &failed, now);
        assert_eq!(tally.rotations, BTreeMap::from([((CredentialKind::AppPassword, "failed"), 1)]));
    }
}
