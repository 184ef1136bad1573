//! The store in a Vault: a real OpenBao that is sealed, killed, silent or in trouble, and the way to it. Clients that the node
//! knows notice nothing; others are told to come again; `/readyz` has the plain cause. More of it, with three servers and
//! all day long: `tests/outages`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use locum::model::Protocol;
use locum::net::tls::{self, Pems};
use rustls::ServerConfig;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::house::House;
use crate::openbao::{Cluster, eventually};
use crate::page::{self, code};
use crate::stage::{Act, Bystanders, Client, Fault, Plan, Stage, Tap, View, When, settled, trusting};

/// For a login that has to ask: a request or two (`request-timeout`), and what a busy machine adds.
const LONGEST: Duration = Duration::from_secs(10);

/// What befalls the server, or the way to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Sealed,
    Killed,
    StandsStill,
    TokenRevoked,
    PolicyTaken,
    OnTheWay(Fault),
}

struct Row {
    name: &'static str,
    words: &'static str,
    what: What,
    /// What `/readyz` says; empty where it is no outage.
    said: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |name, words, what, said| Row { name, words, what, said };
    let on_the_way = |when, act| What::OnTheWay(Fault::at(when, act));
    let broken = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    vec![
        row("sealed", "It is sealed", What::Sealed, "sealed"),
        row("killed", "It is killed, and started again", What::Killed, "Connection refused"),
        row("still", "It stands still (SIGSTOP)", What::StandsStill, "timed out"),
        row("revoked", "The node's token is revoked", What::TokenRevoked, ""),
        row("rights", "The node's rights are taken away", What::PolicyTaken, "denied"),
        row("closed", "It hangs up at each request", on_the_way(When::Request, Act::Close), "closed"),
        row("reset", "Requests to it are reset", on_the_way(When::Request, Act::Reset), "Connection reset"),
        row("slow", "It answers a byte each 20 ms", on_the_way(When::Request, Act::Slow), "timed out"),
        row("errors", "It answers each request with 500", on_the_way(When::Request, Act::Say(broken)), "500"),
        row("garbage", "It answers with garbage", on_the_way(When::Request, Act::Garbage), "HTTP"),
    ]
}

/// A Vault, and the tap before it.
struct Vault {
    cluster: Cluster,
    house: House,
    tap: Tap,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_asked_is_an_outage_for_strangers_to_the_node_alone() {
    let cluster = Cluster::start(1).await;
    let folder = cluster.ca_file().parent().unwrap().to_owned();
    let port = cluster.addresses()[0].rsplit(':').next().unwrap().parse().unwrap();
    let tap = Tap::before_vault(port, identity(&folder), trusting(cluster.ca_file())).await;
    let address = format!("https://127.0.0.1:{}", tap.port());
    let house = House::found(&cluster.on(0), &[address], Some(cluster.ca_file()), "1h").await;
    let settings = "request-timeout = \"1s\"\nrefresh-after = \"0s\"\npoll-interval = \"1s\"\n";
    let names: Vec<_> = rows().iter().map(|row| row.name).collect();
    let mut plan = Plan::new(&names);
    plan.store = Some((house.toml(settings), house.operator(settings).await));
    let stage = plan.start().await;
    let mut vault = Vault { cluster, house, tap };
    stage.node.look_until("store", "up").await;
    let bystanders = Bystanders::of(&stage).await;
    let mut seen = Vec::new();
    for row in rows() {
        seen.push(befall(&stage, &mut vault, &row).await);
    }
    bystanders.end(10).await;
    let head = ["Fault", "a client that the node knows", "another client", "`/readyz` says of `store`"];
    page::holds("vault", &head, &seen);
}

fn identity(folder: &Path) -> Arc<ServerConfig> {
    let read = |name| std::fs::read_to_string(folder.join(name)).unwrap();
    let pems = Pems { certificate: read("localhost.crt"), key: Zeroizing::new(read("localhost.key")) };
    tls::server_config_from_pems(&pems).unwrap()
}

async fn befall(stage: &Stage, vault: &mut Vault, row: &Row) -> Vec<String> {
    // The bystanders are known to the node, and log in all the while.
    vault.begin(row.what).await;
    let is_outage = !row.said.is_empty();
    let reason = if is_outage {
        let what = format!("{:?} of the store in /readyz", row.said);
        let look = eventually(&what, async || {
            let look = stage.node.look().await;
            let (state, reason) = look.check("store");
            (state == "down" && reason.contains(row.said)).then_some(look)
        });
        let look = look.await;
        assert_eq!((look.status, &look.said["degraded"]), (200, &true.into()), "{}: {look:?}", row.words);
        let reason = settled(look.check("store").1);
        // Which request met with it first is chance.
        let outage = reason.strip_prefix("the store is unavailable for now: ");
        let reason = outage.and_then(|rest| rest.split_once(": ")).map_or(&*reason, |(_, cause)| cause);
        code(reason)
    } else {
        "`up`".to_owned()
    };
    let expected = if is_outage { View::Later } else { View::LetIn };
    let words = newcomers(stage, row, &expected).await;
    vault.end(row.what).await;
    stage.node.look_until("store", "up").await;
    newcomers(stage, row, &View::LetIn).await;
    vec![row.words.to_owned(), View::LetIn.words(Protocol::Imap), words, reason]
}

/// What clients are told that this node has never read.
async fn newcomers(stage: &Stage, row: &Row, expected: &View) -> String {
    let began = Instant::now();
    let told: Vec<(Client, View, Duration)> =
        join_all(Protocol::ALL.map(|protocol| stage.log_in(row.name, protocol))).await;
    assert!(began.elapsed() < LONGEST, "{}: {:?}", row.words, began.elapsed());
    let words = Protocol::ALL.into_iter().zip(told).map(|(protocol, (_, told, _))| {
        assert_eq!(told, *expected, "{} by {protocol}; {}", row.words, stage.node.log_tail());
        told.words(protocol)
    });
    let mut words: Vec<_> = words.collect();
    words.dedup();
    words.join(", ")
}

impl Vault {
    async fn begin(&mut self, what: What) {
        match what {
            What::Sealed => self.cluster.seal(0).await,
            What::Killed => {
                self.cluster.kill(0);
                // Nobody listens there any more.
                self.tap.strike(Some(Fault::at(When::Connect, Act::Refuse))).await;
            }
            What::StandsStill => self.cluster.pause(0),
            What::TokenRevoked => self.house.revoke_tokens(&self.cluster.on(0)).await,
            What::PolicyTaken => {
                let nothing = r#"path "elsewhere" { capabilities = ["read"] }"#;
                self.cluster.on(0).write_policy("locum-node", nothing).await;
            }
            What::OnTheWay(fault) => self.tap.strike(Some(fault)).await,
        }
    }

    async fn end(&mut self, what: What) {
        match what {
            What::Sealed => {
                self.cluster.unseal(0).await;
                self.cluster.wait_for(0, 200).await;
            }
            What::Killed => {
                self.cluster.restart(0).await;
                self.cluster.unseal(0).await;
                self.cluster.wait_for(0, 200).await;
                self.tap.strike(None).await;
            }
            What::StandsStill => {
                self.cluster.resume(0);
                self.cluster.wait_for(0, 200).await;
            }
            What::TokenRevoked => {}
            What::PolicyTaken => self.house.write_policies(&self.cluster.on(0)).await,
            What::OnTheWay(_) => self.tap.strike(None).await,
        }
    }
}
