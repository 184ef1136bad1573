//! Submission: a message goes out and arrives, byte for byte, with the sender that was given.

use ::lettre::transport::smtp::authentication::Mechanism;

use crate::clients::{Outgoing, curl, lettre, msmtp, python, swaks};
use crate::dovecot::Mailbox;
use crate::endpoint::Endpoint;
use crate::mail;

pub(crate) fn with_curl(endpoint: &Endpoint, mailbox: &Mailbox) {
    deliver(endpoint, mailbox, &[mail::simple("by PLAIN")], |mail| curl::submit(endpoint, "PLAIN", mail));
    let messages = [mail::awkward("by LOGIN"), mail::large("by LOGIN and large")];
    deliver(endpoint, mailbox, &messages, |mail| curl::submit(endpoint, "LOGIN", mail));
}

pub(crate) fn with_swaks(endpoint: &Endpoint, mailbox: &Mailbox) {
    deliver(endpoint, mailbox, &[mail::awkward("by PLAIN")], |mail| swaks::submit(endpoint, "PLAIN", mail));
    deliver(endpoint, mailbox, &[mail::awkward("by LOGIN")], |mail| swaks::submit(endpoint, "LOGIN", mail));
}

pub(crate) fn with_msmtp(endpoint: &Endpoint, mailbox: &Mailbox) {
    let messages = [mail::awkward("by PLAIN"), mail::large("by PLAIN and large")];
    deliver(endpoint, mailbox, &messages, |mail| msmtp::submit(endpoint, "plain", mail));
    deliver(endpoint, mailbox, &[mail::awkward("by LOGIN")], |mail| msmtp::submit(endpoint, "login", mail));
}

pub(crate) fn with_smtplib(endpoint: &Endpoint, mailbox: &Mailbox) {
    let messages = [mail::simple("a simple one"), mail::awkward("an awkward one"), mail::large("a large one")];
    deliver(endpoint, mailbox, &messages, |mail| python::submit(endpoint, mail));
}

pub(crate) fn with_lettre(endpoint: &Endpoint, mailbox: &Mailbox) {
    let messages = [mail::awkward("by PLAIN"), mail::large("by PLAIN and large")];
    deliver(endpoint, mailbox, &messages, |mail| lettre::submit(endpoint, Mechanism::Plain, mail));
    let messages = [mail::awkward("by LOGIN")];
    deliver(endpoint, mailbox, &messages, |mail| lettre::submit(endpoint, Mechanism::Login, mail));
}

/// Sends each message to its own sender and compares what arrives. Deliveries may overtake each other, so a message is
/// known by its subject.
fn deliver(endpoint: &Endpoint, mailbox: &Mailbox, messages: &[Vec<u8>], send: impl Fn(&Outgoing<'_>)) {
    let before = mailbox.stored("INBOX").len();
    for message in messages {
        send(&Outgoing { from: &mailbox.address, to: &mailbox.address, message });
    }
    let stored = mailbox.stored_after("INBOX", before + messages.len());
    for message in messages {
        let subject = message.split(|byte| *byte == b'\n').nth(2).unwrap();
        let same = |content: &[u8]| content.split(|byte| *byte == b'\n').any(|line| line == subject);
        let found =
            stored.iter().find(|one| same(&one.content)).unwrap_or_else(|| panic!("{endpoint}: lost a message"));
        mail::assert_delivered(&found.content, message, "submission");
        let sender = format!("Return-Path: <{}>\r\n", mailbox.address);
        assert!(found.content.starts_with(sender.as_bytes()), "{endpoint}: another sender stands in the envelope");
    }
}
