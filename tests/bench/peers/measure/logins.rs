//! Logins: what each costs the subject, with the TLS handshake of the client and that at the upstream, from the connection to
//! the end of the session.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;

use super::{Bench, log_in_and_out};
use crate::drive::{CLIENTS, Driven, SLICE, drive};
use crate::load::clients::{Caller, Way};
use crate::sheet::Row;
use crate::subject::{Running, Subject};

/// What a client keeps of earlier handshakes.
const TICKETS: usize = 8;

pub(super) fn take(bench: &mut Bench, subject: Subject) {
    let running = bench.start_warm(subject);
    let full = logins(bench, &running, Way::Imap, false);
    bench.sheet.put(Row::ImapFull, subject, full.each_ms());
    bench.sheet.put(Row::Rate, subject, full.done as f64 / full.took.as_secs_f64());
    let handshakes = full.counts.handshakes.max(1);
    bench.sheet.put(Row::UpstreamResumed, subject, 100.0 * full.counts.resumed as f64 / handshakes as f64);
    let resumed = logins(bench, &running, Way::Imap, true);
    bench.sheet.put(Row::ImapResumed, subject, resumed.each_ms());
    let pop3 = logins(bench, &running, Way::Pop3, false);
    bench.sheet.put(Row::Pop3, subject, pop3.each_ms());
    drop(running);
    if subject == Subject::Locum {
        chosen(bench, subject);
    }
}

/// Logins of all clients in turn.
pub(super) fn logins(bench: &mut Bench, running: &Running, way: Way, resumes: bool) -> Driven {
    let callers: Vec<Caller> = (0..CLIENTS).map(|_| caller(running, resumes)).collect();
    let count = Cell::new(0);
    let driven = drive(&bench.runtime, &mut bench.ground.upstream, running, (CLIENTS, SLICE), |client, turn| {
        let (caller, count) = (&callers[client], &count);
        let key = &running.keys[(turn * CLIENTS + client) % running.keys.len()];
        async move {
            let mut line = caller.greet(way).await?;
            count.set(count.get() + u64::from(line.is_resumed()));
            crate::load::clients::present(&mut line, way, key).await?;
            super::log_out(line, way).await
        }
    });
    driven.check_logins(&mut bench.sheet, running);
    // Each client's first handshake is a whole one, and no other.
    let wanted = if resumes { driven.done.saturating_sub(CLIENTS as u64) } else { 0 };
    if count.get() < wanted * 9 / 10 || (!resumes && count.get() > 0) {
        bench.sheet.complain(running.subject, format!("{} handshakes of clients resumed, of {wanted}", count.get()));
    }
    driven
}

fn caller(running: &Running, resumes: bool) -> Caller {
    let caller = running.caller();
    if !resumes {
        return caller;
    }
    let mut trust = (*caller.trust).clone();
    trust.resumption = Resumption::in_memory_sessions(TICKETS);
    Caller { trust: Arc::new(trust), ..caller }
}

/// Each client once, and nobody remembered; one in ten has a secret that takes a slow hash to see.
fn chosen(bench: &mut Bench, subject: Subject) {
    let running = bench.ground.start(subject);
    let chosen = bench.ground.chosen();
    let keys: Vec<_> =
        running.keys.chunks(9).zip(&chosen).flat_map(|(issued, one)| issued.iter().chain([one])).collect();
    let (caller, logins) = (running.caller(), Cell::new(0));
    let driven = drive(&bench.runtime, &mut bench.ground.upstream, &running, (CLIENTS, Duration::ZERO), |client, _| {
        let (caller, logins, keys) = (&caller, &logins, keys.iter().skip(client).step_by(CLIENTS));
        async move {
            for key in keys {
                log_in_and_out(caller, Way::Imap, key).await?;
                logins.set(logins.get() + 1);
            }
            Ok(())
        }
    });
    driven.check(&mut bench.sheet, &running);
    bench.sheet.expect(subject, "logins, one in ten with a chosen secret", driven.counts.logins, keys.len() as u64);
    bench.sheet.put(Row::ImapChosen, subject, driven.busy.as_secs_f64() * 1e3 / logins.get() as f64);
}
