//! What each client is made to do with a mailbox, written once and run over every way to it. A scenario knows an endpoint
//! and the mailbox behind it; it does not know whether anything stands between.

pub(crate) mod imap;
pub(crate) mod pop3;
pub(crate) mod submission;

use crate::dovecot::Mailbox;
use crate::mail;

/// Folders beside the inbox, as on the wire: nested, with a space, and with a letter beyond ASCII (`Entwürfe`).
const FOLDERS: [&str; 3] = ["Work", "Work/Reports 2026", "Entw&APw-rfe"];
/// The folder that scenarios write into.
const ARCHIVE: &str = "Work/Reports 2026";

/// What lies in a furnished inbox, in order, with Maildir flags.
fn furnish(mailbox: &Mailbox) -> Vec<(Vec<u8>, &'static str)> {
    let inbox = vec![
        (mail::simple("a simple one"), ""),
        (mail::awkward("an awkward one"), "FS"),
        (mail::large("a large one"), "RS"),
    ];
    for (message, flags) in &inbox {
        mailbox.plant("INBOX", message, flags);
    }
    for folder in FOLDERS {
        mailbox.make_folder(folder);
    }
    mailbox.plant(ARCHIVE, &mail::simple("in a folder"), "R");
    inbox
}

/// Every folder of a furnished mailbox, sorted.
fn every_folder() -> Vec<String> {
    let mut names: Vec<_> = FOLDERS.iter().chain(&["INBOX"]).map(ToString::to_string).collect();
    names.sort();
    names
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
