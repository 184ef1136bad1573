//! Clients that Locum does not let in: what each is told, that no provider hears of it, and what the operator reads.

use locum::model::{Binding, Policy, Protocol, RecordId, RecordKind, Refusal, Secret};
use locum::sandbox::{Face, Start};
use locum::store::Expected;

use crate::answers::{accepted, refused};
use crate::support::{Door, Lab, Plan, Provider, Wire, plain, present};

/// One refused login for each protocol, the same in all, and no provider heard of it.
async fn assert_refused(lab: &Lab, login: &str, secret: &str, refusal: Refusal, reason: &str) {
    for protocol in Protocol::ALL {
        let (_wire, answer) = lab.present(protocol, login, secret).await;
        assert_eq!(answer, refused(protocol, refusal), "{reason}");
        let event = lab.audit().pop().unwrap();
        assert_eq!((&event["event"], &event["outcome"]), (&"decision".into(), &"deny".into()));
        assert_eq!(event["reason"].as_str(), Some(reason), "{protocol}");
        assert_eq!(event["login"].as_str(), Some(login));
    }
    assert_eq!((lab.gmail.logins(), lab.exchange.logins()), (vec![], vec![]), "{reason}");
}

#[tokio::test]
async fn policies_are_kept() {
    let lab = Lab::start().await;
    let alice = &lab.alice;
    let elsewhere = Policy { networks: vec!["192.0.2.0/24".parse().unwrap()], ..Policy::default() };
    lab.alter(alice, |client| client.policy = elsewhere).await;
    let reason = "the client's policy does not include the network of its address";
    assert_refused(&lab, &alice.login, &alice.secret, Refusal::NotPermitted, reason).await;

    lab.alter(alice, |client| client.policy = Policy { protocols: vec![Protocol::Imap], ..Policy::default() }).await;
    let (_wire, answer) = lab.present(Protocol::Pop3, &alice.login, &alice.secret).await;
    assert_eq!(answer, refused(Protocol::Pop3, Refusal::NotPermitted));
    let (_wire, answer) = lab.present(Protocol::Submission, &alice.login, &alice.secret).await;
    assert_eq!(answer, refused(Protocol::Submission, Refusal::NotPermitted));
    assert_eq!(lab.gmail.logins(), []);
    lab.log_in(Protocol::Imap, alice).await;

    let here = Door::StartTls.listener(Protocol::Imap);
    lab.alter(alice, |client| client.policy = Policy { listeners: vec![here], ..Policy::default() }).await;
    let (_wire, answer) = lab.present(Protocol::Imap, &alice.login, &alice.secret).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::NotPermitted));
    let mut wire = lab.connect(Protocol::Imap, Door::StartTls).await;
    assert_eq!(present(&mut wire, Protocol::Imap, &alice.login, &alice.secret).await, accepted(Protocol::Imap));
}

#[tokio::test]
async fn who_asks_for_another_account_is_not_permitted() {
    let lab = Lab::start().await;
    let (alice, scanner) = (&lab.alice, &lab.scanner);
    let response = plain(&scanner.address, &alice.login, &alice.secret);
    for (protocol, command) in
        [(Protocol::Imap, "a AUTHENTICATE"), (Protocol::Pop3, "AUTH"), (Protocol::Submission, "AUTH")]
    {
        let mut wire = lab.open(protocol).await;
        let answer = wire.ask(&format!("{command} PLAIN {response}")).await;
        assert_eq!(answer, refused(protocol, Refusal::NotPermitted));
    }
    assert_eq!((lab.gmail.logins(), lab.exchange.logins()), (vec![], vec![]));

    // Its own account it may name, and itself.
    for authzid in [&alice.address, &alice.login] {
        let mut wire = lab.open(Protocol::Imap).await;
        let response = plain(authzid, &alice.login, &alice.secret);
        assert_eq!(wire.ask(&format!("a AUTHENTICATE PLAIN {response}")).await, accepted(Protocol::Imap));
    }
}

#[tokio::test]
async fn who_is_bound_to_two_accounts_has_to_say_which() {
    let lab = Lab::start().await;
    let (alice, scanner) = (&lab.alice, &lab.scanner);
    lab.alter(alice, |client| client.bindings.push(Binding::Account(scanner.address.clone()))).await;
    let reason = "the client is bound to 2 accounts and did not say which to act as";
    assert_refused(&lab, &alice.login, &alice.secret, Refusal::NotPermitted, reason).await;
    let mut wire = lab.open(Protocol::Submission).await;
    let response = plain(&scanner.address, &alice.login, &alice.secret);
    assert_eq!(wire.ask(&format!("AUTH PLAIN {response}")).await, accepted(Protocol::Submission));
    assert_eq!(lab.exchange.logins().last().unwrap().identity, scanner.address);
}

#[tokio::test]
async fn what_an_operator_has_to_mend_is_for_the_administrator() {
    let lab = Lab::start().await;
    let nobody = vec![Binding::Account("nobody@mail.test".into())];
    lab.alter(&lab.alice, |client| client.bindings = nobody).await;
    let reason = "there is no account nobody@mail.test; add it with `locum account add`";
    assert_refused(&lab, &lab.alice.login, &lab.alice.secret, Refusal::ContactAdmin, reason).await;

    // Exchange Online takes a password for submission alone.
    for protocol in [Protocol::Imap, Protocol::Pop3] {
        let (_wire, answer) = lab.present(protocol, &lab.scanner.login, &lab.scanner.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::ContactAdmin));
        let reason = format!("exchange-online takes no password for {protocol}, app passwords included");
        assert_eq!(lab.audit().pop().unwrap()["reason"], reason);
    }
    assert_eq!(lab.exchange.logins(), []);

    let ghost = lab.enrol("ghost", "no-such-upstream", "mnbvcxzlkjhgfdsa").await;
    let (_wire, answer) = lab.present(Protocol::Imap, &ghost.login, &ghost.secret).await;
    // No listener serves what the configuration does not have.
    assert_eq!(answer, refused(Protocol::Imap, Refusal::NotPermitted));
}

#[tokio::test]
async fn an_account_of_an_upstream_that_the_listener_does_not_serve() {
    let other = Provider::serve("other", Face::Gmail, Start::Implicit).await;
    let listener = "[[listener]]\nname = \"other\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\nupstream = \"other\"\n\
                    tls = \"none\"\nplaintext-networks = \"127.0.0.1\"\n";
    let lab = Plan::new().provider(&other).toml(listener).start().await;
    let mut wire = Wire::connect(lab.address("other")).await;
    wire.line().await;
    let answer = present(&mut wire, Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::NotPermitted));
    assert_eq!(lab.audit().pop().unwrap()["reason"], "the listener does not serve the account's upstream gmail");
    assert_eq!((lab.gmail.logins(), other.logins()), (vec![], vec![]));
}

#[tokio::test]
async fn after_three_refusals_the_connection_ends_with_a_word() {
    let lab = Lab::start().await;
    for (protocol, goodbye) in [
        (Protocol::Imap, "* BYE Too many refused logins\r\n"),
        (Protocol::Pop3, ""),
        (Protocol::Submission, "421 4.7.0 Too many failed logins\r\n"),
    ] {
        let mut wire = lab.open(protocol).await;
        for _ in 0..3 {
            let answer = present(&mut wire, protocol, &lab.alice.login, "wrong").await;
            assert_eq!(answer, refused(protocol, Refusal::WrongCredentials));
        }
        assert_eq!(wire.rest().await, goodbye);
    }
    assert_eq!(lab.gmail.logins(), []);
}

#[tokio::test]
async fn a_client_may_correct_itself() {
    let lab = Lab::start().await;
    for protocol in Protocol::ALL {
        let (mut wire, _) = lab.present(protocol, &lab.alice.login, "wrong").await;
        let answer = present(&mut wire, protocol, &lab.alice.login, &lab.alice.secret).await;
        assert_eq!(answer, accepted(protocol));
    }
}

#[tokio::test]
async fn too_many_failures_are_not_looked_at_any_more() {
    let lab = Plan::new().tune(|config| config.broker.failures_per_login_max = 2).start().await;
    let alice = &lab.alice;
    for guess in ["wrong", "as wrong"] {
        let (_wire, answer) = lab.present(Protocol::Pop3, &alice.login, guess).await;
        assert_eq!(answer, refused(Protocol::Pop3, Refusal::WrongCredentials));
    }
    for protocol in Protocol::ALL {
        let (wire, answer) = lab.present(protocol, &alice.login, &alice.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::LimitReached), "the right secret is not looked at either");
        if protocol == Protocol::Submission {
            assert_eq!(wire.rest().await, "", "a 421 is a goodbye");
        }
    }
    assert_eq!(lab.gmail.logins(), []);
    lab.log_in(Protocol::Submission, &lab.scanner).await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_no_wrong_password() {
    let lab = Lab::start().await;
    let (alice, directory) = (&lab.alice, &lab.directory);
    for (kind, name) in [(RecordKind::Account, &alice.address), (RecordKind::Client, &alice.login)] {
        let id = RecordId::new(kind, name);
        let version = lab.store.read(&id).await.unwrap().unwrap().version;
        lab.store.write(&id, &Secret::new("{"), Expected::Version(version)).await.unwrap();
        let reason = match kind {
            RecordKind::Account => directory.account(name).await.unwrap_err(),
            RecordKind::Client => directory.client(name).await.unwrap_err(),
            RecordKind::Tenant
            | RecordKind::Token
            | RecordKind::Usage
            | RecordKind::Seen
            | RecordKind::Tickets
            | RecordKind::Operator => unreachable!("no login reads one"),
        };
        assert_refused(&lab, &alice.login, &alice.secret, Refusal::Unavailable, &reason.to_string()).await;
    }
}
