//! Single steps; `tests/rotation/model.rs` tries every order of them.

use super::*;
use crate::model::{Material, Secret};

const HOUR: Duration = Duration::from_secs(3600);
const ALICE: Actor<'_> = Actor { by: "alice@desk", at: Timestamp::UNIX_EPOCH };

fn stored(id: &str) -> StoredCredential {
    StoredCredential {
        id: id.to_owned(),
        label: String::new(),
        created: ALICE.at,
        verified: None,
        retries: 0,
        material: Material::of("secret", Secret::new(id.to_owned())),
    }
}

fn staged(slots: &mut Slots, id: &str, op: &str, replaces: bool) -> Result<Done, StepError> {
    stage(slots, Staging { credential: stored(id), op: op.to_owned(), replaces }, ALICE)
}

fn promoted(op: &str) -> Slots {
    let mut slots = Slots::of(stored("a"));
    staged(&mut slots, "b", op, false).unwrap();
    promote(&mut slots, Promotion { id: "b", grace: HOUR, verified_within: None }, ALICE).unwrap();
    slots
}

#[test]
fn what_is_rolled_back_twice_does_not_go_forward() {
    for op in ["b", "hook-b"] {
        let mut slots = promoted(op);
        let is_back = |slots: &Slots| slots.previous.as_ref().unwrap().was_rolled_back();
        assert!(!is_back(&slots));
        assert_eq!(slots.previous.as_ref().unwrap().gave_way_to_a_command_s("b"), op == "hook-b");
        assert_eq!(roll_back(&mut slots, "c", "", HOUR, ALICE), Err(StepError::OtherPrevious));
        assert_eq!(roll_back(&mut slots, "a", "", HOUR, ALICE), Ok(Done::Now));
        let after = slots.clone();
        assert!(is_back(&slots));
        assert_eq!((roll_back(&mut slots, "a", "", HOUR, ALICE), &slots), (Ok(Done::Before), &after));
        assert_eq!(roll_back(&mut slots, "b", "", HOUR, ALICE), Ok(Done::Now));
        assert!(!is_back(&slots));
    }
}

#[test]
fn a_wrong_paste_after_a_rollback_takes_nothing_away() {
    let mut slots = Slots::of(stored("a"));
    replace(&mut slots, stored("wrong"), "wrong".to_owned(), HOUR, ALICE).unwrap();
    roll_back(&mut slots, "a", "", HOUR, ALICE).unwrap();
    for id in ["wrong again", "and again"] {
        replace(&mut slots, stored(id), id.to_owned(), HOUR, ALICE).unwrap();
        assert_eq!(slots.previous.as_ref().unwrap().credential.id, "a", "the only one that works");
    }
}

#[test]
fn nobody_gives_up_another_one_than_the_one_that_was_seen() {
    let mut slots = promoted("b");
    staged(&mut slots, "c", "c", false).unwrap();
    let before = slots.clone();
    assert_eq!(retire(&mut slots, "z", true, ALICE), Err(StepError::OtherPrevious));
    assert_eq!(discard(&mut slots, "z", None, ALICE), Err(StepError::Another));
    assert_eq!(slots, before);
    assert_eq!(retire(&mut slots, "a", true, ALICE), Ok(Done::Now));
    assert_eq!(discard(&mut slots, "c", None, ALICE), Ok(Done::Now));
}

#[test]
fn a_provider_s_limit_is_for_what_is_added_alone() {
    let full = |before: &Slots, after: &Slots| has_room(before, after, Some(1)).is_err();
    let one = Slots::of(stored("a"));
    let mut next = one.clone();
    staged(&mut next, "b", "b", false).unwrap();
    assert!(full(&one, &next) && !full(&next, &next));
    assert_eq!(has_room(&one, &next, None), Ok(()));
    let mut asked = one.clone();
    ask(&mut asked, "hook-b", "b", ALICE.at + HOUR, ALICE).unwrap();
    assert!(full(&one, &asked));
    // What a command has made is there, and is not lost.
    let mut answered = asked.clone();
    staged(&mut answered, "b", "hook-b", false).unwrap();
    assert!(!full(&asked, &answered));
    let mut replaced = one.clone();
    staged(&mut replaced, "b", "b", true).unwrap();
    assert!(!full(&one, &replaced));
    assert!(!full(&next, &promoted("b")));
}

#[test]
fn a_cause_is_put_down_once_and_nothing_in_it_is_long() {
    let mut slots = Slots::of(stored("a"));
    staged(&mut slots, "b", "b", false).unwrap();
    let cause = format!("no\u{1b}[0m {}", "x".repeat(1000));
    for _ in 0..2 {
        refused(&mut slots, "b", &cause, ALICE).unwrap();
    }
    discard(&mut slots, "b", Some("refused"), ALICE).unwrap();
    let reasons: Vec<_> = slots.history.iter().map(|entry| (&*entry.step, entry.reason.as_deref())).collect();
    let short = format!("no[0m {}", "x".repeat(REASON_CHARS_MAX - 6));
    let expected = [("staged", None), ("refused", Some(&*short)), ("failed", None), ("discarded", Some("refused"))];
    assert_eq!(reasons, expected);
}

#[test]
fn what_is_given_up_again_and_again_is_to_be_deleted_once() {
    let mut slots = Slots::of(stored("a"));
    for (id, label) in [("b", "x"), ("c", "x"), ("d", "y"), ("e", ""), ("f", "")] {
        let credential = StoredCredential { label: label.to_owned(), ..stored(id) };
        stage(&mut slots, Staging { credential, op: id.to_owned(), replaces: false }, ALICE).unwrap();
        discard(&mut slots, id, None, ALICE).unwrap();
    }
    let left: Vec<_> = slots.leftovers.iter().map(|left| (&*left.id, &*left.label)).collect();
    assert_eq!(left, [("c", "x"), ("d", "y"), ("e", ""), ("f", "")]);
}

#[test]
fn what_a_command_made_in_vain_is_named_as_the_portal_names_it() {
    for (made, expected) in
        [(Unstaged::None, None), (Unstaged::Perhaps, Some("Locum b")), (Unstaged::Called("phone 2"), Some("phone 2"))]
    {
        let (mut slots, until) = (Slots::of(stored("a")), ALICE.at + HOUR);
        ask(&mut slots, "hook-b", "Locum b", until, ALICE).unwrap();
        answered_not(&mut slots, "hook-b", until, made, ALICE).unwrap();
        assert_eq!(slots.leftovers.first().map(|left| &*left.label), expected);
        assert!(slots.leftovers.iter().all(|left| left.until.is_none()), "others need not wait");
    }
}

#[test]
fn a_claim_of_a_clock_that_was_wrong_holds_up_nobody() {
    let mut slots = Slots::of(stored("a"));
    staged(&mut slots, "b", "hook-b", true).unwrap();
    let (soon, never) = (ALICE.at + HOUR, ALICE.at + HOUR * 24 * 365);
    apply(&mut slots, "b", never, ALICE).unwrap();
    assert_eq!(apply(&mut slots, "b", soon, ALICE), Ok(Done::Now));
    assert_eq!(apply(&mut slots, "b", soon, ALICE), Err(StepError::Applying { until: soon }));
}
