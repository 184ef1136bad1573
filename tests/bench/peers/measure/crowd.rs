//! Everybody at once: a site whose network comes back.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::Bench;
use crate::drive::busy;
use crate::load::clients::{self, Caller, Line, Way, bounded};
use crate::sheet::Row;
use crate::subject::{Running, Subject};

const CROWD: usize = 500;
const STORM: usize = 5_000;

/// Addresses that they come from.
const SOURCES: usize = 64;

pub(super) fn take(bench: &mut Bench, subject: Subject) {
    let running = bench.start_warm(subject);
    let (took, _, lost) = rush(bench, &running, CROWD);
    bench.sheet.put(Row::Crowd, subject, took.as_secs_f64());
    let (took, busy, more) = rush(bench, &running, STORM);
    bench.sheet.put(Row::Storm, subject, took.as_secs_f64());
    bench.sheet.put(Row::StormCpu, subject, busy.as_secs_f64() * 1e3 / STORM as f64);
    bench.sheet.put(Row::Lost, subject, (lost + more) as f64);
}

/// The time until all of them are in, what it cost, and how many were lost. All stay until then.
fn rush(bench: &mut Bench, running: &Running, count: usize) -> (Duration, Duration, usize) {
    let before = bench.ground.upstream.counts();
    let (cost, began) = (busy(running), Instant::now());
    let one = |number: usize| {
        let caller = Caller { source: clients::address(1 + number % SOURCES), ..running.caller() };
        let key = &running.keys[number % running.keys.len()];
        async move { bounded(caller.log_in(Way::Imap, key)).await }
    };
    let lines = bench.runtime.block_on(join_all((0..count).map(one)));
    let (took, cost) = (began.elapsed(), busy(running) - cost);
    let lost = lines.iter().filter_map(|it| it.as_ref().err()).map(ToString::to_string).collect::<Vec<_>>();
    // That others lose some is a figure of theirs, and no fault of the bench.
    if let Some(first) = lost.first().filter(|_| running.subject.is_ours()) {
        bench.sheet.complain(running.subject, format!("of {count} at once {} were lost: {first}", lost.len()));
    }
    let logins = (bench.ground.upstream.counts() - before).logins;
    bench.sheet.expect(running.subject, "logins of a crowd", logins, (count - lost.len()) as u64);
    let lines: Vec<Line> = lines.into_iter().filter_map(Result::ok).collect();
    bench.runtime.block_on(join_all(lines.into_iter().map(|line| super::log_out(line, Way::Imap))));
    (took, cost, lost.len())
}
