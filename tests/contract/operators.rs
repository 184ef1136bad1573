//! Several operators at one record of one store: one wins, the others are told of whom and when, and nothing is lost.

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use locum::{
    broker::{Change, Directory, DirectoryError},
    model::{Account, Identity},
    store::{Store, Version},
};
use tokio::sync::Barrier;

use crate::Fixture;

const OPERATORS: usize = 16;
const ROUNDS: usize = 12;
const NAME: &str = "alice@example.com";

pub(crate) async fn of_operators_at_once_one_wins_and_the_others_are_told(Fixture { store, again, .. }: &Fixture) {
    contend(&[Arc::clone(store), Arc::clone(again)]).await;
}

/// Lets operators write the same account at the same moment, again and again, through these handles of one store.
pub(crate) async fn contend(handles: &[Arc<dyn Store>]) {
    let began = Timestamp::now();
    let operators: Vec<Directory> = (0..OPERATORS)
        .map(|number| Directory::of_operator(Arc::clone(&handles[number % handles.len()]), &author(number)))
        .collect();
    let mut before: Option<(Account, Version)> = None; // in the first round they all make it
    let mut winners = Vec::new();
    for _ in 0..ROUNDS {
        let outcomes = write_at_once(&operators, before.as_ref()).await;
        let mut won =
            outcomes.iter().enumerate().filter_map(|(number, outcome)| outcome.as_ref().ok().zip(Some(number)));
        let (Some((version, winner)), None) = (won.next(), won.next()) else { panic!("not one: {outcomes:#?}") };

        let found = operators[0].account(NAME).await.unwrap().unwrap();
        let changed = found.changed.unwrap();
        assert_eq!((found.version, changed.by.as_str()), (*version, author(winner).as_str()));
        assert!(changed.at >= began && changed.at <= Timestamp::now());
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_told(error, &changed);
        }
        winners.push(author(winner));
        assert_eq!(found.record.upstream, winners.join(" "), "what a winner wrote is lost");
        before = Some((found.record, found.version));
    }
}

/// Each adds its name to what was before.
async fn write_at_once(
    operators: &[Directory],
    before: Option<&(Account, Version)>,
) -> Vec<Result<Version, DirectoryError>> {
    let start = Arc::new(Barrier::new(operators.len()));
    let writers = operators.iter().enumerate().map(|(number, operator)| {
        let (operator, start) = (operator.clone(), Arc::clone(&start));
        let upstream = match before {
            Some((account, _)) => format!("{} {}", account.upstream, author(number)),
            None => author(number),
        };
        let account = Account {
            name: NAME.into(),
            upstream,
            identity: Identity::default(),
            credentials: Default::default(),
            preference: Default::default(),
            class: None,
        };
        let version = before.map(|(_, version)| *version);
        tokio::spawn(async move {
            start.wait().await;
            operator.put_account(&account, version).await
        })
    });
    let writers: Vec<_> = writers.collect();
    join_all(writers).await.into_iter().map(Result::unwrap).collect()
}

#[track_caller]
fn assert_told(error: &DirectoryError, winner: &Change) {
    assert!(matches!(error, DirectoryError::Changed { change: Some(change), .. } if change == winner), "{error:?}");
    assert!(error.is_transient());
    let told = format!("{} changed the account {NAME} at {:.0}, while this was under way", winner.by, winner.at);
    assert!(error.to_string().starts_with(&told), "{error}");
}

fn author(number: usize) -> String {
    format!("operator{number}@host{number}")
}
