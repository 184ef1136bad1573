//! A secret is revoked where the records are in a Vault: its sessions end within 2 s on two nodes that poll as often as they do
//! by default, and the others go on. A store that is out of reach ends no session.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use locum::broker::client_secret;
use locum::model::Protocol;

use crate::house::House;
use crate::openbao::Dev;
use crate::support::Actor;

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_secret_ends_its_sessions_on_two_nodes_within_two_seconds() {
    let dev = Dev::start().await;
    let house = House::found(&dev, &[dev.address().to_owned()], None, "1h").await;
    let lab = house.plan("").await.start().await;
    let other = lab.node(|_| {}).await;
    let alice = lab.alice.clone();
    let (record, secret) = client_secret::issue("another", None, Timestamp::now()).unwrap();
    lab.alter(&alice, |client| client.secrets.push(record)).await;
    let kept = Actor { secret: secret.expose_text().unwrap().to_owned(), ..alice.clone() };
    let (mut revoked, mut left) = (Vec::new(), Vec::new());
    for node in [&*lab, &other] {
        revoked.push(node.log_in(Protocol::Imap, &alice).await);
        left.push(node.log_in(Protocol::Imap, &kept).await);
    }

    let began = Instant::now();
    lab.alter(&alice, |client| client.secrets.retain(|secret| secret.label == "another")).await;
    join_all(revoked.into_iter().map(crate::support::Wire::rest)).await;
    let took = began.elapsed();
    println!("a secret is revoked: the last of its sessions on two nodes ended {took:.0?} later");
    assert!(took < Duration::from_secs(2), "{took:?}");
    for wire in &mut left {
        assert!(wire.ask("n NOOP").await.starts_with("n OK"));
    }

    // Nobody can be asked, and the session is looked at in vain, for another one of the same client came in.
    drop(dev);
    let _again = lab.log_in(Protocol::Imap, &kept).await;
    for wire in &mut left {
        assert!(wire.is_silent_for(Duration::from_millis(1500)).await, "it was ended");
        assert!(wire.ask("n NOOP").await.starts_with("n OK"));
    }
}
