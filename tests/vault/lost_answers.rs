//! Writes whose answer never comes, and writers that leave in the middle: what was done is neither denied nor forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use locum::model::Secret;
use locum::store::{Expected, Store};

use crate::impostor::{Impostor, absent, written};
use crate::openbao::eventually;
use crate::place::{Place, account};

/// The requests that begin so.
fn sent(server: &Impostor, beginning: &str) -> Vec<String> {
    server.requests().into_iter().filter(|request| request.starts_with(beginning)).collect()
}

#[tokio::test]
async fn a_writer_that_leaves_takes_no_change_of_others_along() {
    let looks = AtomicUsize::new(0);
    let server = Impostor::behind_proof(move |request| match request {
        look if look.starts_with("GET") && look.contains("/changes/ring") => {
            let is_first = looks.fetch_add(1, Ordering::Relaxed) == 0;
            (!is_first).then(absent)
        }
        look if look.starts_with("GET") => Some(absent()),
        _ => Some(written(1)),
    })
    .await;
    let place = Place::new(&[server.address()], None, "s.token");
    let vault = place.connected().await;
    let write = |name: &str| {
        let (vault, id) = (Arc::clone(&vault), account(name));
        tokio::spawn(async move { vault.write(&id, &Secret::new("x"), Expected::Absent).await })
    };

    let first = write("first");
    let looked = async || (!sent(&server, "GET /v1/locum/data/changes/ring").is_empty()).then_some(());
    eventually("the first to have the feed's turn", looked).await;
    first.abort();
    write("second").await.unwrap().unwrap();
    let [ring] = &sent(&server, "POST /v1/locum/data/changes/ring")[..] else { panic!("{:?}", server.requests()) };
    for name in ["first", "second"] {
        assert!(ring.contains(&account(name).to_string()), "{name} is not in the feed: {ring}");
    }
}
