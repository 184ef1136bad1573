//! How soon nodes see what was changed: told by a peer, by the feed alone, and without either. Figures are printed
//! (`cargo test --test vault propagation -- --nocapture`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use locum::model::{RecordId, Secret};
use locum::store::vault::Options as VaultOptions;
use locum::store::{self, Expected, Options, Store, Version};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::openbao::Cluster;
use crate::openbao::child::free_port;
use crate::place::{Place, account};

/// Changes of which the slowest counts.
const ROUNDS: usize = 5;
/// No change may take longer than this in any test; what a test names is less.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Three nodes, each at another server of a cluster, and a writer at none of these in particular.
struct Fleet {
    nodes: Vec<Arc<dyn Store>>,
    writer: Arc<dyn Store>,
    cluster: Cluster,
    running: TaskTracker,
    stop: CancellationToken,
    _place: Place,
}

impl Fleet {
    /// `tune` changes what nodes and the writer are set up with; it is given the addresses where nodes are told of writes.
    async fn start(tune: impl Fn(&mut VaultOptions, &[SocketAddr])) -> Self {
        let cluster = Cluster::start(3).await;
        let root = cluster.on(cluster.leader().await);
        root.mount_kv2("locum").await;
        let addresses = cluster.addresses();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let place = Place::new(&addresses, Some(cluster.ca_file()), root.token_text());
        // The feed begins with the first record, and notices are of a feed that nodes know.
        let first = store::open(&Options::Vault(place.options.clone())).await.unwrap();
        first.write(&account("first"), &Secret::new("first"), Expected::Absent).await.unwrap();
        let peers: Vec<SocketAddr> = (0..3).map(|_| SocketAddr::from(([127, 0, 0, 1], free_port()))).collect();

        let (running, stop) = (TaskTracker::new(), CancellationToken::new());
        let mut nodes = Vec::new();
        for (number, peer) in peers.iter().enumerate() {
            let mut options = place.options.clone();
            options.addresses.rotate_left(number);
            options.peer_bind = Some(*peer);
            tune(&mut options, &[]);
            let served = store::serve(&Options::Vault(options)).await.unwrap();
            running.spawn(served.upkeep.run(stop.clone()));
            nodes.push(served.store);
        }
        let mut options = place.options.clone();
        tune(&mut options, &peers);
        let writer = store::open(&Options::Vault(options)).await.unwrap();
        Self { nodes, writer, cluster, running, stop, _place: place }
    }

    /// A record that all nodes have read, and so remember.
    async fn known(&self, id: &RecordId) -> Version {
        let version = self.writer.write(id, &Secret::new("first"), Expected::Absent).await.unwrap();
        self.all_see(id, version, Instant::now()).await;
        version
    }

    /// The time from `began` until the last of the nodes answers with that version.
    async fn all_see(&self, id: &RecordId, version: Version, began: Instant) -> Duration {
        for node in &self.nodes {
            while node.read(id).await.unwrap().is_none_or(|record| record.version < version) {
                assert!(began.elapsed() < WAIT_MAX, "a node does not see the change");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        began.elapsed()
    }

    /// Changes a record some times over; how long the slowest change took to reach the last node.
    async fn slowest(&self, id: &RecordId) -> Duration {
        let mut version = self.known(id).await;
        let mut slowest = Duration::ZERO;
        for round in 0..ROUNDS {
            let value = Secret::new(format!("round {round}"));
            version = self.writer.write(id, &value, Expected::Version(version)).await.unwrap();
            slowest = slowest.max(self.all_see(id, version, Instant::now()).await);
        }
        slowest
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_push_three_nodes_see_a_change_within_two_seconds() {
    let fleet = Fleet::start(|options, peers| {
        options.peers = peers.iter().map(ToString::to_string).collect();
        // What is seen sooner than in an hour came by push.
        options.cache.poll_interval = Duration::from_secs(3600);
        options.cache.refresh_after = Duration::from_secs(3600);
    })
    .await;
    let slowest = fleet.slowest(&account("a")).await;
    println!("by push: {slowest:?} until the last of three nodes had the slowest of {ROUNDS} changes");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_polling_alone_three_nodes_see_a_change_within_three_seconds() {
    let fleet = Fleet::start(|options, _| options.cache.refresh_after = Duration::from_secs(3600)).await;
    let slowest = fleet.slowest(&account("a")).await;
    println!("by polling: {slowest:?} until the last of three nodes had the slowest of {ROUNDS} changes");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_with_other_tools_is_seen_within_the_time_of_refresh_after() {
    const REFRESH_AFTER: Duration = Duration::from_secs(2);
    let fleet = Fleet::start(|options, _| options.cache.refresh_after = REFRESH_AFTER).await;
    let id = account("a");
    fleet.known(&id).await;
    let root = fleet.cluster.on(fleet.cluster.leader().await);
    root.bao(&["kv", "put", "-cas=1", &format!("locum/{id}"), "record=edited"]).await;
    let began = Instant::now();
    for node in &fleet.nodes {
        let latest = node.read_latest(&id).await.unwrap().unwrap();
        assert_eq!(latest.value, Secret::new("edited"), "who asks for the latest gets it at once");
    }
    let again = root.bao(&["kv", "put", "-cas=2", &format!("locum/{id}"), "record=edited again"]).await;
    assert!(again.contains("version"), "{again}");
    for node in &fleet.nodes {
        while node.read(&id).await.unwrap().unwrap().value != Secret::new("edited again") {
            assert!(began.elapsed() < REFRESH_AFTER * 2, "the edit is not seen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    println!(
        "an edit that bypassed the feed, with refresh-after at {REFRESH_AFTER:?}: seen after {:?}",
        began.elapsed()
    );
    fleet.end().await;
}
