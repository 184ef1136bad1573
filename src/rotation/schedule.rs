//! What is due: what somebody has to do about credentials, by when, and by which command. Pure: records and time are
//! arguments.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::{Inventory, MaxAges, Room, Subject};
use crate::credential::oauth2::OAuth2;
use crate::model::{
    Account, CredentialKind, LeftoverReason, Next, NextState, Profile, Slots, StoredCredential, Tenant,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What ends within so long is due: time enough to have a secret made by somebody else.
pub const WARNING: Duration = DAY.saturating_mul(30);

/// How long a new credential may be staged before somebody is reminded of it.
const STAGED_MAX: Duration = DAY;

/// How long the one before may stand behind its grace: nodes retire it by themselves within that.
const RETIRE_WITHIN: Duration = DAY;

/// How long what is to be deleted at the provider may wait.
const DELETE_WITHIN: Duration = DAY.saturating_mul(7);

/// Why something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Its secret or certificate is over.
    Ended,
    /// The provider refuses what was to become current.
    Failed,
    /// Its secret or certificate ends soon.
    EndsSoon,
    /// It is older than it may become.
    TooOld,
    /// The provider allows hardly any more app passwords.
    NearLimit,
    /// A rotation was begun and not ended.
    Staged,
    /// The grace of the one before is over.
    GraceOver,
    /// It exists at the provider and is used no more.
    ToDelete,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Ended,
        Self::Failed,
        Self::EndsSoon,
        Self::TooOld,
        Self::NearLimit,
        Self::Staged,
        Self::GraceOver,
        Self::ToDelete,
    ];

    /// Its name, in JSON and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::EndsSoon => "ends-soon",
            Self::TooOld => "too-old",
            Self::NearLimit => "near-limit",
            Self::Staged => "staged",
            Self::GraceOver => "grace-over",
            Self::ToDelete => "to-delete",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "has ended",
            Self::Failed => "the new one is refused",
            Self::EndsSoon => "ends soon",
            Self::TooOld => "too old",
            Self::NearLimit => "near the provider's limit",
            Self::Staged => "begun, not ended",
            Self::GraceOver => "the one before is not retired",
            Self::ToDelete => "to be deleted at the provider",
        })
    }
}

/// Something that somebody has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose credential.
    pub subject: Subject,
    /// Why.
    pub why: Why,
    /// The id of the credential that it is about.
    pub credential: String,
    /// Since when, or by when if that is to come.
    pub at: Timestamp,
    /// In words for the operator: what to do.
    pub todo: String,
}

/// By what it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// How old credentials may become.
    pub max_ages: &'a MaxAges,
    /// What becomes due within so long counts, too.
    pub within: Duration,
    /// Now.
    pub now: Timestamp,
}

/// What is due of an account at that provider.
pub fn of_account(account: &Account, profile: Option<&Profile>, terms: Terms<'_>) -> Vec<Due> {
    let kinds = account.credentials.iter().flat_map(|(kind, slots)| {
        let subject = Subject::Account { name: account.name.clone(), kind: *kind };
        let max_age = terms.max_ages.of(*kind, account.class.as_deref());
        let mut due = of_slots(&subject, slots, max_age, terms);
        due.extend(of_inventory(&subject, slots, profile, terms));
        due
    });
    kinds.collect()
}

/// What is due of a tenant.
pub fn of_tenant(tenant: &Tenant, terms: Terms<'_>) -> Vec<Due> {
    let subject = Subject::Tenant { domain: tenant.domain.clone() };
    of_slots(&subject, &tenant.oauth2, terms.max_ages.of(CredentialKind::OAuth2, None), terms)
}

fn of_slots(subject: &Subject, slots: &Slots, max_age: Option<Duration>, terms: Terms<'_>) -> Vec<Due> {
    let mut found = Vec::new();
    let mut add = |why, credential: &str, at, todo| {
        found.push(Due { subject: subject.clone(), why, credential: credential.to_owned(), at, todo });
    };
    // A rotation that is under way is what there is to do: nobody needs to be told that it is time for one.
    match (&slots.current, &slots.next) {
        (_, Some(next)) => {
            if let Some((why, at)) = of_next(next, terms) {
                let verb = if why == Why::Failed { "discard" } else { "run" };
                add(why, &next.credential.id, at, command(verb, subject));
            }
        }
        (Some(current), None) => {
            if let Some((why, at)) = of_current(current, max_age, subject.kind(), terms) {
                add(why, &current.id, at, command("run", subject));
            }
        }
        (None, None) => {}
    }
    if let Some(previous) = &slots.previous
        && previous.retire_at + RETIRE_WITHIN <= terms.now
    {
        add(Why::GraceOver, &previous.credential.id, previous.retire_at, command("retire", subject));
    }
    for left in &slots.leftovers {
        let by = left.since + DELETE_WITHIN;
        if by <= terms.now + terms.within {
            let called = if left.label.is_empty() { &left.id } else { &left.label };
            let place = left.upstream.as_deref().unwrap_or("the provider");
            let if_any = if left.why == LeftoverReason::Asked { ", if there is one" } else { "" };
            let ticked = command("deleted", subject);
            add(
                Why::ToDelete,
                &left.id,
                left.since,
                format!("delete {called:?} at {place}{if_any}; then {ticked} {called:?}"),
            );
        }
    }
    found
}

/// Whether the provider allows hardly any more.
fn of_inventory(subject: &Subject, slots: &Slots, profile: Option<&Profile>, terms: Terms<'_>) -> Option<Due> {
    let inventory = Inventory::of(slots, subject.kind(), profile);
    let left = match inventory.room() {
        Room::Enough => return None,
        Room::Little { left } => format!("room for {left} more"),
        Room::Full => "no room for another".to_owned(),
    };
    let todo = format!("{} exist, {left}: delete what is used no more; see `locum report inventory`", inventory.count);
    let credential = slots.current.as_ref().map_or_else(String::new, |current| current.id.clone());
    Some(Due { subject: subject.clone(), why: Why::NearLimit, credential, at: terms.now, todo })
}

/// Whether a new credential waits for somebody, and since when.
fn of_next(next: &Next, terms: Terms<'_>) -> Option<(Why, Timestamp)> {
    match &next.state {
        NextState::Failed { at, .. } => Some((Why::Failed, *at)),
        NextState::Staged | NextState::Applying { .. } | NextState::Applied { .. } => {
            (next.since + STAGED_MAX <= terms.now).then_some((Why::Staged, next.since))
        }
    }
}

/// Whether it is time for another one, and by when.
fn of_current(
    current: &StoredCredential,
    max_age: Option<Duration>,
    kind: CredentialKind,
    terms: Terms<'_>,
) -> Option<(Why, Timestamp)> {
    let end = match kind {
        CredentialKind::OAuth2 => OAuth2::from_stored(current).ok().and_then(|credential| credential.expires()),
        CredentialKind::AppPassword => None,
    };
    if let Some(end) = end.filter(|end| *end <= terms.now + terms.within.max(WARNING)) {
        return Some((if end <= terms.now { Why::Ended } else { Why::EndsSoon }, end));
    }
    let by = current.created + max_age?;
    (by <= terms.now + terms.within).then_some((Why::TooOld, by))
}

/// What to type.
pub(super) fn command(verb: &str, subject: &Subject) -> String {
    match subject {
        Subject::Account { name, kind: CredentialKind::AppPassword } => format!("locum rotate {verb} {name}"),
        Subject::Account { name, kind } => format!("locum rotate {verb} {name} --kind {}", kind.name()),
        Subject::Tenant { domain } => format!("locum rotate {verb} @{domain}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::credential::oauth2::{Authentication, Grant};
    use crate::model::presets::preset;
    use crate::model::{Identity, Leftover, Material, Preference, Previous, Refused, Secret};

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn ago(days: u32) -> Timestamp {
        now() - DAY * days
    }

    fn stored(id: &str, created: Timestamp) -> StoredCredential {
        let material = Material::of("secret", Secret::new("abcdefghijklmnop"));
        StoredCredential {
            id: id.to_owned(),
            label: format!("locum {id}"),
            created,
            verified: None,
            retries: 0,
            material,
        }
    }

    fn account(slots: Slots, class: Option<&str>) -> Account {
        Account {
            name: "alice@x.test".into(),
            upstream: "gmail".into(),
            identity: Identity::default(),
            credentials: BTreeMap::from([(CredentialKind::AppPassword, slots)]),
            preference: Preference::default(),
            class: class.map(str::to_owned),
        }
    }

    fn next(state: NextState, since: Timestamp) -> Next {
        let refused = Some(Refused { times: 2, at: since, cause: "no".into() });
        let (op, by) = ("op".to_owned(), "ann@desk".to_owned());
        Next { credential: stored("b", since), op, by, since, state, replaces: false, refused }
    }

    fn previous(retire_at: Timestamp) -> Previous {
        Previous { credential: stored("z", ago(9)), op: "o".into(), since: ago(2), retire_at, usable: true }
    }

    /// What is due of those places, by an age of 180 days and of 90 for printers.
    fn due(slots: &Slots, class: Option<&str>, within_days: u32) -> Vec<(Why, String, Timestamp)> {
        let age = |days: u32| BTreeMap::from([(CredentialKind::AppPassword, DAY * days)]);
        let max_ages = MaxAges { all: age(180), classes: BTreeMap::from([("printers".to_owned(), age(90))]) };
        let terms = Terms { max_ages: &max_ages, within: DAY * within_days, now: now() };
        let apple = preset("icloud").unwrap();
        let found = of_account(&account(slots.clone(), class), Some(&apple), terms);
        found.into_iter().map(|due| (due.why, due.credential, due.at)).collect()
    }

    fn whys(slots: &Slots) -> Vec<Why> {
        due(slots, None, 0).into_iter().map(|(why, ..)| why).collect()
    }

    #[test]
    fn an_age_counts_by_kind_and_class_and_is_told_of_in_time() {
        let slots = Slots::of(stored("a", ago(100)));
        assert_eq!(due(&slots, None, 0), []);
        assert_eq!(due(&slots, None, 79), []);
        let by = ago(100) + DAY * 180;
        assert_eq!(due(&slots, None, 80), [(Why::TooOld, "a".to_owned(), by)]);
        assert_eq!(due(&slots, Some("printers"), 0), [(Why::TooOld, "a".to_owned(), ago(10))]);
        assert_eq!(due(&slots, Some("unheard-of"), 0), [], "a class that says nothing is as all");
    }

    #[test]
    fn a_rotation_that_is_under_way_is_told_of_in_place_of_the_age() {
        let slots = |state, since| Slots { next: Some(next(state, since)), ..Slots::of(stored("a", ago(300))) };
        assert_eq!(whys(&slots(NextState::Staged, now())), []);
        assert_eq!(whys(&slots(NextState::Staged, ago(1))), [Why::Staged]);
        assert_eq!(whys(&slots(NextState::Applied { verified: Some(ago(2)) }, ago(2))), [Why::Staged]);
        let failed = NextState::Failed { at: now(), cause: "no".into() };
        assert_eq!(due(&slots(failed, now()), None, 0), [(Why::Failed, "b".to_owned(), now())]);
    }

    #[test]
    fn what_nobody_retires_or_deletes_is_told_of_after_a_while() {
        let mut slots = Slots::of(stored("a", now()));
        slots.previous = Some(previous(now()));
        assert_eq!(whys(&slots), [], "nodes have a day for it");
        slots.previous = Some(previous(ago(1)));
        assert_eq!(whys(&slots), [Why::GraceOver]);
        slots.previous = None;
        let left = |since| Leftover {
            id: "z".into(),
            label: "locum z".into(),
            since,
            by: "locum".into(),
            why: LeftoverReason::Retired,
            until: None,
            upstream: None,
        };
        slots.leftovers = vec![left(ago(6))];
        assert_eq!(whys(&slots), []);
        slots.leftovers = vec![left(ago(7))];
        assert_eq!(whys(&slots), [Why::ToDelete]);
    }

    #[test]
    fn the_limit_of_the_provider_is_seen_before_it_is_reached() {
        let mut slots = Slots::of(stored("a", now()));
        slots.elsewhere = 18;
        assert_eq!(whys(&slots), []);
        slots.elsewhere = 19;
        assert_eq!(whys(&slots), [Why::NearLimit]);
    }

    #[test]
    fn a_secret_that_ends_is_told_of_a_month_before() {
        let tenant = |expires: Timestamp| {
            let authentication = Authentication::Secret { secret: Secret::new("x~8Q~canary"), expires: Some(expires) };
            let (tenant, client_id) = (Some("t".to_owned()), "c".to_owned());
            let oauth2 = OAuth2 { tenant, client_id, authentication, grant: Grant::ClientCredentials };
            let stored = oauth2.into_stored("s".into(), "", ago(1)).unwrap();
            Tenant { domain: "x.test".into(), upstream: "exchange-online".into(), oauth2: Slots::of(stored) }
        };
        let max_ages = MaxAges::default();
        let terms = Terms { max_ages: &max_ages, within: Duration::ZERO, now: now() };
        let whys = |end| of_tenant(&tenant(end), terms).into_iter().map(|due| (due.why, due.todo)).collect::<Vec<_>>();
        assert_eq!(whys(now() + DAY * 31), []);
        let todo = "locum rotate run @x.test".to_owned();
        assert_eq!(whys(now() + DAY * 30), [(Why::EndsSoon, todo.clone())]);
        assert_eq!(whys(now()), [(Why::Ended, todo)]);
    }
}
