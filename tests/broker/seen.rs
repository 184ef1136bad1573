//! Every client is seen: how it comes in and what is used for it upstream, added up over nodes in the store, and nobody who has
//! proven nothing.

use std::time::{Duration, Instant};

use locum::broker::Directory;
use locum::config::Config;
use locum::model::{CredentialKind, Enrolment, EnrolmentMode, Protocol, SecretSource, Sighting};

use crate::answers::accepted;
use crate::support::{Plan, Wire};
use crate::usage::operator;

/// Long enough for any machine; reached only where something is wrong.
const DEADLINE: Duration = Duration::from_secs(20);

fn often(config: &mut Config) {
    let seen = &mut config.rotation.seen;
    (seen.interval, seen.again) = (Duration::from_millis(20), Duration::from_millis(20));
}

async fn seen(directory: &Directory) -> Vec<Sighting> {
    let page = directory.seen_page(None, 100).await.unwrap();
    page.records.into_iter().map(|found| found.record).collect()
}

/// The only client that was seen, once it is as it should be.
async fn seen_when(directory: &Directory, is_it: impl Fn(&Sighting) -> bool) -> Sighting {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let seen = seen(directory).await;
        if let [seen] = &seen[..]
            && is_it(seen)
        {
            return seen.clone();
        }
        assert!(Instant::now() < deadline, "it stays so: {seen:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn leave(mut wire: Wire) {
    assert!(wire.ask("z LOGOUT").await.starts_with("* BYE"));
}

#[tokio::test]
async fn what_two_nodes_see_of_a_client_adds_up_and_a_restart_keeps_when_it_was_first_seen() {
    let mut lab = Plan::new().tune(often).start().await;
    let (directory, _) = operator(&lab);
    leave(lab.log_in(Protocol::Imap, &lab.alice).await).await;
    let first = seen_when(&directory, |seen| seen.logins == 1 && seen.bytes_up > 0).await;
    let key = &first.key;
    assert_eq!((key.login.as_str(), key.account.as_deref()), ("alice", Some(lab.alice.address.as_str())));
    assert_eq!((key.protocol, key.tls.as_deref()), (Protocol::Imap, Some("TLSv1.3")));
    assert_eq!(
        (first.source, first.networks[0].network.to_string()),
        (Some(SecretSource::Issued), "127.0.0.1/32".into())
    );
    let upstream = first.upstream.as_ref().unwrap();
    assert_eq!((upstream.profile.as_str(), upstream.kind), ("gmail", CredentialKind::AppPassword));
    assert!(key.secret.as_deref().is_some_and(|id| lab.alice.secret.contains(id)));
    assert_eq!(lab.last_event(Protocol::Imap, "alice")["tls_version"], "TLSv1.3");

    let second = lab.node(|_| ()).await;
    leave(second.log_in(Protocol::Imap, &lab.alice).await).await;
    seen_when(&directory, |seen| seen.logins == 2 && seen.first_seen == first.first_seen).await;
    lab.drain();
    lab.stopped().await;
    let again = lab.node(|_| ()).await;
    leave(again.log_in(Protocol::Imap, &lab.alice).await).await;
    let last = seen_when(&directory, |seen| seen.logins == 3 && seen.first_seen == first.first_seen).await;
    assert!(last.last_seen > first.last_seen && last.bytes_up > first.bytes_up);
}

#[tokio::test]
async fn a_client_that_is_refused_is_seen_if_it_has_proven_itself_and_nobody_else() {
    let lab = Plan::new().tune(often).start().await;
    let (directory, _) = operator(&lab);
    for (login, secret) in [("alice", "wrong"), ("nobody", lab.alice.secret.as_str())] {
        lab.present(Protocol::Imap, login, secret).await;
    }
    lab.alter(&lab.alice, |client| client.policy.protocols = vec![Protocol::Pop3]).await;
    lab.present(Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
    let refused = seen_when(&directory, |seen| seen.refusals() == 1).await;
    assert_eq!((refused.logins, refused.refused["protocol"], refused.key.account), (0, 1, None));
}

#[tokio::test]
async fn a_login_that_the_provider_refuses_is_counted_with_its_account() {
    let lab = Plan::new().tune(often).start().await;
    let (directory, _) = operator(&lab);
    lab.gmail.sandbox.set_password(&lab.alice.address, locum::model::Secret::new("another"));
    lab.present(Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
    let refused = seen_when(&directory, |seen| seen.refusals() == 1).await;
    assert_eq!((refused.refused["contact-admin"], refused.upstream), (1, None));
    assert_eq!(refused.key.account.as_deref(), Some(lab.alice.address.as_str()));
}

/// Whoever makes itself known in a window is a client from that moment, whatever the provider says then.
#[tokio::test]
async fn who_was_first_and_is_refused_by_the_provider_is_seen() {
    let window = Enrolment {
        mode: EnrolmentMode::FirstLogin,
        domain: Some("mail.test".into()),
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        from: None,
        until: jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1),
    };
    let open = move |config: &mut Config| {
        for listener in &mut config.listeners {
            listener.entrance.enrolment = Some(window.clone());
        }
    };
    let lab = Plan::new().tune(often).tune(open).start().await;
    let (directory, _) = operator(&lab);
    lab.alter(&lab.alice, |client| client.secrets.clear()).await;
    lab.gmail.sandbox.set_password(&lab.alice.address, locum::model::Secret::new("another"));
    lab.present(Protocol::Imap, &lab.alice.login, "Winter-2019!").await;
    let refused = seen_when(&directory, |seen| seen.refusals() == 1).await;
    assert_eq!((refused.refused["contact-admin"], refused.source), (1, Some(SecretSource::FirstLogin)));
    assert_eq!(refused.key.account.as_deref(), Some(lab.alice.address.as_str()));
}

#[tokio::test]
async fn the_last_word_of_a_node_is_what_it_saw_last() {
    let mut lab = Plan::new().start().await;
    let (wire, answer) = lab.present(Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
    assert_eq!(answer, accepted(Protocol::Imap));
    leave(wire).await;
    lab.drain();
    lab.stopped().await;
    let (directory, _) = operator(&lab);
    assert_eq!(seen(&directory).await[0].logins, 1, "no round came before the end");
}
