//! What somebody else wrote, and what was taken away: when a node that remembers better minds it.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use locum::model::{Protocol, RecordId, RecordKind, Secret};
use serde_json::Value;

use crate::house::House;
use crate::looks::figure;
use crate::openbao::child::free_port;
use crate::openbao::{Dev, eventually};
use crate::scene::{tell, vault};
use crate::support::Lab;
use crate::traffic::Verdict;

const HOUR: Duration = Duration::from_secs(3600);
const LOOKS: &str = "locum_store_request_seconds_count{operation=\"read_feed\"}";

async fn house() -> (Dev, House) {
    let dev = Dev::start().await;
    let house = House::found(&dev, &[dev.address().to_owned()], None, "1h").await;
    (dev, house)
}

/// The provider changed the password, and the operator puts it into the record with the server's own tool, which tells no
/// node of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_with_the_servers_own_tool_is_seen_at_the_first_refused_login() {
    let (dev, house) = house().await;
    let plan = house.plan("").await.tune(|config| {
        let options = vault(config);
        (options.cache.poll_interval, options.cache.refresh_after) = (HOUR, HOUR);
    });
    let lab = plan.start().await;
    // Its first look at the feed has it ask again for whatever it read before.
    eventually("a look at the feed", async || (figure(&lab, LOOKS).await > 0.0).then_some(())).await;
    let alice = &lab.alice;
    for (round, protocol) in Protocol::ALL.into_iter().enumerate() {
        lab.log_in(protocol, alice).await;
        let old = if round == 0 { alice.app_password.clone() } else { format!("changed-{}", round - 1) };
        let new = format!("changed-{round}");
        lab.gmail.sandbox.set_password(&alice.address, Secret::new(new.as_str()));
        edit(&dev, &alice.address, &old, &new).await;

        let logins = lab.gmail.logins().len();
        lab.log_in(protocol, alice).await;
        assert_eq!(lab.gmail.logins().len() - logins, 2, "{protocol}: the old one is refused, the new one is not");
        lab.log_in(protocol, alice).await;
        assert_eq!(lab.gmail.logins().len() - logins, 3, "{protocol}: from then on it is known");
    }
}

/// As docs/vault.md does it.
async fn edit(dev: &Dev, account: &str, old: &str, new: &str) {
    let path = format!("locum/{}", RecordId::new(RecordKind::Account, account));
    let record = dev.bao(&["kv", "get", "-field=record", &path]).await;
    assert_eq!(record.matches(old).count(), 1, "the secret stands in it once");
    let shown: Value = serde_json::from_str(&dev.bao(&["kv", "get", "-format=json", &path]).await).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("record");
    fs::write(&file, record.replace(old, new).trim_end()).unwrap();
    let cas = format!("-cas={}", shown["data"]["metadata"]["version"]);
    dev.bao(&["kv", "put", &cas, &path, &format!("record=@{}", file.display())]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_secret_ends_at_another_node_within_two_seconds_by_push() {
    let peer = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (_dev, house) = house().await;
    let plan = house.plan(&format!("peers = [\"{peer}\"]\n")).await;
    // What is seen sooner than in an hour came by push.
    let deaf = plan.tune(|config| {
        let options = vault(config);
        (options.cache.poll_interval, options.cache.refresh_after) = (HOUR, HOUR);
    });
    let lab = deaf.start().await;
    let took = revoked_at_another_node(&lab, Some(peer)).await;
    println!("a revoked secret ended at another node {took:.1?} after, by push");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_secret_ends_at_another_node_within_three_seconds_by_polling() {
    let (_dev, house) = house().await;
    let lab = house.plan("").await.tune(|config| vault(config).cache.refresh_after = HOUR).start().await;
    let took = revoked_at_another_node(&lab, None).await;
    println!("a revoked secret ended at another node {took:.1?} after, by polling alone");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// How long it took from the revocation on until a node that knew the client turned it away.
async fn revoked_at_another_node(lab: &Lab, peer: Option<SocketAddr>) -> Duration {
    let other = lab.node(|config| vault(config).peer_bind = peer).await;
    tell(&other, &lab.alice, Verdict::LetIn, "before").await;
    lab.alter(&lab.alice, |client| client.secrets.clear()).await;
    let began = Instant::now();
    eventually("a secret that works no longer", async || {
        let (_wire, answer) = other.present(Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
        (Verdict::of(Protocol::Imap, &answer) != Verdict::LetIn).then_some(())
    })
    .await;
    let took = began.elapsed();
    tell(&other, &lab.alice, Verdict::Wrong, "after").await;
    took
}
