//! What is remembered of clients, and when it is due.

use super::*;
use crate::model::{CredentialKind, Protocol};

const PACE: Pace = Pace { again: Duration::from_secs(3600), standing: Duration::from_secs(12 * 3600) };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn visit(login: &str) -> Visit {
    let key = SeenKey {
        login: login.into(),
        account: Some("a@x.test".into()),
        protocol: Protocol::Imap,
        listener: "imaps".into(),
        tls: Some("TLSv1.3".into()),
        method: "LOGIN command".into(),
        secret: Some("s1".into()),
    };
    Visit { key, source: Some(SecretSource::Issued), delegated: false, peer: IpAddr::from([192, 0, 2, 1]), via: vec![] }
}

fn upstream(now: Timestamp) -> SeenUpstream {
    SeenUpstream { profile: "gmail".into(), kind: CredentialKind::AppPassword, credential: "c1".into(), at: now }
}

fn due(visitors: &Visitors, now: i64) -> Vec<(String, bool, u64)> {
    let due = visitors.due(usize::MAX, PACE, at(now)).into_iter();
    due.map(|(seen, is_new)| (seen.key.login, is_new, seen.logins)).collect()
}

#[test]
fn a_new_client_is_due_at_once_and_an_old_one_once_an_hour_while_it_changes() {
    let visitors = Visitors::default();
    let stay = visitors.entered_at(visit("scan"), upstream(at(0)), at(0));
    assert_eq!(due(&visitors, 1), [("scan".to_owned(), true, 1)]);
    let (told, _) = visitors.due(1, PACE, at(1)).remove(0);
    visitors.put_down(&told, at(1));
    assert_eq!(due(&visitors, 3600), [], "it is there, and nothing has changed");
    let _again = visitors.entered_at(visit("scan"), upstream(at(2)), at(2));
    assert_eq!(due(&visitors, 3600), []);
    assert_eq!(due(&visitors, 3601), [("scan".to_owned(), false, 1)], "what was put down counts no more");
    drop(stay);
}

#[test]
fn what_is_merely_open_is_told_twice_a_day() {
    let visitors = Visitors::default();
    let _stay = visitors.entered_at(visit("scan"), upstream(at(0)), at(0));
    let (told, _) = visitors.due(1, PACE, at(1)).remove(0);
    visitors.put_down(&told, at(1));
    assert_eq!(due(&visitors, 12 * 3600), []);
    let later = visitors.due(1, PACE, at(12 * 3600 + 1)).remove(0).0;
    assert_eq!((later.logins, later.last_seen), (0, at(12 * 3600 + 1)));
}

#[test]
fn what_happens_while_it_is_put_down_is_not_lost() {
    let visitors = Visitors::default();
    let stay = visitors.entered_at(visit("scan"), upstream(at(0)), at(0));
    let (told, _) = visitors.due(1, PACE, at(1)).remove(0);
    stay.moved(Moved { bytes_up: 5, bytes_down: 7, messages: Some(2) });
    drop(stay);
    visitors.refused(visit("scan"), "limit");
    visitors.put_down(&told, at(2));
    let (rest, is_new) = visitors.rest(at(3)).remove(0);
    assert_eq!((rest.logins, rest.bytes_up, rest.bytes_down, rest.messages), (0, 5, 7, Some(2)));
    assert_eq!((rest.refused["limit"], is_new), (1, false));
}

#[test]
fn those_that_were_never_put_down_come_first_and_no_more_than_asked_for() {
    let visitors = Visitors::default();
    let _old = visitors.entered_at(visit("old"), upstream(at(0)), at(0));
    let (told, _) = visitors.due(1, PACE, at(0)).remove(0);
    visitors.put_down(&told, at(0));
    visitors.refused(visit("old"), "limit");
    visitors.refused(visit("new"), "limit");
    let due = visitors.due(1, PACE, at(7200));
    assert_eq!((due.len(), due[0].0.key.login.as_str()), (1, "new"));
}

#[test]
fn ten_thousand_are_remembered_and_no_number_of_logins_is_too_many() {
    let visitors = Visitors::of(10_000);
    let (known, _) = {
        visitors.refused(visit("put down"), "limit");
        visitors.due(1, PACE, at(0)).remove(0)
    };
    visitors.put_down(&known, at(0));
    for number in 0..12_000 {
        visitors.refused(visit(&format!("l{number}")), "limit");
        assert!(visitors.count() <= 10_000);
    }
    assert!(visitors.count() > 8_000);
    assert!(!visitors.state().clients.contains_key(&known.key), "what is put down goes first");
    assert!(visitors.state().clients.contains_key(&visit("l11999").key));
}
