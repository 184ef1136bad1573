//! What is said of each tenth, and whether anything grows.

use std::time::{Duration, Instant};

use crate::figures::{Rows, short};
use crate::load::{Phase, Tally, Vitals};
use crate::slope::{Slope, Stand};

/// An hour of a site whose clients log in once a second.
const SESSIONS_AN_HOUR: f64 = 3_600.0;

/// More than this for a thousand sessions is growth: 64 bytes for each, which is less than anything that one of them leaves behind
/// could be; and one descriptor, thread or task for ten thousand.
const KIBIBYTES_MAX: f64 = 64.0;
const PIECES_MAX: f64 = 0.1;

const HEAD: &[&str] = &[
    "minute",
    "logins a second",
    "median (99 %) in ms",
    "failed",
    "memory, MiB",
    "of it anonymous",
    "descriptors, least to most",
    "tasks, least to most",
    "sessions, most",
    "threads",
];

pub(crate) fn rows() -> Rows {
    Rows::under(HEAD)
}

/// One tenth.
pub(crate) fn put(rows: &mut Rows, began: Instant, (from, until): (Instant, Instant), vitals: &Vitals, tally: &Tally) {
    let phase = tally.phase(from, until);
    let (looks, gauges) = vitals.since(from);
    let Some(look) = looks.last() else { return };
    let mebi = |bytes: u64| short(bytes as f64 / f64::from(1 << 20));
    let range = |of: fn(&crate::load::Gauges) -> u64| {
        let values = || gauges.iter().map(of);
        format!("{} - {}", values().min().unwrap_or_default(), values().max().unwrap_or_default())
    };
    rows.put(vec![
        short((until - began).as_secs_f64() / 60.0),
        short(phase.rate),
        times(&phase),
        phase.failed().to_string(),
        mebi(look.resident),
        mebi(look.anonymous),
        range(|it| it.descriptors),
        range(|it| it.tasks),
        gauges.iter().map(|it| it.sessions).max().unwrap_or_default().to_string(),
        look.threads.to_string(),
    ]);
}

fn times(phase: &Phase) -> String {
    phase.times.map_or("-".to_owned(), |times| {
        let [median, most] = times.map(|it| short(it.as_secs_f64() * 1e3));
        format!("{median} ({most})")
    })
}

/// How many came in, and how many did not, whatever for.
pub(crate) fn told(phase: &Phase, time: Duration) -> String {
    let came = (phase.rate * time.as_secs_f64()).round();
    let failed = phase.failures.iter().map(|(why, count)| format!("; {count} times {why}")).collect::<String>();
    format!("{came} logins{failed}")
}

/// What the lines through all of it say.
pub(crate) struct Slopes {
    pub(crate) table: Rows,
    pub(crate) complaints: Vec<String>,
}

/// From `warm` on, in which time so many came in.
pub(crate) fn slopes(vitals: &Vitals, warm: Instant, logins: usize) -> Slopes {
    let (looks, gauges) = vitals.since(warm);
    let rate = logins as f64 / warm.elapsed().as_secs_f64();
    let seconds = |at: Instant| at.duration_since(warm).as_secs_f64();
    let of_looks = |of: fn(&crate::load::Look) -> u64| -> Vec<_> {
        looks.iter().map(|it| (seconds(it.at), of(it) as f64)).collect()
    };
    let of_gauges = |of: fn(&crate::load::Gauges) -> u64| -> Vec<_> {
        gauges.iter().map(|it| (seconds(it.at), of(it) as f64)).collect()
    };
    let lines = [
        ("resident memory, KiB", of_looks(|it| it.resident / 1024), Stand::Median, KIBIBYTES_MAX),
        ("anonymous memory, KiB", of_looks(|it| it.anonymous / 1024), Stand::Median, KIBIBYTES_MAX),
        ("descriptors", of_gauges(|it| it.descriptors), Stand::Least, PIECES_MAX),
        ("tasks", of_gauges(|it| it.tasks), Stand::Least, PIECES_MAX),
        ("threads", of_looks(|it| it.threads), Stand::Least, PIECES_MAX),
    ];
    let mut table =
        Rows::under(&["slope", "for a thousand sessions", "for an hour of one session a second", "judgement"]);
    let mut complaints = Vec::new();
    for (what, points, stand, bound) in lines {
        let Some(slope) = Slope::of(&points, stand) else {
            complaints.push(format!("{what}: too little was seen to tell"));
            continue;
        };
        let slope = slope.times(1_000.0 / rate);
        let grows = slope.is_more_than(bound);
        let said = |slope: Slope| format!("{:+.2} ± {:.2}", slope.per_second, slope.either_way);
        let judgement = if grows { "GROWS" } else { "flat" };
        table.put(vec![
            what.to_owned(),
            said(slope),
            said(slope.times(SESSIONS_AN_HOUR / 1_000.0)),
            judgement.to_owned(),
        ]);
        if grows {
            complaints.push(format!("{what}: it grows by more than {bound} for a thousand sessions"));
        }
    }
    Slopes { table, complaints }
}
