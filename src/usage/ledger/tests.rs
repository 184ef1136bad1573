//! The ledger: what it counts, and its bounds.

use super::super::group::{LOGINS_MAX, VERSIONS_MAX};
use super::*;
use crate::model::{Protocol, UsageLogin};

const KIND: CredentialKind = CredentialKind::AppPassword;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn holder(name: &str) -> Holder {
    Holder::Account(name.to_owned())
}

fn entered(account: &str, credential: &str, slot: Slot, login: &str) -> Entered {
    let (holder, login, credential) = (holder(account), login.to_owned(), credential.to_owned());
    // In these tests the current one is called c2 wherever another is used in its place.
    let passed_over = (slot != Slot::Current).then(|| "c2".to_owned());
    Entered { holder, kind: KIND, credential, slot, passed_over, login, protocol: Protocol::Imap }
}

fn names(logins: &[UsageLogin]) -> Vec<(&str, u32)> {
    logins.iter().map(|it| (it.login.as_str(), it.live)).collect()
}

#[test]
fn a_session_counts_until_its_guard_is_dropped() {
    let ledger = Ledger::default();
    let first = ledger.entered_at(entered("a", "c1", Slot::Current, "scan"), at(10));
    let second = ledger.entered_at(entered("a", "c1", Slot::Current, "alice"), at(20));
    let [used] = &ledger.used(&holder("a"), KIND)[..] else { panic!() };
    assert_eq!((used.live, names(&used.logins)), (2, vec![("alice", 1), ("scan", 1)]));
    assert_eq!(used.last_success, Some(at(20)));
    assert!(used.last_seen.unwrap() > at(20), "a session is seen for as long as it is open");
    drop(first);
    drop(second);
    let [used] = &ledger.used(&holder("a"), KIND)[..] else { panic!() };
    assert_eq!((used.live, used.logins.iter().map(|it| it.live).sum::<u32>()), (0, 0));
    assert!(used.last_seen.unwrap() > at(20));
    assert_eq!(ledger.last_success(&holder("a"), KIND), Some(at(20)));
    assert_eq!(ledger.last_success(&holder("b"), KIND), None);
}

#[test]
fn refusals_are_counted_until_a_success() {
    let ledger = Ledger::default();
    for second in [1, 2] {
        ledger.refused_at(&holder("a"), KIND, "c1", Slot::Current, at(second));
    }
    let [used] = &ledger.used(&holder("a"), KIND)[..] else { panic!() };
    assert_eq!((used.refusals, used.last_refusal, used.last_seen), (2, Some(at(2)), None));
    drop(ledger.entered_at(entered("a", "c1", Slot::Current, "scan"), at(3)));
    assert_eq!(ledger.used(&holder("a"), KIND)[0].refusals, 0);
}

#[tokio::test]
async fn who_falls_back_is_told_of_once_with_what_was_refused() {
    let ledger = Ledger::default();
    drop(ledger.entered(Entered { passed_over: None, ..entered("b", "c8", Slot::Previous, "scan") }));
    assert_eq!(ledger.fell_back(), [], "nothing was refused");
    ledger.refused(&holder("a"), KIND, "c2", Slot::Current);
    let told = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.changed().await }
    });
    let uses = ["scan", "alice"].map(|login| ledger.entered(entered("a", "c1", Slot::Previous, login)));
    told.await.unwrap();
    ledger.changed().await; // not yet taken: nobody waits
    let fell_back = ledger.fell_back();
    let [told] = &fell_back[..] else { panic!("{fell_back:?}") };
    assert_eq!((told.refused.as_str(), told.refusals, told.used.as_str(), told.slot), ("c2", 1, "c1", Slot::Previous));
    assert_eq!(ledger.fell_back(), []);
    drop(uses);
}

#[test]
fn facts_that_nobody_hears_are_bounded() {
    let ledger = Ledger::default();
    for number in 0..=FELL_BACK_MAX {
        let account = format!("a{number}");
        ledger.refused(&holder(&account), KIND, "c2", Slot::Current);
        drop(ledger.entered(entered(&account, "c1", Slot::Previous, "scan")));
    }
    assert_eq!(ledger.fell_back().len(), FELL_BACK_MAX);
}

#[test]
fn login_names_are_bounded_and_those_with_sessions_stay() {
    let ledger = Ledger::default();
    let stays = ledger.entered_at(entered("a", "c1", Slot::Current, "stays"), at(0));
    for number in 1..100 {
        drop(ledger.entered_at(entered("a", "c1", Slot::Current, &format!("l{number}")), at(number)));
    }
    let [used] = &ledger.used(&holder("a"), KIND)[..] else { panic!() };
    assert_eq!((used.logins.len(), used.more, used.live), (LOGINS_MAX, true, 1));
    assert_eq!(names(&used.logins)[0], ("stays", 1));
    // All are busy: the next has no name here, and does not take away anybody else's session when it leaves.
    let crowd: Vec<Use> = (0..LOGINS_MAX)
        .map(|number| ledger.entered(entered("a", "c1", Slot::Current, &format!("m{number}"))))
        .collect();
    let unnamed = ledger.entered(entered("a", "c1", Slot::Current, "unnamed"));
    drop(crowd);
    let named = ledger.entered(entered("a", "c1", Slot::Current, "unnamed"));
    drop(unnamed);
    let [used] = &ledger.used(&holder("a"), KIND)[..] else { panic!() };
    assert_eq!(used.live, 2);
    assert_eq!(names(&used.logins)[..2].iter().map(|it| it.1).sum::<u32>(), 2);
    drop((stays, named));
}

#[test]
fn versions_without_sessions_are_bounded() {
    let ledger = Ledger::default();
    let held = ledger.entered_at(entered("a", "held", Slot::Current, "scan"), at(0));
    for number in 1..100 {
        ledger.refused_at(&holder("a"), KIND, &format!("c{number}"), Slot::Current, at(number));
    }
    let used = ledger.used(&holder("a"), KIND);
    assert_eq!(used.len(), VERSIONS_MAX + 1);
    assert!(used.iter().any(|it| it.credential == "held" && it.live == 1));
    assert!(used.iter().all(|it| it.credential != "c1"));
    drop(held);
}

#[test]
fn credentials_without_sessions_are_bounded_and_the_oldest_go() {
    let ledger = Ledger::default();
    let held = ledger.entered_at(entered("held", "c", Slot::Current, "scan"), at(0));
    for number in 1..=i64::try_from(GROUPS_MAX).unwrap() + 5 {
        ledger.refused_at(&holder(&format!("a{number}")), KIND, "c", Slot::Current, at(number));
    }
    let state = ledger.0.state();
    assert!(state.groups.len() <= GROUPS_MAX, "{}", state.groups.len());
    let knows = |name: &str| state.groups.contains_key(&(holder(name), KIND));
    assert_eq!((knows("held"), knows("a1"), knows("a1000"), knows("a1001")), (true, false, false, true));
    drop(state);
    drop(held);
    assert_eq!(ledger.used(&holder("held"), KIND)[0].live, 0);
}

#[test]
fn a_guard_may_outlive_what_is_known() {
    let ledger = Ledger::default();
    let held = ledger.entered(entered("a", "c1", Slot::Current, "scan"));
    ledger.0.state().groups.clear();
    drop(held);
    assert_eq!(ledger.used(&holder("a"), KIND), []);
}

#[test]
fn what_is_new_is_looked_at_first_and_what_is_open_again_after_a_while() {
    let ledger = Ledger::default();
    let hour = Duration::from_secs(3600);
    let open = ["a", "b", "c"].map(|name| ledger.entered_at(entered(name, "c1", Slot::Current, "scan"), at(0)));
    drop(ledger.entered_at(entered("gone", "c1", Slot::Current, "scan"), at(0)));
    assert_eq!(ledger.due(2, hour, at(1)).len(), 2);
    let current = BTreeMap::from([("c1".to_owned(), None)]);
    for (second, name) in [(30, "c"), (10, "a"), (20, "b"), (40, "gone")] {
        ledger.looked(&holder(name), KIND, Some(&current), at(second));
    }
    assert_eq!(ledger.due(9, hour, at(50)), []);
    drop(ledger.entered_at(entered("new", "c1", Slot::Current, "scan"), at(4000)));
    let due: Vec<String> = ledger.due(3, hour, at(4000)).iter().map(|(holder, _)| holder.name().to_owned()).collect();
    assert_eq!(due, ["new", "a", "b"]);
    drop(open);
}

#[test]
fn only_what_is_not_current_is_told() {
    let ledger = Ledger::default();
    let open = ledger.entered(entered("a", "c1", Slot::Current, "scan"));
    drop(ledger.entered(entered("a", "c0", Slot::Current, "scan")));
    assert_eq!(ledger.to_tell(Timestamp::now()), [], "nobody has looked");
    let places = |pairs: &[(&str, Option<UsagePlace>)]| {
        pairs.iter().map(|(id, place)| ((*id).to_owned(), *place)).collect::<BTreeMap<_, _>>()
    };
    let told = |ledger: &Ledger| {
        let told = ledger.to_tell(Timestamp::now());
        told.into_iter().map(|(_, _, used)| (used.credential, used.live)).collect::<BTreeMap<_, _>>()
    };
    ledger.looked(&holder("a"), KIND, Some(&places(&[("c1", None)])), at(1));
    assert_eq!(told(&ledger), BTreeMap::new(), "c0 is gone, and nobody uses it");
    ledger.looked(&holder("a"), KIND, Some(&places(&[("c2", None), ("c1", Some(UsagePlace::Previous))])), at(2));
    assert_eq!(told(&ledger), BTreeMap::from([("c1".to_owned(), 1)]));
    drop(open);
    assert_eq!(told(&ledger), BTreeMap::from([("c1".to_owned(), 0)]), "it was there lately");
    ledger.looked(&holder("a"), KIND, Some(&places(&[("c2", None)])), at(3));
    assert_eq!(told(&ledger), BTreeMap::new());
}

#[test]
fn what_is_used_as_the_current_one_again_is_in_no_other_place() {
    let ledger = Ledger::default();
    ledger.accepted(&holder("a"), KIND, "c1", Slot::Next);
    let places = BTreeMap::from([("c1".to_owned(), Some(UsagePlace::Next))]);
    ledger.looked(&holder("a"), KIND, Some(&places), at(1));
    assert_eq!(ledger.due(1, Duration::ZERO, at(1)), [(holder("a"), KIND)]);
    ledger.refused_at(&holder("a"), KIND, "c1", Slot::Current, at(2));
    assert_eq!(ledger.troubled(), [(holder("a"), KIND)], "though nobody has looked since");
    assert_eq!(ledger.used(&holder("a"), KIND)[0].place, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_comes_and_goes_and_leaves_nothing_open() {
    let ledger = Ledger::default();
    let crowd = (0..50).map(|number| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                let held = ledger.entered(entered("a", "c1", Slot::Current, &format!("l{number}")));
                tokio::task::yield_now().await;
                drop(held);
            }
        })
    });
    for client in crowd.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let [used] = &ledger.used(&holder("a"), KIND)[..] else { panic!() };
    assert_eq!((used.live, used.logins.iter().map(|it| it.live).max()), (0, Some(0)));
}
