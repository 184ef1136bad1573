//! Traces begin, are read and end within their bounds.

use super::*;
use crate::model::Protocol;

fn origin(session: u64, last: u8) -> Origin {
    Origin {
        session,
        listener: "imaps".into(),
        protocol: Protocol::Imap,
        peer: IpAddr::from([192, 0, 2, last]),
        via: Vec::new(),
        tls: true,
        tls_version: None,
    }
}

fn of_login(login: &str) -> TraceFilter {
    TraceFilter { login: Some(login.to_owned()), ..TraceFilter::default() }
}

fn texts(traces: &Traces, id: &str) -> Vec<String> {
    traces.view(id, 0, LINES_MAX).unwrap().lines.into_iter().map(|line| line.text).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_a_login_is_told_to_those_who_want_that_login() {
    let traces = Arc::<Traces>::default();
    assert!(traces.tap(&origin(1, 1)).is_none(), "nobody listens");
    let ours = traces.begin(of_login("Scan"), TRACE_TIME, "op").unwrap();
    let other = traces.begin(of_login("other"), TRACE_TIME, "op").unwrap();
    let from = TraceFilter { peer: Some(IpAddr::from([192, 0, 2, 1])), ..TraceFilter::default() };
    let from = traces.begin(from, TRACE_TIME, "op").unwrap();
    let tap = traces.tap(&origin(2, 1)).unwrap();
    tap.note("first");
    assert_eq!(texts(&traces, &ours), [""; 0]);
    tap.login_is(b"SCAN");
    traces.tap_of(2).unwrap().note("second");
    for id in [&ours, &from] {
        assert_eq!(texts(&traces, id), ["first", "second"]);
    }
    assert_eq!(texts(&traces, &other), [""; 0]);
    assert_eq!(traces.view(&ours, 1, 10).unwrap().lines[0].number, 2);
    drop(tap);
    assert!(traces.tap_of(2).is_none() && traces.taps().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_trace_is_over_by_its_time_and_forgotten_later() {
    let traces = Arc::<Traces>::default();
    let id = traces.begin(of_login("a"), Duration::from_secs(5), "op").unwrap();
    let tap = traces.tap(&origin(1, 1)).unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    tap.login_is(b"a");
    tap.note("late");
    let view = traces.view(&id, 0, 10).unwrap();
    assert_eq!((view.over, view.lines.len()), (Some("its time is over"), 0));
    assert!(traces.tap(&origin(2, 1)).is_none(), "nobody listens any more");
    tokio::time::advance(KEPT).await;
    assert!(traces.view(&id, 0, 10).is_none());
}

#[tokio::test(start_paused = true)]
async fn bounds_hold() {
    let traces = Arc::<Traces>::default();
    assert_eq!(traces.begin(TraceFilter::default(), TRACE_TIME, "op"), Err(TraceError::NoFilter));
    for time in [Duration::ZERO, TRACE_TIME_MAX + Duration::from_secs(1)] {
        assert_eq!(traces.begin(of_login("a"), time, "op"), Err(TraceError::Time));
    }
    let ids: Vec<_> = (0..RUNNING_MAX).map(|_| traces.begin(of_login("a"), TRACE_TIME, "op").unwrap()).collect();
    assert_eq!(traces.begin(of_login("a"), TRACE_TIME, "op"), Err(TraceError::TooMany));
    assert!(traces.remove(&ids[0]) && !traces.remove(&ids[0]));
    traces.begin(of_login("a"), TRACE_TIME, "op").unwrap();
    let tap = traces.tap(&origin(1, 1)).unwrap();
    (0..2 * WAITING_LINES_MAX).for_each(|_| tap.note("x"));
    tap.login_is(b"a");
    assert_eq!(texts(&traces, &ids[1]).len(), WAITING_LINES_MAX);
    (0..2 * LINES_MAX).for_each(|_| tap.note("x"));
    let view = traces.view(&ids[1], 0, usize::MAX).unwrap();
    assert_eq!((view.over, view.lines.len()), (Some("it is full"), LINES_MAX));
}
