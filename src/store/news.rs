//! Tells one listener in this process what was written to the store, by whomever. It must never hold a value, nor make a
//! writer wait: what is not fetched in time becomes "anything may have been".

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Store;
use crate::model::RecordId;

/// Records that are told one by one. An import of more is cheaper to take as "anything".
const RECORDS_MAX: usize = 1024;

/// How often a store that has no feed is asked whether anything was written: one row of a file that is in memory, and a
/// quarter of the time that an operator may wait for a revocation.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What was written since somebody asked last. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct News(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    unheard: Mutex<Option<Heard>>,
    more: Notify,
}

/// What may have been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Any record.
    Anything,
    /// These, or what came before them was told already.
    Records(BTreeSet<RecordId>),
}

impl News {
    /// Waits for news and takes them. May be dropped at any time; nothing is taken before it returns.
    pub async fn next(&self) -> Heard {
        loop {
            if let Some(heard) = self.unheard().take() {
                return heard;
            }
            self.0.more.notified().await;
        }
    }

    /// Any record may have been written.
    pub(super) fn anything(&self) {
        *self.unheard() = Some(Heard::Anything);
        self.0.more.notify_one();
    }

    /// That record was.
    pub(super) fn of(&self, id: &RecordId) {
        let mut unheard = self.unheard();
        let heard = unheard.get_or_insert_with(|| Heard::Records(BTreeSet::new()));
        if let Heard::Records(ids) = heard {
            ids.insert(id.clone());
            if ids.len() > RECORDS_MAX {
                *heard = Heard::Anything;
            }
        }
        drop(unheard);
        self.0.more.notify_one();
    }

    fn unheard(&self) -> MutexGuard<'_, Option<Heard>> {
        self.0.unheard.lock().expect("nothing panics while it holds this lock")
    }
}

/// Looks again and again whether a store without a feed was written to, until `stop`. One that does not answer has told
/// nothing.
pub(super) async fn keep_looking(store: &dyn Store, news: &News, stop: CancellationToken) {
    let looking = async {
        let mut seen = None;
        loop {
            if let Ok(Some(stamp)) = store.stamp().await
                && seen.replace(stamp) != Some(stamp)
            {
                news.anything();
            }
            sleep(LOOK_INTERVAL).await;
        }
    };
    stop.run_until_cancelled(looking).await.unwrap_or(())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::model::{RecordKind, Secret};
    use crate::store::memory::Memory;
    use crate::store::{Expected, Store};

    fn id(name: &str) -> RecordId {
        RecordId::new(RecordKind::Client, name)
    }

    #[tokio::test]
    async fn what_is_told_is_heard_once() {
        let news = News::default();
        assert_eq!(news.next().now_or_never(), None);
        news.of(&id("a"));
        news.of(&id("b"));
        news.of(&id("a"));
        assert_eq!(news.next().await, Heard::Records([id("a"), id("b")].into()));
        assert_eq!(news.next().now_or_never(), None);
        news.of(&id("a"));
        news.anything();
        news.of(&id("b"));
        assert_eq!(news.next().await, Heard::Anything);
    }

    #[tokio::test]
    async fn more_than_can_be_kept_is_anything() {
        let news = News::default();
        (0..=RECORDS_MAX).for_each(|number| news.of(&id(&number.to_string())));
        assert_eq!(news.next().await, Heard::Anything);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_without_a_feed_is_looked_at() {
        let (store, news, stop) = (Memory::new(), News::default(), CancellationToken::new());
        let play = async {
            assert_eq!(news.next().await, Heard::Anything, "what was before is not known");
            assert!(tokio::time::timeout(Duration::from_secs(60), news.next()).await.is_err());
            let version = store.write(&id("a"), &Secret::new("x"), Expected::Absent).await.unwrap();
            assert_eq!(news.next().await, Heard::Anything);
            store.delete(&id("a"), version).await.unwrap();
            assert_eq!(news.next().await, Heard::Anything);
            stop.cancel();
        };
        tokio::join!(keep_looking(&store, &news, stop.clone()), play);
    }
}
