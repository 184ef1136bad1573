//! An independent look at a whole mailbox, by async-imap straight at the provider: every folder, and of every message its
//! flags, its date and its bytes. It also fills one.

use std::collections::BTreeMap;

use futures::TryStreamExt;

use super::async_imap::log_in;
use crate::endpoint::Endpoint;

/// A folder's messages in order.
pub(crate) type Folders = BTreeMap<String, Vec<Message>>;

/// A message with all that a migration has to bring along.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// System flags and keywords, sorted, without `\Recent`, which is each session's own.
    pub(crate) flags: Vec<String>,
    /// INTERNALDATE, as a moment.
    pub(crate) date: i64,
    /// All of its bytes.
    pub(crate) content: Vec<u8>,
}

/// What is put into a folder: flags and date as IMAP writes them.
pub(crate) struct Planted<'a> {
    pub(crate) folder: &'a str,
    pub(crate) flags: &'a str,
    pub(crate) date: &'a str,
    pub(crate) content: &'a [u8],
}

/// Makes these folders and puts these messages into them.
pub(crate) fn fill(endpoint: &Endpoint, folders: &[&str], planted: &[Planted<'_>]) {
    let scenario = async {
        let mut session = log_in(endpoint).await;
        for folder in folders {
            session.create(folder).await.unwrap();
            session.subscribe(folder).await.unwrap();
        }
        for Planted { folder, flags, date, content } in planted {
            session.append(folder, Some(*flags), Some(&format!("\"{date}\"")), content).await.unwrap();
        }
        session.logout().await.unwrap();
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(scenario);
}

/// Everything in that mailbox.
pub(crate) fn take(endpoint: &Endpoint) -> Folders {
    let scenario = async {
        let mut session = log_in(endpoint).await;
        let names: Vec<_> = session.list(None, Some("*")).await.unwrap().try_collect().await.unwrap();
        let mut folders = Folders::new();
        for name in names {
            let mailbox = session.examine(name.name()).await.unwrap();
            let mut messages = Vec::new();
            if mailbox.exists > 0 {
                let fetched = session.fetch("1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])").await.unwrap();
                let mut fetched: Vec<_> = fetched.try_collect().await.unwrap();
                fetched.sort_by_key(|one| one.uid);
                messages = fetched.iter().map(message).collect();
            }
            folders.insert(name.name().to_owned(), messages);
        }
        session.logout().await.unwrap();
        folders
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(scenario)
}

fn message(fetched: &async_imap::types::Fetch) -> Message {
    let flags = fetched.flags().map(|flag| format!("{flag:?}")).filter(|flag| flag != "Recent");
    let mut flags: Vec<String> = flags.collect();
    flags.sort();
    let date = fetched.internal_date().unwrap().timestamp();
    Message { flags, date, content: fetched.body().unwrap().to_vec() }
}
