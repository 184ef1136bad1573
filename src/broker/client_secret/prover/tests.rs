//! Which secret a proof is of, and what that costs.

use futures_util::future::join_all;

use super::super::{Alphabet, BITS_ENOUGH, Form, choose, issue_as};
use super::*;
use crate::broker::client_secret::issue as issue_one;
use crate::model::SecretSource;

const THEN: Timestamp = Timestamp::UNIX_EPOCH;

async fn chosen(text: &str) -> ClientSecret {
    choose(text, SecretSource::Imported, &Secret::new(text), THEN).await.unwrap()
}

async fn found(prover: &Prover, login: &str, secrets: &[ClientSecret], proof: &str) -> Option<String> {
    let found = prover.find(login, secrets, &Secret::new(proof), || Rank::Stranger, Timestamp::now()).await.unwrap();
    found.map(|secret| secret.id.clone())
}

#[tokio::test]
async fn the_right_one_of_many_issued_is_found_and_no_other_by_fast_hashes_alone() {
    let (prover, mut all) = (Prover::default(), Vec::new());
    for _ in 0..3 {
        all.push(issue_one("", None, THEN).unwrap());
    }
    for alphabet in Alphabet::ALL {
        let records: Vec<_> = all.iter().map(|(record, _)| record.clone()).collect();
        all.push(issue_as(Form { alphabet, length: None }, "", None, &records, THEN).await.unwrap());
    }
    let records: Vec<_> = all.iter().map(|(record, _)| record.clone()).collect();
    for (record, secret) in &all {
        assert_eq!(found(&prover, "x", &records, secret.expose_text().unwrap()).await.unwrap(), record.id);
    }
    let altered = all[0].1.expose_text().unwrap().replace("lo_", "lo-");
    let other = issue_one("", None, THEN).unwrap().1;
    let last = format!("{}2", &all[0].1.expose_text().unwrap()[..37]);
    let wrong = [other.expose_text().unwrap(), &last, "", "a\0", "\r\n"];
    for wrong in wrong.into_iter().filter(|wrong| **wrong != *all[0].1.expose_text().unwrap()) {
        assert_eq!(found(&prover, "x", &records, wrong).await, None, "{wrong:?}");
    }
    assert_eq!(prover.computed(), 0, "nothing of this takes a slow hash");
    for wrong in [altered.as_str(), "lo", "lo_", "hunter2", &format!("lo_{}_", records[0].id)] {
        assert_eq!(found(&prover, "x", &records, wrong).await, None, "{wrong:?}");
    }
    assert_eq!(prover.computed(), 5);
}

#[tokio::test]
async fn short_secrets_are_found_by_their_ids_beside_what_people_chose() {
    let prover = Prover::default();
    let mut records = vec![chosen("hunter2").await];
    let form = Form { alphabet: Alphabet::Digits, length: Some(18) };
    assert!(form.random_bits() < BITS_ENOUGH);
    let mut proofs = Vec::new();
    for _ in 0..2 {
        let (record, proof) = issue_as(form, "", None, &records, THEN).await.unwrap();
        assert!(matches!(record.verifier, Verifier::Chosen { .. }));
        records.push(record);
        proofs.push(proof);
    }
    for (record, proof) in records[1..].iter().zip(&proofs) {
        assert_eq!(found(&prover, "x", &records, proof.expose_text().unwrap()).await.unwrap(), record.id);
        let candidates = candidates(&records, proof, THEN);
        assert_eq!(candidates.len(), 2, "itself and the one that somebody chose");
    }
    assert_eq!(found(&prover, "x", &records, "hunter2").await.unwrap(), records[0].id);
}

#[tokio::test]
async fn the_cost_depends_on_the_form_of_the_proof_alone() {
    let known = [issue_one("", None, THEN).unwrap().0];
    let with_chosen = [known[0].clone(), chosen("hunter2").await];
    let ssha = Verifier::Chosen { hash: "{SSHA}eJ6KEIjkUqAMpAT1twwd4l50VdjhZ9bu".into() };
    let with_ssha = [ClientSecret { verifier: ssha, ..with_chosen[1].clone() }];
    let issued = issue_one("", None, THEN).unwrap().1;
    for (proof, cost) in [(issued.expose_text().unwrap(), 0), ("wrong", 1), ("4711471147114711", 1), ("", 0), ("\0", 0)]
    {
        for (whose, secrets) in
            [("nobody", &[][..]), ("known", &known), ("with chosen", &with_chosen), ("with SSHA", &with_ssha)]
        {
            let prover = Prover::default();
            assert_eq!(found(&prover, "x", secrets, proof).await, None, "{whose}");
            assert_eq!(prover.computed(), cost, "{proof:?} for {whose}");
        }
    }
}

#[tokio::test]
async fn a_fleet_that_comes_back_costs_one_slow_hash() {
    let (prover, secrets) = (Prover::default(), [chosen("hunter2").await]);
    let logins = (0..500).map(|_| found(&prover, "fleet", &secrets, "hunter2"));
    for found in join_all(logins).await {
        assert_eq!(found.as_deref(), Some(secrets[0].id.as_str()));
    }
    assert_eq!(prover.computed(), 1, "all at once");
    for _ in 0..500 {
        assert!(found(&prover, "fleet", &secrets, "hunter2").await.is_some());
    }
    assert_eq!(prover.computed(), 1, "one after the other");
    assert!(prover.flights.0.lock().unwrap().is_empty(), "nobody waits any more");
    let wrong = (0..50).map(|_| found(&prover, "fleet", &secrets, "hunter3"));
    assert!(join_all(wrong).await.iter().all(Option::is_none));
    assert_eq!(found(&prover, "fleet", &secrets, "hunter3").await, None);
    assert_eq!(prover.computed(), 2, "what is wrong is remembered as that, for these verifiers");
}

#[tokio::test]
async fn what_was_remembered_proves_nothing_once_it_is_revoked_or_changed_or_for_another() {
    let (prover, secret) = (Prover::default(), chosen("hunter2").await);
    let secrets = [secret.clone()];
    assert!(found(&prover, "a", &secrets, "hunter2").await.is_some());
    assert_eq!(found(&prover, "a", &[], "hunter2").await, None, "revoked");
    let changed = [ClientSecret { verifier: chosen("other").await.verifier, ..secret.clone() }];
    assert_eq!(found(&prover, "a", &changed, "hunter2").await, None, "another hash under the same id");
    let damaged = [ClientSecret { verifier: Verifier::Chosen { hash: "$6$".into() }, ..secret.clone() }];
    assert_eq!(found(&prover, "a", &damaged, "hunter2").await, None);
    assert_eq!(prover.computed(), 4);
    // The same secret of another client is another one.
    assert!(found(&prover, "b", &secrets, "hunter2").await.is_some());
    assert_eq!(prover.computed(), 5);
    assert!(found(&prover, "a", &secrets, "hunter2").await.is_some());
    assert_eq!(prover.computed(), 5, "and the first is still known");
}

#[tokio::test]
async fn what_somebody_wrote_into_the_store_cannot_stop_a_node() {
    let prover = Prover::default();
    let costly = "$argon2id$v=19$m=2097152,t=4000,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let mut secrets =
        vec![ClientSecret { verifier: Verifier::Chosen { hash: costly.into() }, ..chosen("x").await }; 500];
    secrets.push(chosen("hunter2").await);
    assert_eq!(found(&prover, "a", &secrets, "password").await, None);
    assert_eq!(candidates(&secrets, &Secret::new("password"), THEN).len(), CHOSEN_MAX);
}

#[tokio::test]
async fn one_that_holds_comes_before_the_same_one_that_expired() {
    let prover = Prover::default();
    let expired = ClientSecret { expires: Some(THEN), ..chosen("hunter2").await };
    let holds = chosen("hunter2").await;
    assert_eq!(found(&prover, "a", &[expired.clone(), holds.clone()], "hunter2").await, Some(holds.id));
    assert_eq!(found(&prover, "b", std::slice::from_ref(&expired), "hunter2").await, Some(expired.id));
}

#[tokio::test]
async fn an_emptied_verifier_proves_nothing() {
    let (mut record, secret) = issue_one("", None, THEN).unwrap();
    record.verifier = Verifier::SaltedSha256 { salt: String::new(), digest: String::new() };
    assert_eq!(found(&Prover::default(), "a", &[record], secret.expose_text().unwrap()).await, None);
}
