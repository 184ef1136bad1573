//! IMAP: folders, flags and content, down and up.

use super::{ARCHIVE, every_folder, furnish, sorted};
use crate::clients::{async_imap, curl, fetchmail, mbsync, python};
use crate::dovecot::Mailbox;
use crate::endpoint::Endpoint;
use crate::mail::{self, assert_same};

pub(crate) fn with_curl(endpoint: &Endpoint, mailbox: &Mailbox) {
    let inbox = furnish(mailbox);
    assert_eq!(sorted(curl::folders(endpoint)), every_folder(), "{endpoint}");
    assert_eq!(curl::flags(endpoint, "INBOX", 2), ["\\Flagged", "\\Seen"], "{endpoint}");
    for (uid, (message, _)) in (1..).zip(&inbox) {
        assert_same(&curl::fetch(endpoint, "INBOX", uid), message, "curl FETCH");
    }
    // Reading without PEEK left its mark.
    assert_eq!(curl::flags(endpoint, "INBOX", 1), ["\\Seen"], "{endpoint}");

    for message in [mail::awkward("appended"), mail::large("appended and large")] {
        curl::append(endpoint, ARCHIVE, &message);
        assert_same(&mailbox.stored(ARCHIVE).pop().unwrap().content, &message, "curl APPEND");
    }
}

pub(crate) fn with_imaplib(endpoint: &Endpoint, mailbox: &Mailbox) {
    let inbox = furnish(mailbox);
    let appended = mail::awkward("appended");
    let view = python::imap(endpoint, "INBOX", "awkward", &appended);
    assert_eq!(sorted(view.folders), every_folder(), "{endpoint}");
    assert_eq!(view.found, [2], "{endpoint}");
    let flags: Vec<_> = view.messages.iter().map(|(_, flags)| flags.join(" ")).collect();
    assert_eq!(flags, ["", "\\Flagged \\Seen", "\\Answered \\Seen"], "{endpoint}");
    for ((found, _), (message, _)) in view.messages.iter().zip(&inbox) {
        assert_same(found, message, "imaplib FETCH");
    }
    let stored = mailbox.stored("INBOX");
    let flags: Vec<_> = stored.iter().map(|one| one.flags.as_str()).collect();
    assert_eq!(flags, ["F", "FS", "RS", "R"], "{endpoint}");
    assert_same(&stored[3].content, &appended, "imaplib APPEND");
}

pub(crate) fn with_async_imap(endpoint: &Endpoint, mailbox: &Mailbox) {
    let inbox = furnish(mailbox);
    let appended = mail::awkward("appended");
    let pushed = mail::awkward("arrived during IDLE");
    let view = async_imap::read_append_idle(endpoint, "INBOX", &appended, || mailbox.plant("INBOX", &pushed, ""));
    assert_eq!(sorted(view.folders), every_folder(), "{endpoint}");
    assert_eq!(view.messages.len(), inbox.len(), "{endpoint}");
    for (found, (message, _)) in view.messages.iter().zip(&inbox) {
        assert_same(found, message, "async-imap FETCH");
    }
    assert_same(&view.arrived, &pushed, "async-imap IDLE");
    let stored = mailbox.stored("INBOX");
    assert_eq!(stored.len(), 4, "{endpoint}: the first message is gone, two have come");
    assert!(stored.iter().all(|one| one.content != inbox[0].0), "{endpoint}: EXPUNGE left the message");
    let found = stored.iter().find(|one| one.content == appended).expect("what was appended is stored unchanged");
    assert_eq!(found.flags, "S", "{endpoint}");
}

pub(crate) fn with_mbsync(endpoint: &Endpoint, mailbox: &Mailbox) {
    let inbox = furnish(mailbox);
    let local = mbsync::Local::new();
    local.synchronise(endpoint);
    assert_eq!(local.folders(), every_folder(), "{endpoint}");
    let messages = local.messages("INBOX");
    assert_eq!(messages.len(), inbox.len(), "{endpoint}");
    for ((found, found_flags), (message, flags)) in messages.iter().zip(&inbox) {
        assert_same(found, message, "mbsync down");
        assert_eq!(found_flags, flags, "{endpoint}");
    }
    let archive = local.messages(ARCHIVE);
    assert_eq!(archive, [(mail::simple("in a folder"), "R".to_owned())], "{endpoint}");

    for (folder, message, flags) in
        [("INBOX", mail::awkward("carried up"), "FS"), (ARCHIVE, mail::large("carried up and large"), "S")]
    {
        local.plant(folder, &message, flags);
        local.synchronise(endpoint);
        let stored = mailbox.stored(folder).pop().unwrap();
        assert_same(&mbsync::without_field(&stored.content, b"X-TUID:"), &message, "mbsync up");
        assert_eq!(stored.flags, flags, "{endpoint}");
    }
}

pub(crate) fn with_fetchmail(endpoint: &Endpoint, mailbox: &Mailbox) {
    let inbox = furnish(mailbox);
    let taken = fetchmail::take_all(endpoint, "IMAP");
    assert_eq!(taken.len(), inbox.len(), "{endpoint}");
    for (found, (message, _)) in taken.iter().zip(&inbox) {
        assert_same(found, message, "fetchmail over IMAP");
    }
    assert!(mailbox.stored("INBOX").is_empty(), "{endpoint}: fetchmail deletes what it took");
}
