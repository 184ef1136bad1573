//! Who still uses the credential before the current one: sessions that were open through one node when another credential
//! became current are told of by that node, until they end, and hold up its retirement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use locum::audit::Audit;
use locum::broker::{self, Broker, Directory};
use locum::config::Config;
use locum::model::CredentialKind::AppPassword;
use locum::model::{Protocol, Secret, UsagePlace, UsageReport};
use locum::net::{HttpOptions, Https, tls};
use locum::rotation::machine::{self, Actor as Step, Done, Promotion, Staging};
use locum::rotation::{Rotation, RotationError, StillUsed, Subject, still_used};
use locum::upstream::Upstreams;

use crate::answers::accepted;
use crate::support::{Actor, Lab, Plan, Wire, credential};

const NEW: &str = "lkjhgfdsamnbvcxz";

/// Long enough for any machine; reached only where something is wrong.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn often(config: &mut Config) {
    let usage = &mut config.rotation.usage;
    (usage.interval, usage.look_again) = (Duration::from_millis(20), Duration::from_millis(20));
}

/// Stages and promotes in one write; the one before may be retired at once. Its id.
async fn promote(lab: &Lab, actor: &Actor) -> String {
    lab.gmail.sandbox.set_password(&actor.address, Secret::new(NEW));
    let mut before = String::new();
    lab.place(actor, AppPassword, |slots| {
        before.clone_from(&slots.current.as_ref().unwrap().id);
        let step = || Step { by: "operator@test", at: Timestamp::now() };
        let credential = credential(NEW);
        let id = credential.id.clone();
        machine::stage(slots, Staging { credential, op: id.clone(), replaces: false }, step()).unwrap();
        let how = Promotion { id: &id, grace: Duration::ZERO, verified_within: None };
        machine::promote(slots, how, step()).unwrap();
    })
    .await;
    before
}

pub(crate) fn operator(lab: &Lab) -> (Directory, Rotation) {
    let config = lab.config().clone();
    let directory = Directory::of_operator(Arc::clone(&lab.store), "operator@test");
    let client_tls = tls::client_config(&config.tls).unwrap();
    let https = Https::new(&client_tls, HttpOptions::default()).unwrap();
    let tokens = Arc::new(broker::tokens(directory.clone(), https, config.tokens));
    let broker = Broker::new(directory.clone(), tokens, config.upstreams, Audit::default(), config.broker);
    let upstreams = Arc::new(Upstreams::new(client_tls, config.upstream));
    let audit = Audit::default();
    let rotation =
        Rotation::new(directory.clone(), Arc::new(broker), upstreams, audit, "operator@test", config.rotation);
    (directory, rotation)
}

/// Who uses it, once that is as it should be.
pub(crate) async fn used_when(
    directory: &Directory,
    subject: &Subject,
    id: &str,
    is_it: impl Fn(&[StillUsed]) -> bool,
) -> Vec<StillUsed> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let used = still_used(directory, subject, id, Timestamp::now()).await.unwrap();
        if is_it(&used) {
            return used;
        }
        assert!(Instant::now() < deadline, "it stays so: {used:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn reports(directory: &Directory) -> Vec<UsageReport> {
    let page = directory.usage_page(None, 100).await.unwrap();
    page.records.into_iter().map(|found| found.record).collect()
}

async fn leave(mut wire: Wire) {
    assert!(wire.ask("z LOGOUT").await.starts_with("* BYE"));
}

#[tokio::test]
async fn a_session_of_the_one_before_is_told_by_its_node_and_holds_up_retirement_until_it_ends() {
    let lab = Plan::new().tune(often).start().await;
    let second = lab.node(|_| ()).await;
    let (directory, rotation) = operator(&lab);
    let subject = Subject::app_password(&lab.alice.address);
    let open = second.log_in(Protocol::Imap, &lab.alice).await;
    let also = second.log_in(Protocol::Imap, &lab.alice).await;

    let before = promote(&lab, &lab.alice).await;
    // With the new one, through the other node: of no interest to anybody.
    let of_now = lab.log_in(Protocol::Imap, &lab.alice).await;
    let used = used_when(&directory, &subject, &before, |used| used.iter().any(|it| it.live == 2)).await;
    let [used] = &used[..] else { panic!("{used:?}") };
    let logins: Vec<(&str, u32)> = used.logins.iter().map(|it| (it.login.as_str(), it.live)).collect();
    assert_eq!(logins, [(lab.alice.login.as_str(), 2)]);
    let told = reports(&directory).await;
    let [told] = &told[..] else { panic!("the other node has nothing to tell: {told:?}") };
    assert_eq!((&told.node, told.entries.len(), told.entries[0].place), (&used.node, 1, UsagePlace::Previous));

    let refused = rotation.retire(&subject, &before, false).await.unwrap_err();
    assert!(matches!(&refused, RotationError::StillUsed { used } if used[0].live == 2) && refused.is_transient());
    assert!(refused.to_string().contains(&format!("2 sessions on {} ({}, last seen ", used.host, lab.alice.login)));

    leave(open).await;
    leave(also).await;
    let used = used_when(&directory, &subject, &before, |used| used.iter().all(|it| it.live == 0)).await;
    assert_eq!((used.len(), used[0].logins[0].live), (1, 0), "who it was is told still");
    let retired = rotation.retire(&subject, &before, false).await.unwrap();
    assert_eq!((retired.done, retired.note), (Done::Now, None));
    leave(of_now).await;
}

#[tokio::test]
async fn who_insists_retires_it_all_the_same_and_is_told_who_stays() {
    let lab = Plan::new().tune(often).start().await;
    let (directory, rotation) = operator(&lab);
    let subject = Subject::app_password(&lab.alice.address);
    let mut open = lab.log_in(Protocol::Imap, &lab.alice).await;
    let before = promote(&lab, &lab.alice).await;
    used_when(&directory, &subject, &before, |used| used.iter().any(|it| it.live == 1)).await;
    let retired = rotation.retire(&subject, &before, true).await.unwrap();
    let note = retired.note.unwrap();
    assert!(note.contains("1 session on ") && note.contains(&lab.alice.login), "{note}");
    assert!(open.ask("n NOOP").await.starts_with("n OK"), "a session does not end for it");
}

#[tokio::test]
async fn a_node_that_stops_says_that_nobody_is_there_any_more() {
    let mut lab = Plan::new().tune(often).start().await;
    let (directory, _) = operator(&lab);
    let subject = Subject::app_password(&lab.alice.address);
    let open = lab.log_in(Protocol::Imap, &lab.alice).await;
    let before = promote(&lab, &lab.alice).await;
    used_when(&directory, &subject, &before, |used| used.iter().any(|it| it.live == 1)).await;
    leave(open).await;
    lab.drain();
    lab.stopped().await;
    let told = reports(&directory).await;
    assert!(told[0].ended && told[0].entries[0].live == 0, "{told:?}");
    assert_eq!(told[0].entries[0].logins[0].login, lab.alice.login);
}

#[tokio::test]
async fn where_nothing_is_replaced_nothing_is_told() {
    let mut lab = Plan::new().tune(often).start().await;
    let (wire, answer) = lab.present(Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
    assert_eq!(answer, accepted(Protocol::Imap));
    leave(wire).await;
    lab.drain();
    lab.stopped().await;
    let (directory, _) = operator(&lab);
    assert_eq!(reports(&directory).await, []);
}
