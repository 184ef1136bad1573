//! Who is looked at again, who ends, and that nothing is left behind.

use futures_util::FutureExt;
use jiff::SignedDuration;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A session of that number, let in until then.
fn enter(live: &Arc<Live>, session: u64, login: &str, terms: Terms) -> Alive {
    let peer = IpAddr::from([192, 0, 2, 1]);
    let origin = Origin {
        session,
        listener: "imaps".into(),
        protocol: Protocol::Imap,
        peer,
        via: Vec::new(),
        tls: true,
        tls_version: None,
    };
    let over = Over { token: CancellationToken::new(), why: Arc::default() };
    let (login, account, terms) = (login.to_owned(), "box@x.test".to_owned(), Arc::new(terms));
    let until = terms.end();
    live.insert(Entry { login, account, origin, terms, since: NOW, until, over: over.clone(), course: Arc::default() });
    Alive { session, over, course: Arc::default(), live: Arc::clone(live), _seat: None }
}

fn of_client(until: Option<Timestamp>) -> Terms {
    Terms { is_client: true, until, until_by: Some(Withdrawal::SecretExpired), ..Terms::default() }
}

fn at(seconds: i64) -> Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

fn doubted(live: &Live) -> Vec<String> {
    let none = BTreeSet::new();
    std::iter::from_fn(|| live.doubted(&none).now_or_never()).collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn who_comes_in_is_looked_at_and_so_is_whom_news_concern() {
    let live = Live::new();
    let _alive = [enter(&live, 1, "a", of_client(None)), enter(&live, 2, "b", of_client(None))];
    let _passing = enter(&live, 3, "c", Terms::default());
    assert_eq!(doubted(&live), ["a", "b"], "none stands behind the third");
    live.doubt(|login| login == "nobody");
    assert_eq!(doubted(&live), [""; 0]);
    live.doubt(|login| login != "a");
    live.doubt_still("gone".to_owned());
    assert_eq!(doubted(&live), ["b"]);
    live.doubt(|_| true);
    assert_eq!(doubted(&live), ["a", "b"]);
}

#[test]
fn whoever_is_heard_of_does_not_wait_for_all_and_all_do_not_wait_for_ever() {
    let live = Live::new();
    let logins: Vec<String> = (0..100).map(|number| format!("{number:02}")).collect();
    let _alive: Vec<_> =
        (0..).zip(&logins).map(|(session, login)| enter(&live, session, login, of_client(None))).collect();
    assert_eq!(doubted(&live), logins);
    let next =
        |under_way: &[&str]| live.doubted(&under_way.iter().map(|login| (*login).to_owned()).collect()).now_or_never();
    live.doubt_all();
    live.doubt(|login| login == "77");
    let first = [next(&[]).unwrap(), next(&[]).unwrap()];
    assert!(first.contains(&"77".to_owned()), "{first:?}");
    // One that comes again and again has no more than every other turn.
    let mut looked_at = BTreeSet::from(first);
    for _ in 0..2 * logins.len() {
        live.doubt(|login| login == "77");
        looked_at.extend(next(&[]));
    }
    assert_eq!(looked_at.len(), logins.len());
    // Not twice at once, or an old answer could come behind a new one; but again when it is over.
    live.doubt(|login| login == "77");
    assert_eq!(next(&["77"]), None);
    assert_eq!(next(&[]).as_deref(), Some("77"));
    assert_eq!(next(&[]), None);
}

#[test]
fn what_is_judged_to_be_over_ends_and_nothing_else() {
    let live = Live::new();
    let secret = |id: &str| Terms { client_secret: Some(id.to_owned()), ..of_client(None) };
    let [revoked, kept, other] =
        [enter(&live, 1, "a", secret("one")), enter(&live, 2, "a", secret("two")), enter(&live, 3, "b", secret("one"))];
    let judge = |_: &str, terms: &Terms, _: &Origin| match terms.client_secret.as_deref() {
        Some("one") => Err(Withdrawal::SecretRevoked),
        _ => Ok(None),
    };
    live.judge("a", judge);
    live.judge("a", |_, _, _| Err(Withdrawal::ClientRemoved));
    assert_eq!(revoked.withdrawn(), Some(&Withdrawal::SecretRevoked), "the first cause stays");
    assert_eq!(kept.withdrawn(), Some(&Withdrawal::ClientRemoved));
    assert!(revoked.over().is_cancelled() && kept.over().is_cancelled() && !other.over().is_cancelled());
    assert_eq!(other.withdrawn(), None);
}

#[test]
fn a_session_ends_at_its_time_which_may_move() {
    let live = Live::new();
    let [first, second] =
        [enter(&live, 1, "a", of_client(Some(at(10)))), enter(&live, 2, "b", of_client(Some(at(20))))];
    assert_eq!(live.end_overdue(at(9)), Some(at(10)));
    live.judge("b", |_, _, _| Ok(Some((at(30), Withdrawal::ClientExpired))));
    assert_eq!(live.end_overdue(at(10)), Some(at(30)));
    assert_eq!(first.withdrawn(), Some(&Withdrawal::SecretExpired));
    assert_eq!(live.all()[1].until, Some(at(30)));
    live.judge("b", |_, _, _| Ok(None));
    assert_eq!(live.end_overdue(at(100)), None);
    assert!(!second.over().is_cancelled());
}

#[test]
fn who_is_gone_is_forgotten() {
    let live = Live::new();
    drop([enter(&live, 1, "a", of_client(Some(at(10)))), enter(&live, 2, "a", of_client(None))]);
    drop(enter(&live, 3, "c", Terms::default()));
    let state = live.state();
    assert!(state.sessions.is_empty() && state.by_login.is_empty() && state.ends.is_empty());
    assert!(state.doubted.is_empty() && state.in_turn.is_empty());
}
