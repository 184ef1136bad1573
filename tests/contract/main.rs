//! What every store must do, checked on each; and what the sealed file must do beside that.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "of the real servers one in memory is enough here")]
mod openbao;
mod operators;
mod sqlite;
mod suite;
mod vault;

use std::sync::Arc;

use locum::store::{self, Options, Store};
use tempfile::TempDir;

/// A new, empty store, open twice: as the daemon and the command line would have it, where it can be.
struct Fixture {
    store: Arc<dyn Store>,
    again: Arc<dyn Store>,
    _folder: Option<TempDir>,
}

impl Fixture {
    /// A store in memory cannot be opened twice: both handles are one.
    async fn memory() -> Self {
        let store = store::create(&Options::Memory).await.unwrap();
        Self { again: Arc::clone(&store), store, _folder: None }
    }

    async fn sqlite() -> Self {
        let place = sqlite::Place::new();
        let store = store::create(&place.options()).await.unwrap();
        let again = store::open(&place.options()).await.unwrap();
        Self { store, again, _folder: Some(place.folder) }
    }

    async fn vault() -> Self {
        let (options, folder) = vault::place().await;
        let options = Options::Vault(options);
        let store = store::create(&options).await.unwrap();
        let again = store::open(&options).await.unwrap();
        Self { store, again, _folder: Some(folder) }
    }
}

/// One test for each named check of the suite, for each store.
macro_rules! contract {
    ($($check:ident),+ $(,)?) => {
        mod memory_keeps_the_contract {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                crate::suite::$check(&crate::Fixture::memory().await).await;
            })+
        }

        mod sqlite_keeps_the_contract {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                crate::suite::$check(&crate::Fixture::sqlite().await).await;
            })+
        }

        mod vault_keeps_the_contract {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                crate::suite::$check(&crate::Fixture::vault().await).await;
            })+
        }
    };
}

contract! {
    nothing_is_found_where_nothing_was_written,
    what_is_written_is_read,
    values_of_any_size_and_bytes_come_back_whole,
    a_value_over_the_limit_is_refused,
    a_record_is_made_once,
    a_write_replaces_the_version_that_was_read,
    a_stale_write_is_told_the_version_found,
    a_write_to_what_is_not_there_conflicts,
    a_record_is_deleted_at_its_version_alone,
    versions_do_not_come_back_with_a_deleted_record,
    records_of_one_name_and_two_kinds_are_apart,
    lists_come_in_ordered_pages_of_one_kind,
    concurrent_increments_are_all_kept,
    of_concurrent_makers_one_wins,
    conflicts_hold_no_value,
    of_operators_at_once_one_wins_and_the_others_are_told,
}
