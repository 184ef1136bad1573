//! The troubles, one after the other: what is counted belongs to the process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use locum::config::Config;
use locum::model::{CredentialKind, NextState, Protocol, Secret};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::net::TcpStream;

use crate::house::House;
use crate::openbao::{Cluster, eventually};
use crate::pages::assert_listed;
use crate::promtool::assert_fires;
use crate::scrape::Scrape;
use crate::support::{Actor, Door, Lab, Plan, credential, next};

const ADMIN: &str = "[admin]\nbind = \"127.0.0.1:0\"\n";

/// The keeper's rounds come within moments.
fn hasty(config: &mut Config) {
    let keeper = &mut config.rotation.keeper;
    (keeper.look_every, keeper.round_every) = (Duration::from_millis(50), Duration::from_millis(50));
    keeper.verify_every = None;
}

fn plan() -> Plan {
    Plan::new().toml(ADMIN).tune(hasty)
}

/// Nodes that read from there.
async fn plan_in(house: &House) -> Plan {
    Plan::new().store(&house.toml(""), house.operator("").await).toml(ADMIN)
}

/// A node where all is well: two clients are logged in, and a round of the keeper is over.
async fn well(lab: &Lab) -> Scrape {
    lab.log_in(Protocol::Imap, &lab.alice).await;
    lab.log_in(Protocol::Submission, &lab.scanner).await;
    scraped(lab, |scrape| {
        scrape.sum("locum_ready", &[]) == 1.0
            && scrape.sum("locum_rotations", &[]) == 0.0
            && scrape.sum("locum_credentials", &[]) == 2.0
            && scrape.sum("locum_sessions", &[]) == 0.0
    })
    .await
}

/// Ends a node: one that is merely dropped goes on with its rounds, and counts in the same process.
async fn end(lab: Lab) {
    lab.drain();
    eventually("doors that are shut", async || TcpStream::connect(lab.address("imaps")).await.is_err().then_some(()))
        .await;
}

/// The first scrape of which that is so.
async fn scraped(lab: &Lab, is: impl Fn(&Scrape) -> bool) -> Scrape {
    eventually("a node that tells of it", async || {
        let scrape = Scrape::of(lab).await;
        is(&scrape).then_some(scrape)
    })
    .await
}

async fn log_in_in_vain(lab: &Lab, actor: &Actor) {
    let (_, answer) = lab.present(Protocol::Imap, &actor.login, &actor.secret).await;
    assert!(answer.starts_with("a NO "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_fire_for_what_they_are_for_and_for_nothing_else() {
    nothing_is_wrong().await;
    a_credential_is_dead().await;
    rotations_failed_and_stuck().await;
    a_certificate_ends().await;
    the_store_is_down().await;
    assert_listed(&everything().await, &open());
}

async fn nothing_is_wrong() {
    let lab = plan().start().await;
    let before = well(&lab).await;
    assert_fires(&before, &well(&lab).await, &[]);
    end(lab).await;
}

async fn a_credential_is_dead() {
    let lab = plan().start().await;
    let before = well(&lab).await;
    assert!(lab.gmail.sandbox.set_password(&lab.alice.address, Secret::new("qwertzuiopasdfgh")));
    for _ in 0..3 {
        log_in_in_vain(&lab, &lab.alice).await;
    }
    let dead = scraped(&lab, |scrape| scrape.sum("locum_credentials_refused", &[("upstream", "gmail")]) == 1.0).await;
    assert_fires(&before, &dead, &["LocumCredentialRefused", "LocumLoginsFailing"]);

    lab.rotate(&lab.alice, "qwertzuiopasdfgh").await;
    assert_fires(&dead, &well(&lab).await, &["LocumCredentialRefused"]);
    end(lab).await;
}

async fn rotations_failed_and_stuck() {
    let lab = plan().start().await;
    let before = well(&lab).await;
    let failed = NextState::Failed { at: Timestamp::now(), cause: "the provider refuses it".into() };
    lab.place(&lab.alice, CredentialKind::AppPassword, |slots| {
        slots.next = Some(next(credential("lkjhgfdsamnbvcxz"), failed));
    })
    .await;
    let due = |why: &'static str| move |scrape: &Scrape| scrape.sum("locum_rotation_due", &[("why", why)]) == 1.0;
    let failed = scraped(&lab, due("failed")).await;
    assert_fires(&before, &failed, &["LocumRotationFailed"]);

    lab.place(&lab.alice, CredentialKind::AppPassword, |slots| {
        let mut staged = next(credential("lkjhgfdsamnbvcxz"), NextState::Staged);
        staged.since = Timestamp::now() - SignedDuration::from_hours(25);
        slots.next = Some(staged);
    })
    .await;
    let stuck = scraped(&lab, due("staged")).await;
    assert_fires(&before, &stuck, &["LocumRotationStuck"]);
    end(lab).await;
}

async fn a_certificate_ends() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["ends.crt", "ends.key"].map(|name| folder.path().join(name));
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let until = (Timestamp::now() + SignedDuration::from_hours(3 * 24)).as_second().unsigned_abs();
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(until);
    let pair = KeyPair::generate().unwrap();
    fs::write(&certificate, params.self_signed(&pair).unwrap().pem()).unwrap();
    fs::write(&key, pair.serialize_pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    let good = plan().start().await;
    let before = well(&good).await;
    let ending = good.node(move |config| {
        (config.tls.certificate, config.tls.key) = (Some(certificate), Some(key));
    });
    let ending = ending.await;
    let after = eventually("a node that serves", async || {
        let scrape = Scrape::of(&ending).await;
        (scrape.sum("locum_ready", &[]) == 1.0).then_some(scrape)
    })
    .await;
    // It is for somebody to look at, and no reason to take the node out.
    assert_fires(&before, &after, &["LocumCertificateExpiring", "LocumDegraded"]);
    end(good).await;
}

async fn the_store_is_down() {
    let mut cluster = Cluster::start(1).await;
    let house = House::found(&cluster.on(0), &cluster.addresses(), Some(cluster.ca_file()), "1h").await;
    let lab = plan_in(&house).await.start().await;
    let is_well = |scrape: &Scrape| scrape.sum("locum_store_up", &[]) == 1.0 && scrape.sum("locum_ready", &[]) == 1.0;
    let before = scraped(&lab, is_well).await;
    assert_fires(&before, &scraped(&lab, is_well).await, &[]);
    cluster.kill(0);
    let down = scraped(&lab, |scrape| scrape.sum("locum_store_up", &[]) == 0.0).await;
    assert_fires(&before, &down, &["LocumStoreDown", "LocumDegraded"]);
}

/// What a node tells of itself whose records are in a Vault and whose clients met with this and that.
async fn everything() -> Scrape {
    let mut cluster = Cluster::start(1).await;
    let house = House::found(&cluster.on(0), &cluster.addresses(), Some(cluster.ca_file()), "1h").await;
    let lab = plan_in(&house).await.toml("[rotation]\nkeeper = false\n").start().await;
    let beside = plan().start().await; // the same process counts
    well(&beside).await;
    beside.present(Protocol::Pop3, "nobody", "nothing").await;
    beside.present(Protocol::Imap, &beside.alice.login, "nothing").await;
    beside.gmail.sandbox.set_password(&beside.alice.address, Secret::new("qwertzuiopasdfgh"));
    for _ in 0..3 {
        log_in_in_vain(&beside, &beside.alice).await;
    }
    drop(lab.connect(Protocol::Imap, Door::Plain).await);
    lab.log_in(Protocol::Pop3, &lab.alice).await;
    cluster.kill(0);
    scraped(&lab, |scrape| scrape.sum("locum_store_up", &[]) == 0.0).await
}

/// What the configuration of a lab names.
fn open() -> Vec<&'static str> {
    vec![
        "gmail",
        "exchange-online",
        "imap",
        "imaps",
        "imap-plain",
        "pop3",
        "pop3s",
        "pop3-plain",
        "submission",
        "submissions",
        "submission-plain",
    ]
}
