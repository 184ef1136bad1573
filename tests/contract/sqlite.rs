//! What the sealed file must do beside the contract: keep, hide, refuse.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use locum::{
    model::{RecordId, Secret},
    store::{self, Expected, KeySource, OpenError, Options, Store, StoreError, generate_key_file, sqlite},
};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::suite::{account, count, increment};

/// A folder with a key in it and room for a store.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        generate_key_file(&place.path("key")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn options(&self) -> Options {
        options_in(self.folder.path())
    }

    async fn create(&self) -> Arc<dyn Store> {
        store::create(&self.options()).await.unwrap()
    }

    async fn refusal(&self) -> OpenError {
        store::open(&self.options()).await.unwrap_err()
    }

    /// SQL on the file behind the store's back.
    fn tamper(&self, sql: &str) {
        Connection::open(self.path("locum.db")).unwrap().execute_batch(sql).unwrap();
    }
}

fn options_in(folder: &Path) -> Options {
    Options::Sqlite(sqlite::Options { path: folder.join("locum.db"), key: KeySource::File(folder.join("key")) })
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The error and the causes beneath it, as an operator sees them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

async fn assert_corrupt(store: &dyn Store, id: &RecordId) {
    let error = store.read(id).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { id: named, .. } if named == id), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let place = Place::new();
    let store = place.create().await;
    let version = store.write(&account("a"), &Secret::new("kept"), Expected::Absent).await.unwrap();
    drop(store);
    assert!(!place.path("locum.db-wal").exists(), "the last to leave folds the log into the file");

    let store = store::open(&place.options()).await.unwrap();
    let record = store.read(&account("a")).await.unwrap().unwrap();
    assert_eq!((record.value, record.version), (Secret::new("kept"), version));
    let next = store.write(&account("b"), &Secret::new("b"), Expected::Absent).await.unwrap();
    assert!(next > version);
}

/// Runs itself twice more as processes of their own; those find the folder in their environment.
#[tokio::test]
async fn two_processes_lose_no_write_of_each_other() {
    const FOLDER: &str = "LOCUM_CONTRACT_FOLDER";
    const INCREMENTS: usize = 40;
    let counter = account("counter");
    if let Some(folder) = env::var_os(FOLDER) {
        let store = store::open(&options_in(Path::new(&folder))).await.unwrap();
        increment(store.as_ref(), &counter, INCREMENTS).await;
        return;
    }
    let place = Place::new();
    let store = place.create().await;
    store.write(&counter, &Secret::new("0"), Expected::Absent).await.unwrap();
    let start = || {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "sqlite::two_processes_lose_no_write_of_each_other"])
            .env(FOLDER, place.folder.path())
            .spawn()
            .unwrap()
    };
    for mut child in [start(), start()] {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(count(store.as_ref(), &counter).await.0, 2 * INCREMENTS);
}

#[tokio::test]
async fn no_file_holds_a_value_or_a_name_in_the_clear() {
    let place = Place::new();
    let store = place.create().await;
    let id = account("canary-name@example.com");
    let first = store.write(&id, &Secret::new("canary-value-first"), Expected::Absent).await.unwrap();
    store.write(&id, &Secret::new("canary-value-second"), Expected::Version(first)).await.unwrap();
    let key = fs::read(place.path("key")).unwrap();

    let search = |names: &[&str]| {
        for name in names {
            let bytes = fs::read(place.path(name)).unwrap();
            assert!(!bytes.is_empty(), "{name}");
            for needle in [b"canary".as_slice(), key.trim_ascii()] {
                assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{name}");
            }
        }
    };
    search(&["locum.db", "locum.db-wal", "locum.db-shm"]);
    let written = fs::read(place.path("locum.db-wal")).unwrap();
    let hash = id.hash().as_bytes();
    assert!(written.windows(hash.len()).any(|window| window == hash), "the search would not find what is there");
    drop(store);
    search(&["locum.db"]);
}

#[tokio::test]
async fn all_files_are_their_owners_alone() {
    let place = Place::new();
    let store = place.create().await;
    store.write(&account("a"), &Secret::new("a"), Expected::Absent).await.unwrap();
    for name in ["locum.db", "locum.db-wal", "locum.db-shm", "key"] {
        assert_eq!(mode(&place.path(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_store_that_others_can_reach_is_refused() {
    let place = Place::new();
    drop(place.create().await);
    for mode in [0o640, 0o660, 0o604, 0o666] {
        set_mode(&place.path("locum.db"), mode);
        let error = place.refusal().await;
        assert!(matches!(error, OpenError::NotPrivate(_)), "{error}");
        let path = place.path("locum.db");
        assert_eq!(
            error.to_string(),
            format!("{0} is open to others (mode {mode:04o}): run `chmod 600 {0}`", path.display())
        );
    }
    set_mode(&place.path("locum.db"), 0o600);
    store::open(&place.options()).await.unwrap();
}

#[tokio::test]
async fn a_key_that_others_can_reach_opens_nothing() {
    let place = Place::new();
    drop(place.create().await);
    set_mode(&place.path("key"), 0o644);
    let error = place.refusal().await;
    assert!(matches!(error, OpenError::Key(_)), "{error}");
    assert!(error.to_string().contains(&format!("run `chmod 600 {}`", place.path("key").display())), "{error}");
}

#[tokio::test]
async fn a_wrong_key_is_called_a_wrong_key() {
    let place = Place::new();
    drop(place.create().await);
    fs::rename(place.path("key"), place.path("right-key")).unwrap();
    generate_key_file(&place.path("key")).unwrap();
    let error = place.refusal().await;
    let OpenError::WrongKey { given, wanted, .. } = &error else { panic!("{error}") };
    assert_ne!(given, wanted);
    assert!(error.to_string().starts_with("this key does not open the store"), "{error}");
    assert!(!error.is_transient());

    fs::rename(place.path("right-key"), place.path("key")).unwrap();
    store::open(&place.options()).await.unwrap();
}

#[tokio::test]
async fn an_altered_data_key_is_not_called_a_wrong_key() {
    let place = Place::new();
    drop(place.create().await);
    place.tamper("UPDATE store SET data_key = zeroblob(length(data_key))");
    let error = place.refusal().await;
    assert!(matches!(&error, OpenError::Store { source: StoreError::Damaged(_), .. }), "{}", chain(&error));
    assert!(chain(&error).contains("its data key does not open"), "{}", chain(&error));
}

#[tokio::test]
async fn an_altered_value_is_not_handed_out() {
    let place = Place::new();
    let store = place.create().await;
    for name in ["a", "b", "c"] {
        store.write(&account(name), &Secret::new("value"), Expected::Absent).await.unwrap();
    }
    let database = Connection::open(place.path("locum.db")).unwrap();
    let (a, b) = (account("a"), account("b"));
    let mut sealed: Vec<u8> =
        database.query_row("SELECT sealed FROM records WHERE hash = ?1", [a.hash()], |row| row.get(0)).unwrap();
    *sealed.last_mut().unwrap() ^= 1;
    database.execute("UPDATE records SET sealed = ?1 WHERE hash = ?2", (sealed, a.hash())).unwrap();
    database.execute("UPDATE records SET sealed = x'' WHERE hash = ?1", [b.hash()]).unwrap();

    assert_corrupt(store.as_ref(), &a).await;
    assert_corrupt(store.as_ref(), &b).await;
    assert!(store.read(&account("c")).await.unwrap().is_some(), "the others are as they were");
}

#[tokio::test]
async fn values_cannot_be_swapped_between_records() {
    let place = Place::new();
    let store = place.create().await;
    let (mine, theirs) = (account("mine"), account("theirs"));
    store.write(&mine, &Secret::new("mine"), Expected::Absent).await.unwrap();
    store.write(&theirs, &Secret::new("theirs"), Expected::Absent).await.unwrap();
    // The whole row but its name: the value with the version it was sealed as.
    place.tamper(&format!(
        "UPDATE records SET hash = 'x' WHERE hash = '{0}';
         UPDATE records SET hash = '{0}' WHERE hash = '{1}';
         UPDATE records SET hash = '{1}' WHERE hash = 'x'",
        mine.hash(),
        theirs.hash()
    ));
    assert_corrupt(store.as_ref(), &mine).await;
    assert_corrupt(store.as_ref(), &theirs).await;
}

#[tokio::test]
async fn an_old_value_cannot_be_put_under_the_present_version() {
    let place = Place::new();
    let store = place.create().await;
    let id = account("a");
    let first = store.write(&id, &Secret::new("old"), Expected::Absent).await.unwrap();
    place.tamper("CREATE TABLE kept AS SELECT sealed FROM records");
    store.write(&id, &Secret::new("new"), Expected::Version(first)).await.unwrap();
    place.tamper("UPDATE records SET sealed = (SELECT sealed FROM kept)");
    assert_corrupt(store.as_ref(), &id).await;
}

#[tokio::test]
async fn a_version_cannot_be_turned_back() {
    let place = Place::new();
    let store = place.create().await;
    let id = account("a");
    let first = store.write(&id, &Secret::new("old"), Expected::Absent).await.unwrap();
    store.write(&id, &Secret::new("new"), Expected::Version(first)).await.unwrap();
    place.tamper("UPDATE records SET version = version - 1");
    assert_corrupt(store.as_ref(), &id).await;
}

#[tokio::test]
async fn a_store_of_a_newer_locum_is_left_alone() {
    let place = Place::new();
    drop(place.create().await);
    place.tamper("PRAGMA user_version = 2");
    let error = place.refusal().await;
    assert!(matches!(error, OpenError::NewerSchema { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().ends_with("run a newer Locum"), "{error}");
}

#[tokio::test]
async fn other_files_are_not_taken_for_a_store_and_stay_as_they_are() {
    let place = Place::new();
    let path = place.path("locum.db");
    for content in [b"".as_slice(), b"no database at all, only a note\n", &[0x5a; 8192]] {
        fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
        let error = place.refusal().await;
        assert!(matches!(error, OpenError::NotAStore { .. }), "{}", chain(&error));
        assert_eq!(fs::read(&path).unwrap(), content);
        fs::remove_file(&path).unwrap();
    }
    place.tamper("CREATE TABLE another_program (x)");
    set_mode(&path, 0o600);
    let before = fs::read(&path).unwrap();
    let error = place.refusal().await;
    assert!(matches!(error, OpenError::NotAStore { .. }), "{}", chain(&error));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_folder_is_not_a_store() {
    let place = Place::new();
    fs::create_dir(place.path("locum.db")).unwrap();
    assert!(matches!(place.refusal().await, OpenError::NotAStore { .. }));
}

#[tokio::test]
async fn a_missing_store_says_how_to_make_one_and_is_not_made() {
    let place = Place::new();
    let error = place.refusal().await;
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("run `locum init`"), "{error}");
    assert!(!place.path("locum.db").exists());
}

#[tokio::test]
async fn nothing_is_ever_overwritten() {
    let place = Place::new();
    let store = place.create().await;
    store.write(&account("a"), &Secret::new("kept"), Expected::Absent).await.unwrap();
    let error = store::create(&place.options()).await.unwrap_err();
    assert!(matches!(error, OpenError::Exists { .. }), "{error}");
    assert_eq!(store.read(&account("a")).await.unwrap().unwrap().value, Secret::new("kept"));
}

#[tokio::test]
async fn without_a_good_key_nothing_is_made() {
    let place = Place::new();
    fs::write(place.path("key"), "c2hvcnQ=\n").unwrap();
    let error = store::create(&place.options()).await.unwrap_err();
    assert!(matches!(error, OpenError::Key(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("c2hvcnQ"), "quotes the key: {error}");
    assert!(!place.path("locum.db").exists());
}

#[tokio::test]
async fn while_another_process_writes_reads_go_on_and_writes_wait() {
    let place = Place::new();
    let store = place.create().await;
    store.write(&account("a"), &Secret::new("a"), Expected::Absent).await.unwrap();
    let holder = Connection::open(place.path("locum.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let write = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.write(&account("b"), &Secret::new("b"), Expected::Absent).await })
    };
    assert!(store.read(&account("a")).await.unwrap().is_some());
    assert!(!write.is_finished());
    holder.execute_batch("ROLLBACK").unwrap();
    write.await.unwrap().unwrap();
}

// A copy of the file, and another key for it

impl Place {
    fn sqlite(&self) -> sqlite::Options {
        self.with("locum.db", "key")
    }

    fn with(&self, file: &str, key: &str) -> sqlite::Options {
        sqlite::Options { path: self.path(file), key: KeySource::File(self.path(key)) }
    }

    /// A new key, and its name.
    fn new_key(&self) -> KeySource {
        generate_key_file(&self.path("new-key")).unwrap();
        KeySource::File(self.path("new-key"))
    }
}

async fn write(store: &dyn Store, name: &str) {
    store.write(&account(name), &Secret::new(name), Expected::Absent).await.unwrap();
}

async fn has(store: &dyn Store, name: &str) -> bool {
    store.read(&account(name)).await.unwrap().is_some()
}

#[tokio::test]
async fn a_copy_of_a_store_in_use_is_whole_and_as_of_one_moment() {
    const WRITES: usize = 400;
    let place = Place::new();
    let store = place.create().await;
    write(store.as_ref(), "before").await;
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..WRITES {
                write(store.as_ref(), &number.to_string()).await;
            }
        })
    };
    let mut copies = 0;
    while !writer.is_finished() || copies == 0 {
        let to = place.path(&format!("copy{copies}"));
        sqlite::back_up(&place.sqlite(), &to).await.unwrap();
        assert_eq!(mode(&to), 0o600);
        let copy = store::open(&Options::Sqlite(place.with(&format!("copy{copies}"), "key"))).await.unwrap();
        assert!(has(copy.as_ref(), "before").await);
        // The writer writes them one after the other: what is there must be the first so many.
        let mut there = 0;
        while has(copy.as_ref(), &there.to_string()).await {
            there += 1;
        }
        let all = copy.list(locum::model::RecordKind::Account, None, usize::MAX).await.unwrap();
        assert_eq!(all.len(), there + 1);
        drop(copy);
        assert!(!place.path(&format!("copy{copies}-wal")).exists(), "one file");
        copies += 1;
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn a_copy_overwrites_nothing_and_leaves_nothing_half_made() {
    let place = Place::new();
    let store = place.create().await;
    write(store.as_ref(), "a").await;
    fs::write(place.path("copy"), "mine").unwrap();
    let error = sqlite::back_up(&place.sqlite(), &place.path("copy")).await.unwrap_err();
    assert!(matches!(error, OpenError::Exists { .. }), "{error}");
    assert_eq!(fs::read(place.path("copy")).unwrap(), b"mine");

    let _ = place.new_key();
    let error = sqlite::back_up(&place.with("locum.db", "new-key"), &place.path("other")).await.unwrap_err();
    assert!(matches!(error, OpenError::WrongKey { .. }), "{error}");
    assert!(!place.path("other").exists());

    sqlite::back_up(&place.sqlite(), &place.path("whole")).await.unwrap();
    let error = sqlite::publish(&place.path("whole"), &place.path("copy")).await.unwrap_err();
    assert!(matches!(error, OpenError::Exists { .. }), "{error}");
    sqlite::publish(&place.path("whole"), &place.path("shown")).await.unwrap();
    assert!(place.path("shown").exists() && !place.path("whole").exists());
}

#[tokio::test]
async fn another_key_opens_the_store_and_the_one_before_does_no_more() {
    let place = Place::new();
    let running = place.create().await;
    write(running.as_ref(), "a").await;
    sqlite::back_up(&place.sqlite(), &place.path("old-copy")).await.unwrap();
    let new = place.new_key();
    let sqlite::Rekeyed::Changed { old, new: id } = sqlite::rekey(&place.sqlite(), &new).await.unwrap() else {
        panic!("it had that key")
    };
    assert_ne!(old, id);

    // Who has it open goes on.
    assert!(has(running.as_ref(), "a").await);
    write(running.as_ref(), "b").await;
    let error = place.refusal().await;
    assert!(matches!(error, OpenError::WrongKey { wanted, .. } if wanted == id), "{error}");
    let opened = store::open(&Options::Sqlite(place.with("locum.db", "new-key"))).await.unwrap();
    assert!(has(opened.as_ref(), "a").await && has(opened.as_ref(), "b").await);

    // The old copy has the old key.
    store::open(&Options::Sqlite(place.with("old-copy", "key"))).await.unwrap();
    let error = store::open(&Options::Sqlite(place.with("old-copy", "new-key"))).await.unwrap_err();
    assert!(matches!(error, OpenError::WrongKey { .. }), "{error}");

    // Again, as after a crash behind the commit: even if the old key is gone by then.
    fs::remove_file(place.path("key")).unwrap();
    assert_eq!(sqlite::rekey(&place.sqlite(), &new).await.unwrap(), sqlite::Rekeyed::Already { key: id });
}

#[tokio::test]
async fn what_the_old_key_opened_is_no_more_in_the_file() {
    let place = Place::new();
    drop(place.create().await);
    let wrapped: Vec<u8> = Connection::open(place.path("locum.db"))
        .unwrap()
        .query_row("SELECT data_key FROM store", [], |row| row.get(0))
        .unwrap();
    let holds = || {
        let files = ["locum.db", "locum.db-wal"].map(|name| fs::read(place.path(name)).unwrap_or_default());
        files.concat().windows(wrapped.len()).any(|window| window == wrapped)
    };
    assert!(holds());
    let running = store::open(&place.options()).await.unwrap();
    sqlite::rekey(&place.sqlite(), &place.new_key()).await.unwrap();
    assert!(!holds());
    drop(running);
    assert!(!holds());
}

#[tokio::test]
async fn without_the_right_key_or_a_good_new_one_the_key_stays() {
    let place = Place::new();
    drop(place.create().await);
    let before = fs::read(place.path("locum.db")).unwrap();
    let missing = KeySource::File(place.path("nowhere"));
    let error = sqlite::rekey(&place.sqlite(), &missing).await.unwrap_err();
    assert!(matches!(error, OpenError::Key(_)), "{error}");
    generate_key_file(&place.path("wrong")).unwrap();
    let new = place.new_key();
    let error = sqlite::rekey(&place.with("locum.db", "wrong"), &new).await.unwrap_err();
    assert!(matches!(error, OpenError::WrongKey { .. }), "{error}");
    drop(store::open(&place.options()).await.unwrap());
    assert_eq!(fs::read(place.path("locum.db")).unwrap(), before);
}

#[tokio::test]
async fn of_two_new_keys_at_once_one_is_taken() {
    let place = Place::new();
    drop(place.create().await);
    let (one, other) = (place.new_key(), KeySource::File(place.path("third-key")));
    generate_key_file(&place.path("third-key")).unwrap();
    let options = place.sqlite();
    let outcomes = tokio::join!(sqlite::rekey(&options, &one), sqlite::rekey(&options, &other));
    let (winner, loser) = match outcomes {
        (Ok(_), Err(error)) => ("new-key", error),
        (Err(error), Ok(_)) => ("third-key", error),
        both => panic!("{both:?}"),
    };
    assert!(matches!(loser, OpenError::WrongKey { .. }), "{loser}");
    store::open(&Options::Sqlite(place.with("locum.db", winner))).await.unwrap();
}

/// How a node sees what another process wrote.
#[tokio::test]
async fn the_stamp_is_another_one_after_each_write_by_anybody() {
    let place = Place::new();
    let (ours, theirs) = (place.create().await, store::open(&place.options()).await.unwrap());
    let mut seen = vec![ours.stamp().await.unwrap().unwrap()];
    assert_eq!(ours.stamp().await, Ok(Some(seen[0])), "nothing was written");
    let version = theirs.write(&account("a"), &Secret::new("1"), Expected::Absent).await.unwrap();
    seen.push(ours.stamp().await.unwrap().unwrap());
    assert!(theirs.write(&account("a"), &Secret::new("2"), Expected::Absent).await.is_err());
    assert_eq!(ours.stamp().await, Ok(Some(seen[1])), "nothing was written");
    theirs.delete(&account("a"), version).await.unwrap();
    seen.push(ours.stamp().await.unwrap().unwrap());
    assert!(seen.is_sorted() && seen[0] != seen[1] && seen[1] != seen[2], "{seen:?}");
}
