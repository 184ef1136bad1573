//! What clients do all day: look for mail, fetch it, send it, wait for it; mistype a password, and break off in the midst of
//! anything. Those that mean well are counted, each of them; of the others nothing is expected.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::load::clients::{Failure, Line, Way, address, bounded, present};
use crate::load::{Caller, Key, Tally};
use crate::stage::{address as mailbox, login};
use crate::{ACCOUNTS, CHOSEN, ROTATED, Soak};

/// Clients that come and go, and how often each comes.
const VISITORS: usize = 24;
const VISIT_PACE: Duration = Duration::from_millis(800);
/// Clients that stay, and for how long: some longer than others.
const IDLERS: usize = 60;
const STAY: Duration = Duration::from_secs(15);
/// Who mistypes a password, and who breaks off, a second.
const MISTYPED_PACE: Duration = Duration::from_millis(500);
const ABORT_PACE: Duration = Duration::from_millis(100);
/// Addresses that mistyped passwords come from: so many that none is held back.
const TYPISTS: usize = 200;
/// Ways to break off.
const POINTS: usize = 10;

const MESSAGE: &str = "Subject: soak\r\n\r\nOne line, and no more.\r\n";

pub(crate) fn send_clients(runtime: &Runtime, soak: &Soak, tally: &Arc<Tally>) {
    let keys = soak.field.issued[..ACCOUNTS + ROTATED].to_vec();
    let chosen = soak.field.chosen[..CHOSEN].to_vec();
    let keys: Arc<[Key]> = keys.into_iter().chain(chosen).collect();
    for number in 0..VISITORS {
        let (caller, tally, keys) = (soak.caller.clone(), Arc::clone(tally), Arc::clone(&keys));
        runtime.spawn(async move {
            sleep(VISIT_PACE * number as u32 / VISITORS as u32).await;
            let mut turns = interval(VISIT_PACE);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for turn in 0.. {
                turns.tick().await;
                let way = Way::ALL[(turn + number) % Way::ALL.len()];
                let index = (turn * VISITORS + number) % keys.len();
                let began = Instant::now();
                tally.note(way.name(), began, visit(&caller, way, &keys[index], index).await);
            }
        });
    }
    for number in 0..IDLERS {
        let (caller, tally, key) = (soak.caller.clone(), Arc::clone(tally), keys[number].clone());
        runtime.spawn(async move {
            for turn in 0.. {
                let began = Instant::now();
                tally.note("IMAP, idle", began, idle(&caller, &key, STAY + STAY * ((turn + number) % 4) as u32).await);
            }
        });
    }
    let caller = soak.caller.clone();
    runtime.spawn(async move {
        let mut turns = interval(MISTYPED_PACE);
        for turn in 0.. {
            turns.tick().await;
            let caller = Caller { source: address(50_000 + turn % TYPISTS), ..caller.clone() };
            let key = Key { login: login(turn % ACCOUNTS), secret: "lo_abcdefgh_mistyped".to_owned() };
            tokio::spawn(async move { bounded(caller.log_in(Way::Imap, &key)).await.map(drop) });
        }
    });
    let caller = soak.caller.clone();
    runtime.spawn(async move {
        let mut turns = interval(ABORT_PACE);
        for turn in 0.. {
            turns.tick().await;
            let (caller, key) = (caller.clone(), keys[turn % ACCOUNTS].clone());
            tokio::spawn(async move { bounded(break_off(&caller, &key, turn)).await });
        }
    });
}

/// A session that is of use to somebody; when it was in.
async fn visit(caller: &Caller, way: Way, key: &Key, index: usize) -> Result<Instant, Failure> {
    bounded(async {
        let mut line = caller.log_in(way, key).await?;
        let at = Instant::now();
        match way {
            Way::Imap => {
                line.ask("b SELECT INBOX", "b OK").await?;
                line.ask(&format!("c APPEND INBOX {{{}}}", MESSAGE.len()), "+").await?;
                line.ask(MESSAGE, "c OK").await?;
                line.ask("d FETCH 1 BODY[]", "d OK").await?;
                line.ask("e LOGOUT", "* BYE").await?;
            }
            Way::Pop3 => {
                line.ask("STAT", "+OK").await?;
                line.ask("LIST", ".").await?;
                line.ask("QUIT", "+OK").await?;
            }
            Way::Submission | Way::Submissions => {
                // By the clients of both kinds; those that were chosen act as the first mailboxes.
                let from = mailbox(if index < ACCOUNTS + ROTATED { index } else { index - ACCOUNTS - ROTATED });
                line.ask(&format!("MAIL FROM:<{from}>"), "250").await?;
                line.ask("RCPT TO:<somebody@elsewhere.test>", "250").await?;
                line.ask("DATA", "354").await?;
                line.ask(&format!("{MESSAGE}."), "250").await?;
                line.ask("QUIT", "221").await?;
            }
        }
        Ok(at)
    })
    .await
}

/// A session that waits for mail.
async fn idle(caller: &Caller, key: &Key, time: Duration) -> Result<Instant, Failure> {
    let mut line = bounded(caller.log_in(Way::Imap, key)).await?;
    let at = Instant::now();
    bounded(line.ask("b SELECT INBOX", "b OK")).await?;
    bounded(line.ask("c IDLE", "+")).await?;
    sleep(time).await;
    bounded(line.ask("DONE", "c OK")).await?;
    bounded(line.ask("d LOGOUT", "* BYE")).await?;
    Ok(at)
}

/// Leaves without a word at one point after the other: half of them by a reset.
async fn break_off(caller: &Caller, key: &Key, turn: usize) -> Result<(), Failure> {
    let doors = caller.doors;
    let caller = Caller { source: address(60_000 + turn % TYPISTS), ..caller.clone() };
    let line = match turn % POINTS {
        0 => Line::connect(caller.source, doors.imaps).await?,
        1 => {
            let mut line = Line::connect(caller.source, doors.imaps).await?;
            line.say([0x16, 3, 1]).await?; // the first bytes of a ClientHello
            line
        }
        2 => {
            let mut line = Line::connect(caller.source, doors.imap).await?;
            line.ask("a STARTTLS", "a OK").await?;
            line
        }
        3 => caller.greet(Way::Submission).await?,
        4 => {
            let mut line = caller.greet(Way::Imap).await?;
            line.ask("a AUTHENTICATE PLAIN", "+").await?;
            line
        }
        5 => {
            let mut line = caller.greet(Way::Imap).await?;
            line.ask("a LOGIN {5}", "+").await?;
            line.say("sca").await?;
            line
        }
        6 => {
            // While it is decided, or Locum logs in.
            let mut line = caller.greet(Way::Imap).await?;
            line.say(format!("a LOGIN {} {}\r\n", key.login, key.secret)).await?;
            line
        }
        7 => {
            let mut line = caller.greet(Way::Pop3).await?;
            present(&mut line, Way::Pop3, key).await?;
            line.say("LIST\r\nRET").await?;
            line
        }
        8 => {
            let mut line = caller.log_in(Way::Imap, key).await?;
            line.ask("b APPEND INBOX {1000}", "+").await?;
            line.say("Subject: never to be").await?;
            line
        }
        _ => {
            let mut line = caller.log_in(Way::Submission, key).await?;
            line.say("MAIL FROM:<x@y.test>\r\nRCPT TO:<").await?;
            line
        }
    };
    if (turn / POINTS).is_multiple_of(2) {
        line.abort();
    }
    Ok(())
}
