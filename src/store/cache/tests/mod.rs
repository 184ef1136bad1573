//! The rules of what is remembered, over a store in memory that can be made to fail. Each rule has a test of its name.

mod feed;
mod outages;
mod reads;
mod wire;

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{advance, timeout};
use tokio_util::sync::CancellationToken;

use self::wire::{Mode, Wire};
use super::*;
use crate::store::memory::Memory;
use crate::store::notice::Receiver;
use crate::store::{Condition, Position};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn options() -> Options {
    Options { refresh_after: MINUTE, max_stale: HOUR, records_max: 10, poll_interval: 2 * SECOND }
}

fn id(name: &str) -> RecordId {
    RecordId::new(RecordKind::Client, name)
}

/// A node at a store.
struct Node {
    wire: Arc<Wire>,
    cache: Cache<Wire>,
    health: Arc<Health>,
}

impl Node {
    fn new() -> Self {
        Self::with(options())
    }

    fn with(options: Options) -> Self {
        Self::at(Arc::default(), options)
    }

    fn at(memory: Arc<Memory>, options: Options) -> Self {
        let (wire, health) = (Arc::new(Wire::to(memory)), Arc::<Health>::default());
        Self { cache: Cache::new(Arc::clone(&wire), &options, Arc::clone(&health)), wire, health }
    }

    /// One that has read `a`.
    async fn with_a_record(options: Options) -> Self {
        let node = Self::with(options);
        node.edit("a", "1").await;
        assert_eq!(node.read("a").await, found("1"));
        node
    }

    /// Somebody else writes the record.
    async fn edit(&self, name: &str, value: &str) -> Version {
        let memory = &self.wire.memory;
        let expected = match memory.read(&id(name)).await.unwrap() {
            Some(record) => Expected::Version(record.version),
            None => Expected::Absent,
        };
        memory.write(&id(name), &Secret::new(value), expected).await.unwrap()
    }

    /// Somebody else deletes the record.
    async fn remove(&self, name: &str) {
        let version = self.wire.memory.read(&id(name)).await.unwrap().unwrap().version;
        self.wire.memory.delete(&id(name), version).await.unwrap();
    }

    async fn read(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.cache.read(&id(name)).await.map(text)
    }

    async fn read_latest(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.cache.read_latest(&id(name)).await.map(text)
    }

    /// What it took to read it, and what was found.
    async fn timed_read(&self, name: &str) -> (Duration, Result<Option<String>, StoreError>) {
        let start = Instant::now();
        let found = self.read(name).await;
        (start.elapsed(), found)
    }

    /// Has the node hear of changes.
    fn follow(&self, notices: Option<Receiver>) -> Following {
        let (cache, stop) = (self.cache.clone(), CancellationToken::new());
        let until = stop.clone();
        Following { stop, _task: tokio::spawn(async move { cache.keep_fresh(notices, until).await }) }
    }
}

/// Ends with the test.
struct Following {
    stop: CancellationToken,
    _task: JoinHandle<()>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn text(record: Option<Record>) -> Option<String> {
    record.map(|record| record.value.expose_text().unwrap().to_owned())
}

fn found(value: &str) -> Result<Option<String>, StoreError> {
    Ok(Some(value.to_owned()))
}

/// Waits for what must come, in real time or in paused time.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let met = async {
        while !condition().await {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(10 * SECOND, met).await.expect("it does not come");
}
