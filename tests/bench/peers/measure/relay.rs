//! Bytes: a few sessions that fetch and append without a pause, large messages and such as most are.

use tokio::sync::Mutex;

use super::Bench;
use crate::drive::{SLICE, drive};
use crate::load::clients::{Failure, Line, Way};
use crate::sheet::Row;
use crate::subject::Subject;

/// Sessions at once.
const SESSIONS: usize = 4;

const LARGE: usize = 16 << 20;
const SMALL: usize = 64 << 10;

/// What a client writes at once, and reads at once.
const PIECE_BYTES: usize = 64 << 10;

pub(super) fn take(bench: &mut Bench, subject: Subject) {
    let running = bench.ground.start(subject);
    let caller = running.caller();
    let lines = bench.runtime.block_on(async {
        let mut lines = Vec::new();
        for key in &running.keys[..SESSIONS] {
            lines.push(Mutex::new((caller.log_in(Way::Imap, key).await?, vec![b'x'; PIECE_BYTES])));
        }
        Ok::<_, Failure>(lines)
    });
    let lines = match lines {
        Ok(lines) => lines,
        Err(why) => return bench.sheet.complain(subject, format!("a session to relay was not let in: {why}")),
    };
    for (row, is_down, size) in
        [(Row::Down, true, LARGE), (Row::Up, false, LARGE), (Row::DownSmall, true, SMALL), (Row::UpSmall, false, SMALL)]
    {
        let driven = drive(&bench.runtime, &mut bench.ground.upstream, &running, (SESSIONS, SLICE), |client, _| {
            let line = &lines[client];
            async move {
                // Each has its own: nobody waits.
                let (line, piece) = &mut *line.lock().await;
                if is_down { fetch(line, piece, size).await } else { append(line, piece, size).await }
            }
        });
        driven.check(&mut bench.sheet, &running);
        let seen = if is_down { driven.counts.given } else { driven.counts.taken };
        bench.sheet.expect(subject, "bytes at the upstream", seen, driven.done * size as u64);
        bench.sheet.put(row, subject, driven.per_gigabyte(seen));
    }
}

/// One message down.
pub(super) async fn fetch(line: &mut Line, scratch: &mut [u8], size: usize) -> Result<(), Failure> {
    line.ask(&format!("f FETCH 1 BODY[]<0.{size}>"), "* 1 FETCH").await?;
    line.swallow(size, scratch).await?;
    line.expect("f OK").await
}

/// One message up.
async fn append(line: &mut Line, piece: &[u8], size: usize) -> Result<(), Failure> {
    line.ask(&format!("u APPEND INBOX {{{size}}}"), "+").await?;
    for _ in 0..size / piece.len() {
        line.say(piece).await?;
    }
    line.ask("", "u OK").await
}
