//! Clients whose secrets somebody chose, or that are short: they are let in as any other, and nobody else is.

use jiff::Timestamp;
use locum::broker::client_secret::{self, Alphabet, Form};
use locum::model::{ClientSecret, Protocol, Refusal, Secret, SecretSource, Verifier};

use crate::answers::{accepted, refused};
use crate::support::{Lab, Plan, plain};

/// Of `Hello world!`, as the specification of SHA-crypt has it.
const SHA_CRYPT: &str =
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

fn imported(id: &str, hash: &str) -> ClientSecret {
    let (label, created, expires) = (String::new(), Timestamp::now(), None);
    let verifier = Verifier::Chosen { hash: hash.into() };
    ClientSecret { id: id.into(), label, verifier, created, expires, source: SecretSource::Imported }
}

async fn lab() -> Lab {
    Plan::new().tune(|config| config.broker.failures_per_login_max = 100).start().await
}

#[tokio::test]
async fn a_client_has_secrets_of_each_kind_and_each_is_revoked_alone() {
    let (lab, now) = (lab().await, Timestamp::now());
    let alice = lab.alice.clone();
    let learnt = Secret::new("pässwörd von früher");
    let chosen = client_secret::choose("", SecretSource::Learnt, &learnt, now).await.unwrap();
    let form = Form { alphabet: Alphabet::Digits, length: Some(20) };
    let (short, digits) = client_secret::issue_as(form, "", None, &[], now).await.unwrap();
    let ids = [chosen.id.clone(), short.id.clone(), "old".to_owned()];
    lab.alter(&alice, |client| client.secrets.extend([chosen, short, imported("old", SHA_CRYPT)])).await;
    let proofs = [learnt.expose_text().unwrap(), digits.expose_text().unwrap(), "Hello world!"];
    for protocol in Protocol::ALL {
        for (proof, id) in proofs.iter().zip(&ids) {
            let mut wire = lab.open(protocol).await;
            let command = if protocol == Protocol::Imap { "a AUTHENTICATE PLAIN" } else { "AUTH PLAIN" };
            let answer = wire.ask(&format!("{command} {}", plain("", &alice.login, proof))).await;
            assert_eq!(answer, accepted(protocol), "{id}");
            let event = lab.audit().into_iter().rfind(|event| event["event"] == "decision").unwrap();
            assert_eq!(event["client_secret"].as_str(), Some(id.as_str()), "the audit names it");
        }
    }
    // What was let in a moment ago is not, once it is revoked; the others go on.
    lab.alter(&alice, |client| client.secrets.retain(|secret| secret.id != "old")).await;
    let (_wire, answer) = lab.present(Protocol::Pop3, &alice.login, proofs[1]).await;
    assert_eq!(answer, accepted(Protocol::Pop3));
    let (_wire, answer) = lab.present(Protocol::Pop3, &alice.login, "Hello").await;
    assert_eq!(answer, refused(Protocol::Pop3, Refusal::WrongCredentials));
    let mut wire = lab.open(Protocol::Imap).await;
    let answer = wire.ask(&format!("a AUTHENTICATE PLAIN {}", plain("", &alice.login, "Hello world!"))).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials));
}

#[tokio::test]
async fn what_is_damaged_costly_empty_or_cannot_be_typed_lets_nobody_in() {
    let lab = lab().await;
    let alice = lab.alice.clone();
    let empty = "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.";
    let costly = "$argon2id$v=19$m=2097152,t=4000,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    lab.alter(&alice, |client| {
        let hashes = ["", "$6$", &SHA_CRYPT[..60], costly, empty, "{SSHA}", "Hello world!"];
        client.secrets.extend(hashes.iter().enumerate().map(|(at, hash)| imported(&at.to_string(), hash)));
    })
    .await;
    let mut wire = lab.open(Protocol::Imap).await;
    let answer = wire.ask(&format!("a AUTHENTICATE PLAIN {}", plain("", &alice.login, ""))).await;
    assert_eq!(answer, "a BAD Response is not what the mechanism asks for", "RFC 4616 section 2: no password is empty");
    for proof in ["\u{1}", "Hello world!\u{7f}", "Hello world!", "password", "$6$", costly, &"x".repeat(400)] {
        let mut wire = lab.open(Protocol::Imap).await;
        let answer = wire.ask(&format!("a AUTHENTICATE PLAIN {}", plain("", &alice.login, proof))).await;
        assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials), "{proof:?}");
    }
    assert_eq!(lab.gmail.logins(), []);
}
