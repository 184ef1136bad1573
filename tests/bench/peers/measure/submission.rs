//! Messages of 4 KiB, each in a session of its own, as devices send them.

use std::sync::LazyLock;

use super::{Bench, log_out};
use crate::drive::{CLIENTS, SLICE, drive};
use crate::load::clients::Way;
use crate::sheet::Row;
use crate::subject::Subject;

const MESSAGE_BYTES: usize = 4096;

/// With its end.
static MESSAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let head = b"From: scanner@contoso.test\r\nTo: mailbox@contoso.test\r\nSubject: scan\r\n\r\n".iter();
    let lines = b"x".repeat(62).into_iter().chain(*b"\r\n").cycle();
    let mut message: Vec<u8> = head.copied().chain(lines).take(MESSAGE_BYTES - 2).collect();
    message.extend_from_slice(b"\r\n.\r\n");
    message
});

pub(super) fn take(bench: &mut Bench, subject: Subject) {
    let running = bench.start_warm(subject);
    let ways = [(Row::Submissions, Way::Submissions, true), (Row::Submission, Way::Submission, subject.speaks_mail())];
    for (row, way, _) in ways.into_iter().filter(|(.., is_there)| *is_there) {
        let caller = running.caller();
        let driven = drive(&bench.runtime, &mut bench.ground.upstream, &running, (CLIENTS, SLICE), |client, turn| {
            let (caller, number) = (&caller, (turn * CLIENTS + client) % running.keys.len());
            let key = &running.keys[number];
            async move {
                let mut line = caller.log_in(way, key).await?;
                line.ask(&format!("MAIL FROM:<{}>", crate::stage::address(number)), "250").await?;
                line.ask("RCPT TO:<somebody@example.com>", "250").await?;
                line.ask("DATA", "354").await?;
                line.say(&*MESSAGE).await?;
                line.expect("250").await?;
                log_out(line, way).await
            }
        });
        driven.check_logins(&mut bench.sheet, &running);
        let bytes = driven.done * MESSAGE_BYTES as u64;
        bench.sheet.expect(subject, "messages at the upstream", driven.counts.messages, driven.done);
        // Some put a line about themselves before it.
        if driven.counts.taken < bytes {
            bench.sheet.complain(subject, format!("{} bytes submitted of {bytes}", driven.counts.taken));
        }
        bench.sheet.put(row, subject, driven.each_ms());
    }
}
