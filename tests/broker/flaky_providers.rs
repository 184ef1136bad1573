//! A provider that is wrong for a while, on the whole broker with its keeper: what is good is not taken away for it, and what
//! somebody has gone back to stays.

use jiff::SignedDuration;
use locum::model::{Protocol, Secret};
use locum::rotation::Subject;
use locum::sandbox::Behaviour;

use crate::keeper::{OTHER, THIRD, alerts, current, enter, events, hasty, promote, slots, until};
use crate::support::{Doors, Lab, Plan};
use crate::usage::operator;

const FIRST: &str = "zxcvbnmlkjhgfdsa";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Another mailbox, which takes its old password alone, is rolled back by the node of these doors: whatever was to be done
/// about others that were in trouble before has been done by then.
async fn others_are_rolled_back(lab: &Lab, doors: &Doors) {
    let bob = lab.enrol("bob", "gmail", FIRST).await;
    lab.gmail.add_mailbox(&bob.address, FIRST, Behaviour::Normal);
    let (_, old) = promote(lab, &bob, OTHER, HOUR).await;
    for _ in 0..2 {
        enter(doors, &bob).await;
    }
    until("it is rolled back", async || current(lab, &bob).await == old).await;
}

#[tokio::test]
async fn refusals_that_pass_take_nothing_away() {
    let lab = Plan::new().tune(hasty).start().await;
    let alice = &lab.alice;
    let (new, _) = promote(&lab, alice, OTHER, HOUR).await;
    for _ in 0..3 {
        // One server knows the new password already, and another one does not yet.
        enter(&lab, alice).await;
        lab.gmail.sandbox.set_password(&alice.address, Secret::new(OTHER));
        enter(&lab, alice).await;
        lab.gmail.sandbox.set_password(&alice.address, Secret::new(&*alice.app_password));
    }
    enter(&lab, alice).await;
    others_are_rolled_back(&lab, &lab).await;
    assert_eq!(current(&lab, alice).await, new);
    assert_eq!(alerts(&lab, "fell-back"), 2, "of each mailbox one, however often");
}

#[tokio::test]
async fn a_provider_that_refuses_all_for_a_while_and_recovers_is_no_reason() {
    let lab = Plan::new().tune(hasty).start().await;
    let alice = &lab.alice;
    let (new, _) = promote(&lab, alice, OTHER, HOUR).await;
    lab.gmail.sandbox.set_password(&alice.address, Secret::new(THIRD));
    for _ in 0..3 {
        lab.present(Protocol::Imap, &alice.login, &alice.secret).await;
    }
    assert_eq!(lab.gmail.logins().len(), 4, "each of the two twice");
    lab.gmail.sandbox.set_password(&alice.address, Secret::new(OTHER));
    others_are_rolled_back(&lab, &lab).await;
    assert_eq!(current(&lab, alice).await, new);
}

#[tokio::test]
async fn what_one_node_went_back_to_another_one_does_not_go_back_from() {
    let lab = Plan::new().tune(hasty).start().await;
    let alice = &lab.alice;
    let audit = lab.path("audit.jsonl");
    let other = lab.node(|config| config.audit.path = Some(audit)).await;
    let (new, old) = promote(&lab, alice, OTHER, HOUR).await;
    for _ in 0..2 {
        enter(&lab, alice).await;
    }
    until("it is rolled back", async || current(&lab, alice).await == old).await;

    // It was the provider that was wrong, and now it is so the other way round. The other node has not met with that yet.
    lab.gmail.sandbox.set_password(&alice.address, Secret::new(OTHER));
    for _ in 0..2 {
        enter(&other, alice).await;
    }
    others_are_rolled_back(&lab, &other).await;
    let places = slots(&lab, alice).await;
    let ids = (places.current.unwrap().id, places.previous.unwrap().credential.id);
    assert_eq!(ids, (old.clone(), new), "clients are let in, and an operator decides");
    let told = events(&lab, "alert").into_iter().filter(|it| it["kind"] == "fell-back" && it["credential"] == *old);
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn what_an_operator_goes_back_to_is_tried_though_it_was_refused_twice() {
    let lab = Plan::new().tune(hasty).start().await;
    let alice = &lab.alice;
    let (new, old) = promote(&lab, alice, OTHER, HOUR).await;
    for _ in 0..2 {
        enter(&lab, alice).await;
    }
    until("it is rolled back", async || current(&lab, alice).await == old).await;

    // The provider knows it by now.
    lab.gmail.sandbox.add_password(&alice.address, Secret::new(OTHER));
    let (_, operator) = operator(&lab);
    operator.roll_back(&Subject::app_password(&alice.address), &new, "it was right").await.unwrap();
    enter(&lab, alice).await;
    let used = events(&lab, "upstream").pop().unwrap();
    assert_eq!((&used["credential"], &used["slot"]), (&new.into(), &serde_json::Value::Null), "{used}");
}
