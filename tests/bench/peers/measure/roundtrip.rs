//! What a subject adds to a round trip: one client that asks and waits, with the subject between and without it.

use std::time::{Duration, Instant};

use super::Bench;
use crate::drive::SLICE;
use crate::figures::median_and_worst;
use crate::load::clients::{Failure, Way};
use crate::sheet::Row;
use crate::subject::Subject;

pub(super) fn take(bench: &mut Bench, subject: Subject) {
    let [direct, between] = [Subject::Direct, subject].map(|subject| round_trips(bench, subject));
    match (direct, between) {
        (Ok(direct), Ok(between)) => {
            let added = |at: usize| (between[at].as_secs_f64() - direct[at].as_secs_f64()) * 1e6;
            bench.sheet.put(Row::RoundTrip, subject, added(0));
            bench.sheet.put(Row::RoundTripWorst, subject, added(1));
        }
        (Err(why), _) | (_, Err(why)) => bench.sheet.complain(subject, format!("no round trips: {why}")),
    }
}

/// The middle one, and the one that 99 of a hundred did not exceed.
fn round_trips(bench: &mut Bench, subject: Subject) -> Result<[Duration; 2], Failure> {
    let running = bench.ground.start(subject);
    let caller = running.caller();
    bench.runtime.block_on(async {
        let mut line = caller.log_in(Way::Imap, &running.keys[0]).await?;
        let (mut times, began) = (Vec::new(), Instant::now());
        while began.elapsed() < SLICE {
            let asked = Instant::now();
            line.ask("n NOOP", "n OK").await?;
            times.push(asked.elapsed());
        }
        Ok(median_and_worst(times).expect("there was time for more than one"))
    })
}
