//! POP3: sizes, unique ids, content (where lines beginning with dots are stuffed), deletion.

use super::furnish;
use crate::clients::{curl, fetchmail, python};
use crate::dovecot::Mailbox;
use crate::endpoint::Endpoint;
use crate::mail::assert_same;

pub(crate) fn with_curl(endpoint: &Endpoint, mailbox: &Mailbox) {
    let inbox = furnish(mailbox);
    let sizes: Vec<_> = inbox.iter().map(|(message, _)| message.len()).collect();
    assert_eq!(curl::pop3_sizes(endpoint), sizes, "{endpoint}");
    for (number, (message, _)) in (1..).zip(&inbox) {
        assert_same(&curl::pop3_retrieve(endpoint, number), message, "curl RETR");
    }
    assert_eq!(mailbox.stored("INBOX").len(), inbox.len(), "{endpoint}: reading deletes nothing");
}

pub(crate) fn with_poplib(endpoint: &Endpoint, mailbox: &Mailbox) {
    let inbox = furnish(mailbox);
    let sizes: Vec<_> = inbox.iter().map(|(message, _)| message.len()).collect();
    let mut view = python::pop3(endpoint);
    assert_eq!(view.sizes, sizes, "{endpoint}");
    for (found, (message, _)) in view.messages.iter().zip(&inbox) {
        assert_same(found, message, "poplib RETR");
    }
    view.ids.sort();
    view.ids.dedup();
    assert_eq!(view.ids.len(), inbox.len(), "{endpoint}: unique ids are unique");
    let left: Vec<_> = mailbox.stored("INBOX").into_iter().map(|one| one.content.len()).collect();
    assert_eq!(left, sizes[..2], "{endpoint}: DELE took the last one only");
}

pub(crate) fn with_fetchmail(endpoint: &Endpoint, mailbox: &Mailbox) {
    let inbox = furnish(mailbox);
    let taken = fetchmail::take_all(endpoint, "POP3");
    assert_eq!(taken.len(), inbox.len(), "{endpoint}");
    for (found, (message, _)) in taken.iter().zip(&inbox) {
        assert_same(found, message, "fetchmail over POP3");
    }
    assert!(mailbox.stored("INBOX").is_empty(), "{endpoint}: fetchmail deletes what it took");
}
