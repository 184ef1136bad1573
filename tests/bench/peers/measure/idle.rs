//! Sessions that wait, as nearly all do nearly all the time: what each of them keeps of the subject's memory, once it has moved
//! some bytes. What is given back within a moment is not theirs any more.

use std::thread;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};

use super::{Bench, log_out, relay};
use crate::drive::CLIENTS;
use crate::load::clients::{Failure, Line, Way, bounded};
use crate::sheet::Row;
use crate::subject::{Running, Subject};

const FEW: usize = 1_000;
const MANY: usize = 5_000;
const WAVES: usize = 10;

/// What moves before a session waits.
const TRAFFIC_BYTES: usize = 64 << 10;

/// Allocators give back what is free some time after it is.
const SETTLE: Duration = Duration::from_millis(2500);

pub(super) fn take(bench: &mut Bench, subject: Subject) {
    if let Err(why) = wait(bench, subject) {
        bench.sheet.complain(subject, format!("a session that was to wait broke: {why}"));
    }
}

fn wait(bench: &mut Bench, subject: Subject) -> Result<(), Failure> {
    let running = bench.start_warm(subject);
    let before = memory(&running);
    let mut sessions = open(bench, &running, 0, FEW)?;
    let few = memory(&running);
    bench.sheet.put(Row::Idle1000, subject, kibibytes(few - before, FEW));
    // One round shows it, and each takes its time.
    if bench.round == 0 {
        for _ in 0..WAVES {
            close(bench, sessions)?;
            sessions = open(bench, &running, 0, FEW)?;
        }
        bench.sheet.put(Row::Growth, subject, kibibytes(memory(&running) - few, FEW));
    }
    sessions.extend(open(bench, &running, FEW, MANY)?);
    bench.sheet.put(Row::Idle5000, subject, kibibytes(memory(&running) - before, MANY));
    close(bench, sessions)
}

/// Sessions of these numbers; all of them wait when this returns.
fn open(bench: &mut Bench, running: &Running, from: usize, to: usize) -> Result<Vec<Line>, Failure> {
    let caller = &running.caller();
    let session = |number: usize| {
        let key = &running.keys[number % running.keys.len()];
        bounded(async move {
            let mut line = caller.log_in(Way::Imap, key).await?;
            line.ask("s SELECT INBOX", "s OK").await?;
            relay::fetch(&mut line, &mut vec![0; TRAFFIC_BYTES], TRAFFIC_BYTES).await?;
            line.ask("i IDLE", "+").await?;
            Ok(line)
        })
    };
    let sessions = stream::iter((from..to).map(session)).buffer_unordered(CLIENTS);
    bench.runtime.block_on(sessions.try_collect())
}

fn close(bench: &mut Bench, sessions: Vec<Line>) -> Result<(), Failure> {
    let one = |mut line: Line| async move {
        line.ask("DONE", "i OK").await?;
        log_out(line, Way::Imap).await
    };
    let closed = stream::iter(sessions.into_iter().map(one)).buffer_unordered(CLIENTS);
    bench.runtime.block_on(closed.try_collect())
}

fn memory(running: &Running) -> f64 {
    thread::sleep(SETTLE);
    running.tree().map(|tree| tree.memory()).unwrap_or_default() as f64
}

fn kibibytes(bytes: f64, sessions: usize) -> f64 {
    bytes / 1024.0 / sessions as f64
}
