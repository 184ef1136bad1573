//! Runs a plan: rows are begun in the order of the file, each when it has a turn at its provider. It must never leave a row
//! without a word, however it ends.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::plan::Job;
use super::{Batch, Finished, Outcome, Plan, TRIED_MIN, Ticket, UNDER_WAY_MAX};
use crate::rotation::{Given, Turn, Turns};

/// How long what is under way may go on after a stop: a second look (half a minute, unless configured otherwise) and the
/// logins behind it.
pub const FINISH_WITHIN: Duration = Duration::from_secs(45);

/// How a batch is told to stop. Nothing is lost either way: where a row stands is in its record.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    /// Begin no new rows, and bring to an end what is under way, within [`FINISH_WITHIN`].
    pub gently: CancellationToken,
    /// Now.
    pub at_once: CancellationToken,
}

/// Why a batch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All rows were tried.
    Through,
    /// Somebody said so.
    Asked,
    /// Too many failed.
    TooManyFailed {
        /// So many.
        failed: usize,
        /// Of so many that were tried.
        tried: usize,
    },
    /// The store is out of reach, for this reason: what was not tried would fail, too, and slowly.
    Store(String),
}

impl Batch {
    /// Rotates all rows of a plan. `told` hears of each as it is done with: first of those that need nothing.
    pub async fn run(&self, plan: Plan, stops: &Stops, mut told: impl FnMut(Finished)) -> Ended {
        let Plan { queues, settled } = plan;
        settled.into_iter().for_each(&mut told);
        let work = async |job: Job, turn: Turn| {
            let rotation = self.rotation.in_turn(turn);
            let given = Given::New(Box::new(job.credential));
            job.ticket.rotated(rotation.run(&job.subject, given, &self.options.protocols).await)
        };
        let turns = Turns::new(self.options.at_once);
        let bounds = Bounds { stop_at: self.options.stop_at, under_way_max: UNDER_WAY_MAX };
        drive(queues, &turns, bounds, stops, work, told).await
    }
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    stop_at: u8,
    under_way_max: usize,
}

/// What was tried, and what came of it.
#[derive(Debug, Default)]
struct Tally {
    tried: usize,
    failed: usize,
}

impl Tally {
    /// Counts a row; why no other is to be begun, if so.
    fn count(&mut self, finished: &Finished, stop_at: u8) -> Option<Ended> {
        if finished.outcome == Outcome::Store && finished.passes {
            return Some(Ended::Store(finished.cause.clone()));
        }
        self.tried += 1;
        self.failed += usize::from(finished.outcome.is_failure());
        let Self { tried, failed } = *self;
        let too_many = stop_at > 0 && tried >= TRIED_MIN && failed * 100 > tried * usize::from(stop_at);
        too_many.then_some(Ended::TooManyFailed { failed, tried })
    }
}

async fn drive(
    mut queues: BTreeMap<String, VecDeque<Job>>,
    turns: &Turns,
    bounds: Bounds,
    stops: &Stops,
    work: impl AsyncFn(Job, Turn) -> Finished,
    mut told: impl FnMut(Finished),
) -> Ended {
    let (mut running, mut under_way) = (FuturesUnordered::new(), BTreeMap::<u64, Ticket>::new());
    let (mut tally, mut ended, mut until) = (Tally::default(), Ended::Through, None);
    loop {
        queues.retain(|_, queue| !queue.is_empty());
        let begins = until.is_none() && !queues.is_empty();
        if running.is_empty() && !begins {
            break;
        }
        // Asked for anew each time: a turn that is granted and not taken would keep those waiting that rest.
        let open = begins && running.len() < bounds.under_way_max;
        let waiting: FuturesUnordered<_> = queues
            .keys()
            .filter(|_| open)
            .map(async |upstream| (upstream.clone(), turns.take(upstream).await))
            .collect();
        let mut waiting = waiting;
        let mut why = None;
        let mut granted = None;
        tokio::select! {
            biased;
            () = stops.at_once.cancelled() => {
                ended = Ended::Asked;
                break;
            }
            () = stops.gently.cancelled(), if until.is_none() => why = Some(Ended::Asked),
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => break,
            Some(finished) = running.next() => {
                let finished: Finished = finished;
                under_way.remove(&finished.ticket.line);
                why = tally.count(&finished, bounds.stop_at).filter(|_| until.is_none());
                told(finished);
            }
            Some(turn) = waiting.next() => granted = Some(turn),
        }
        drop(waiting);
        if let Some((upstream, turn)) = granted
            && let Some(job) = queues.get_mut(&upstream).and_then(VecDeque::pop_front)
        {
            under_way.insert(job.ticket.line, job.ticket.clone());
            running.push(work(job, turn));
        }
        if let Some(why) = why {
            ended = why;
            until = Some(Instant::now() + FINISH_WITHIN);
        }
    }
    drop(running);
    for ticket in under_way.into_values() {
        let cause = "stopped while it was under way; logins use what is current: run it again to go on";
        told(ticket.finished(Outcome::Interrupted, cause, true));
    }
    let mut left: Vec<Ticket> = queues.into_values().flatten().map(|job| job.ticket).collect();
    left.sort_by_key(|ticket| ticket.line);
    left.into_iter().for_each(|mut ticket| {
        ticket.credential = None;
        told(ticket.finished(Outcome::NotTried, "stopped before; run it again to go on", true));
    });
    ended
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use jiff::Timestamp;
    use tokio::time::sleep;

    use super::*;
    use crate::model::{Material, Secret, StoredCredential};
    use crate::rotation::Subject;

    const SECOND: Duration = Duration::from_secs(1);
    const BOUNDS: Bounds = Bounds { stop_at: 10, under_way_max: 512 };

    fn job(line: u64) -> Job {
        let account = format!("a{line}");
        let material = Material::of("secret", Secret::new(format!("s{line}")));
        let created = Timestamp::UNIX_EPOCH;
        let credential = StoredCredential {
            id: format!("c{line}"),
            label: String::new(),
            created,
            verified: None,
            retries: 0,
            material,
        };
        let subject = Subject::app_password(&account);
        let (label, id) = (String::new(), Some(credential.id.clone()));
        let ticket = Ticket { line, account, label, credential: id, before: None };
        Job { ticket, subject, credential, goes_on: false }
    }

    fn queue(lines: impl IntoIterator<Item = u64>) -> VecDeque<Job> {
        lines.into_iter().map(job).collect()
    }

    fn at_one(count: u64) -> BTreeMap<String, VecDeque<Job>> {
        BTreeMap::from([("gmail".to_owned(), queue(0..count))])
    }

    fn finished(job: Job, outcome: Outcome) -> Finished {
        job.ticket.finished(outcome, "", false)
    }

    fn count(told: &[Finished], outcome: Outcome) -> usize {
        told.iter().filter(|it| it.outcome == outcome).count()
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_so_many_at_once_at_each_provider_and_in_the_order_of_the_file() {
        let queues = BTreeMap::from([("a".to_owned(), queue(0..20)), ("b".to_owned(), queue(100..120))]);
        let (open, most, begun) = (Cell::new([0; 2]), Cell::new([0; 2]), RefCell::new(Vec::new()));
        let work = async |job: Job, turn: Turn| {
            let at = usize::from(job.ticket.line >= 100);
            begun.borrow_mut().push(job.ticket.line);
            let mut now = open.get();
            now[at] += 1;
            open.set(now);
            most.set([0, 1].map(|at| now[at].max(most.get()[at])));
            sleep(SECOND).await;
            now = open.get();
            now[at] -= 1;
            open.set(now);
            drop(turn);
            finished(job, Outcome::Rotated)
        };
        let (mut told, began) = (Vec::new(), Instant::now());
        let ended = drive(queues, &Turns::new(4), BOUNDS, &Stops::default(), work, |it| told.push(it)).await;
        assert_eq!((ended, most.get(), told.len()), (Ended::Through, [4, 4], 40));
        assert_eq!(began.elapsed(), SECOND * 5, "one provider does not wait for the other");
        for range in [0..100, 100..200] {
            let lines: Vec<u64> = begun.borrow().iter().copied().filter(|line| range.contains(line)).collect();
            assert!(lines.is_sorted(), "{lines:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_wait_hold_up_no_others_and_only_so_many_are_under_way() {
        let (under_way, most) = (Cell::new(0), Cell::new(0));
        let work = async |job: Job, turn: Turn| {
            under_way.set(under_way.get() + 1);
            most.set(under_way.get().max(most.get()));
            sleep(SECOND).await; // a login
            turn.rest(SECOND * 30).await;
            sleep(SECOND).await;
            under_way.set(under_way.get() - 1);
            finished(job, Outcome::Rotated)
        };
        let began = Instant::now();
        let ended = drive(at_one(10), &Turns::new(1), BOUNDS, &Stops::default(), &work, drop).await;
        assert_eq!((ended, most.get()), (Ended::Through, 10));
        assert!(began.elapsed() < SECOND * 45, "{:?}", began.elapsed());
        let bounds = Bounds { under_way_max: 3, ..BOUNDS };
        most.set(0);
        let ended = drive(at_one(10), &Turns::new(1), bounds, &Stops::default(), &work, drop).await;
        assert_eq!((ended, most.get()), (Ended::Through, 3), "and none waits for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_failures_begin_no_new_rows() {
        let work = async |job: Job, _turn: Turn| {
            sleep(SECOND).await;
            let outcome = if job.ticket.line.is_multiple_of(5) { Outcome::Refused } else { Outcome::Rotated };
            finished(job, outcome)
        };
        let mut told = Vec::new();
        let ended = drive(at_one(100), &Turns::new(1), BOUNDS, &Stops::default(), &work, |it| told.push(it)).await;
        assert_eq!(ended, Ended::TooManyFailed { failed: 4, tried: 20 });
        let of = |outcome| count(&told, outcome);
        assert_eq!((told.len(), of(Outcome::Refused), of(Outcome::NotTried)), (100, 4, 80));
        let bounds = Bounds { stop_at: 0, ..BOUNDS };
        let ended = drive(at_one(100), &Turns::new(1), bounds, &Stops::default(), &work, drop).await;
        assert_eq!(ended, Ended::Through);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_out_of_reach_ends_it() {
        let work = async |job: Job, _turn: Turn| job.ticket.finished(Outcome::Store, "no route to host", true);
        let mut told = Vec::new();
        let ended = drive(at_one(100), &Turns::new(1), BOUNDS, &Stops::default(), work, |it| told.push(it)).await;
        assert_eq!(ended, Ended::Store("no route to host".to_owned()));
        assert_eq!((count(&told, Outcome::Store), count(&told, Outcome::NotTried)), (1, 99));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_lets_what_is_under_way_end_and_a_second_one_does_not() {
        for (line_takes, at_once, expected, takes) in [
            (SECOND * 10, None, (4, 0, 96), SECOND * 10),
            (FINISH_WITHIN * 2, None, (0, 4, 96), FINISH_WITHIN + SECOND),
            (SECOND * 10, Some(SECOND * 3), (0, 4, 96), SECOND * 3),
        ] {
            let work = async |job: Job, _turn: Turn| {
                sleep(line_takes).await;
                finished(job, Outcome::Rotated)
            };
            let (stops, mut told, began) = (Stops::default(), Vec::new(), Instant::now());
            let asks = async {
                sleep(SECOND).await;
                stops.gently.cancel();
                if let Some(at) = at_once {
                    sleep(at - SECOND).await;
                    stops.at_once.cancel();
                }
            };
            let turns = Turns::new(4);
            let driven = drive(at_one(100), &turns, BOUNDS, &stops, work, |it| told.push(it));
            let (ended, ()) = tokio::join!(driven, asks);
            let of = |outcome| count(&told, outcome);
            let counts = (of(Outcome::Rotated), of(Outcome::Interrupted), of(Outcome::NotTried));
            assert_eq!((ended, counts, began.elapsed()), (Ended::Asked, expected, takes));
            let of_line = |line: u64| told.iter().filter(|it| it.ticket.line == line).count();
            assert!((0..100).all(|line| of_line(line) == 1), "each row is told of once");
        }
    }
}
