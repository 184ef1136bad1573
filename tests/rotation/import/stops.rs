//! An import that ends in the middle: it is run again, and each account is rotated once.

use rustix::process::{Pid, Signal, kill_process};

use super::{
    Turned, accounts, end_of, import, is_current, lab, results, slots, start, times, wait_for_rows, write_csv,
};
use crate::support::Lab;

const ACCOUNTS: usize = 40;
const ARGUMENTS: [&str; 5] = ["new.csv", "--protocol", "submission", "--at-once", "2"];

#[tokio::test]
async fn killed_in_the_middle_it_goes_on_where_it_was() {
    let lab = lab().await;
    let turned = accounts(&lab, ACCOUNTS, |_| true).await;
    write_csv(&lab, &turned);
    for rows in [3, 9] {
        let mut child = start(&lab, &ARGUMENTS);
        wait_for_rows(&lab, rows).await;
        child.kill().unwrap();
        end_of(child).await;
        assert!(results(&lab).len() < ACCOUNTS, "it was through before it was killed");
    }
    import(&lab, &ARGUMENTS).await.ended(0).said("40 rows: ");
    all_are_rotated_once(&lab, &turned).await;
}

#[tokio::test]
async fn told_to_stop_it_ends_what_is_under_way_and_says_what_is_left() {
    let lab = lab().await;
    let turned = accounts(&lab, ACCOUNTS, |_| true).await;
    write_csv(&lab, &turned);
    let child = start(&lab, &ARGUMENTS);
    wait_for_rows(&lab, 5).await;
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let run = end_of(child).await.ended(75);
    run.said("no more rows are begun").said("run it again to go on");
    let outcomes = results(&lab);
    assert_eq!(outcomes.len(), ACCOUNTS, "each row is in the file");
    for Turned { actor, .. } in &turned {
        let slots = slots(&lab, actor).await;
        let rotated = match outcomes[&actor.address][0].as_str() {
            "rotated" => 1,
            "not-tried" => 0,
            other => panic!("{}: {other}", actor.address),
        };
        assert_eq!((times(&slots, "staged"), times(&slots, "promoted")), (rotated, rotated), "nothing is half done");
    }
    import(&lab, &ARGUMENTS).await.ended(0).said(" already");
    all_are_rotated_once(&lab, &turned).await;
}

async fn all_are_rotated_once(lab: &Lab, turned: &[Turned]) {
    let results = results(lab);
    assert_eq!(results.len(), turned.len(), "a new file has all rows");
    for Turned { actor, new, .. } in turned {
        let slots = slots(lab, actor).await;
        assert!(is_current(&slots, new) && slots.next.is_none() && slots.leftovers.is_empty(), "{slots:?}");
        assert_eq!((times(&slots, "staged"), times(&slots, "promoted")), (1, 1), "{slots:?}");
        let [outcome, _, id, before, label] = &results[&actor.address];
        assert!(["rotated", "already"].contains(&outcome.as_str()), "{outcome}");
        assert_eq!(id, &slots.current.as_ref().unwrap().id);
        assert_eq!((before, label.as_str()), (&slots.previous.as_ref().unwrap().credential.id, "lab"));
    }
}
