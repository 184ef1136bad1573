//! What a node tells, and when it writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::credential;
use crate::model::{
    Account, AppPasswordFormat, Identity, Preference, Previous, Protocol, RecordId, RecordKind, Secret,
    StoredCredential,
};
use crate::store::memory::Memory;
use crate::store::{Expected, Record, Store};
use crate::usage::{Entered, Use};

const KIND: CredentialKind = CredentialKind::AppPassword;

/// A store that counts what is read and written, and may be as a node finds it without the right to tell, or away.
#[derive(Debug, Default)]
struct Counting {
    store: Memory,
    reads: AtomicUsize,
    writes: AtomicUsize,
    mode: AtomicUsize,
}

const WELL: usize = 0;
const DENIED: usize = 1;
const AWAY: usize = 2;

impl Counting {
    fn checked(&self) -> Result<(), StoreError> {
        match self.mode.load(Ordering::SeqCst) {
            WELL => Ok(()),
            DENIED => Err(StoreError::Config("the server denied it (403)".into())),
            _ => Err(StoreError::Unavailable("away".into())),
        }
    }
}

#[async_trait]
impl Store for Counting {
    async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.read(id).await
    }

    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
        if id.kind() == RecordKind::Usage {
            self.writes.fetch_add(1, Ordering::SeqCst);
            self.checked()?;
        }
        self.store.write(id, value, expected).await
    }

    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
        self.store.delete(id, expected).await
    }

    async fn list(&self, _: RecordKind, _: Option<&RecordId>, _: usize) -> Result<Vec<RecordId>, StoreError> {
        panic!("a node has no right to list")
    }
}

struct Scene {
    store: Arc<Counting>,
    directory: Directory,
    ledger: Ledger,
    writer: UsageWriter,
}

fn at(second: i64) -> Timestamp {
    // Sessions begin and end by the clock of the system: all that is asked here is later.
    Timestamp::now() + Duration::from_secs(u64::try_from(second).unwrap())
}

fn stored(id: &str) -> StoredCredential {
    let secret = Secret::new(format!("canary-{id}"));
    credential::new_app_password(&secret, AppPasswordFormat::Verbatim, id.into(), "", Timestamp::now()).unwrap()
}

impl Scene {
    fn new() -> Self {
        let (store, ledger) = (Arc::new(Counting::default()), Ledger::default());
        let directory = Directory::new(Arc::clone(&store) as Arc<dyn Store>);
        let options = UsageOptions::default();
        let writer = UsageWriter::new(directory.clone(), ledger.clone(), "n1".into(), "mail1", options);
        Self { store, directory, ledger, writer }
    }

    /// An account, its current credential and the one before.
    async fn put(&self, name: &str, current: &str, previous: Option<&str>) {
        let mut slots = Slots::of(stored(current));
        let (since, op) = (Timestamp::now(), "op".to_owned());
        slots.previous =
            previous.map(|id| Previous { credential: stored(id), op, since, retire_at: since, usable: true });
        let account = Account {
            name: name.into(),
            upstream: "gmail".into(),
            identity: Identity::default(),
            credentials: BTreeMap::from([(KIND, slots)]),
            preference: Preference::default(),
            class: None,
        };
        let found = self.directory.account(name).await.unwrap();
        self.directory.put_account(&account, found.map(|found| found.version)).await.unwrap();
    }

    fn enter(&self, account: &str, credential: &str, login: &str) -> Use {
        self.ledger.entered(Entered {
            holder: Holder::Account(account.into()),
            kind: KIND,
            credential: credential.into(),
            slot: Slot::Current,
            passed_over: None,
            login: login.into(),
            protocol: Protocol::Imap,
        })
    }

    async fn told(&self) -> Option<UsageReport> {
        self.directory.usage("n1").await.unwrap().map(|found| found.record)
    }

    fn writes(&self) -> usize {
        self.store.writes.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn what_is_current_is_not_told_and_what_was_is() {
    let mut scene = Scene::new();
    scene.put("a", "c1", None).await;
    let open = scene.enter("a", "c1", "scan");
    scene.writer.round(at(0)).await;
    assert_eq!((scene.told().await, scene.writes()), (None, 0));

    scene.put("a", "c2", Some("c1")).await;
    scene.writer.round(at(60)).await;
    assert_eq!(scene.told().await, None, "not yet looked at again");
    scene.writer.round(at(120)).await;
    let told = scene.told().await.unwrap();
    let [entry] = &told.entries[..] else { panic!("{told:?}") };
    assert_eq!((told.host.as_str(), told.ended, told.omitted), ("mail1", false, 0));
    assert_eq!((entry.credential.as_str(), entry.place, entry.live), ("c1", UsagePlace::Previous, 1));
    assert_eq!((entry.logins[0].login.as_str(), entry.logins[0].live), ("scan", 1));

    drop(open);
    scene.writer.round(at(150)).await;
    let told = scene.told().await.unwrap();
    assert_eq!((told.entries[0].live, told.entries[0].logins[0].live), (0, 0));
    // Retired, and nobody uses it: there is nothing to tell any more.
    scene.put("a", "c2", None).await;
    scene.writer.round(at(300)).await;
    assert_eq!(scene.told().await.unwrap().entries, []);
}

#[tokio::test]
async fn it_is_written_when_it_changes_and_now_and_then_while_sessions_are_open() {
    let mut scene = Scene::new();
    scene.put("a", "c2", Some("c1")).await;
    let open = scene.enter("a", "c1", "scan");
    for second in [0, 30, 60, 299] {
        scene.writer.round(at(second)).await;
    }
    assert_eq!(scene.writes(), 1);
    scene.writer.round(at(301)).await;
    assert_eq!(scene.writes(), 2, "still so");
    let another = scene.enter("a", "c1", "alice");
    scene.writer.round(at(330)).await;
    assert_eq!(scene.writes(), 3);
    drop((open, another));
    for second in [360, 700, 10_000] {
        scene.writer.round(at(second)).await;
    }
    assert_eq!(scene.writes(), 4, "history is not told twice");
}

#[tokio::test]
async fn a_round_reads_a_few_records_those_first_of_which_nothing_is_known() {
    let mut scene = Scene::new();
    let mut open = Vec::new();
    for number in 0..LOOKS_MAX * 2 + 1 {
        let name = format!("a{number}");
        scene.put(&name, "c1", None).await;
        open.push(scene.enter(&name, "c1", "scan"));
    }
    let mut reads = 0;
    for (second, looks) in [(0, LOOKS_MAX), (30, LOOKS_MAX), (60, 1), (90, 0), (120, LOOKS_MAX)] {
        let before = scene.store.reads.swap(0, Ordering::SeqCst);
        reads += before;
        scene.writer.round(at(second)).await;
        assert_eq!(scene.store.reads.load(Ordering::SeqCst), looks, "after {second} s");
    }
    assert!(reads > 0);
}

#[tokio::test]
async fn a_node_without_the_right_asks_seldom_and_goes_on_when_it_has_it() {
    let mut scene = Scene::new();
    scene.put("a", "c2", Some("c1")).await;
    let _open = scene.enter("a", "c1", "scan");
    scene.store.mode.store(DENIED, Ordering::SeqCst);
    for second in [0, 30, 599] {
        scene.writer.round(at(second)).await;
    }
    assert_eq!(scene.writes(), 1);
    scene.store.mode.store(WELL, Ordering::SeqCst);
    scene.writer.round(at(601)).await;
    assert_eq!(scene.told().await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn what_could_not_be_told_in_an_outage_is_told_after_it() {
    let mut scene = Scene::new();
    scene.put("a", "c2", Some("c1")).await;
    let _open = scene.enter("a", "c1", "scan");
    scene.store.mode.store(AWAY, Ordering::SeqCst);
    scene.writer.round(at(0)).await;
    assert!(matches!(scene.writer.trouble, Some(Trouble::Away)));
    scene.store.mode.store(WELL, Ordering::SeqCst);
    scene.writer.round(at(30)).await;
    assert!(scene.writer.trouble.is_none());
    assert_eq!(scene.told().await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn what_somebody_removed_is_told_anew() {
    let mut scene = Scene::new();
    scene.put("a", "c2", Some("c1")).await;
    let _open = scene.enter("a", "c1", "scan");
    scene.writer.round(at(0)).await;
    let found = scene.directory.usage("n1").await.unwrap().unwrap();
    scene.directory.remove_usage("n1", found.version).await.unwrap();
    scene.writer.round(at(301)).await;
    assert_eq!(scene.told().await.unwrap().entries.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_word_is_that_nobody_is_there_any_more() {
    let scene = Scene::new();
    scene.put("a", "c2", Some("c1")).await;
    let _open = scene.enter("a", "c1", "scan");
    let stop = CancellationToken::new();
    let Scene { writer, directory, .. } = scene;
    let ending = async {
        while directory.usage("n1").await.unwrap().is_none() {
            sleep(Duration::from_secs(1)).await;
        }
        stop.cancel();
    };
    tokio::join!(writer.run(stop.clone()), ending);
    let told = directory.usage("n1").await.unwrap().unwrap().record;
    assert_eq!((told.ended, told.entries[0].live, told.entries[0].logins[0].live), (true, 0, 0));
}

#[test]
fn what_finds_no_room_is_counted_and_those_with_sessions_come_first() {
    let entry = |number: u32, live| UsageEntry {
        holder: Holder::Account(format!("{number:0300}")),
        kind: KIND,
        credential: "c1".into(),
        place: UsagePlace::Previous,
        live,
        last_seen: Timestamp::UNIX_EPOCH + Duration::from_secs(u64::from(number)),
        logins: Vec::new(),
        more: false,
    };
    let (fit, omitted) = fitting((0..2_000).map(|number| entry(number, u32::from(number == 7))).collect());
    assert_eq!(fit.len() + usize::try_from(omitted).unwrap(), 2_000);
    assert!(omitted > 0 && serde_json::to_vec(&fit).unwrap().len() <= BYTES_MAX + 2);
    assert_eq!((fit[0].live, fit[1].last_seen), (1, entry(1_999, 0).last_seen));
}

#[test]
fn no_secret_is_told() {
    let slots = Slots::of(stored("c1"));
    assert!(!format!("{:?}", places(&slots)).contains("canary"));
}
