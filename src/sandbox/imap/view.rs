//! What one session believes about its selected folder. Message numbers are the session's own: they change only when it
//! is told (RFC 3501 section 2.3.1.2).

use super::command::SequenceSet;
use crate::sandbox::mailbox::{Flags, Mailbox};

/// A message as the session knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) uid: u32,
    /// The version of its flags that the session was told of.
    pub(super) version: u64,
    pub(super) recent: bool,
}

#[derive(Debug)]
pub(super) struct View {
    validity: u32,
    pub(super) read_only: bool,
    known: Vec<Known>,
    /// Messages from this id on are news.
    uid_next: u32,
}

impl View {
    /// Looks at a folder for the first time. Only a session that may change it takes the recent ones away from others.
    pub(super) fn open(mailbox: &mut Mailbox, read_only: bool) -> Self {
        let mut view = Self { validity: mailbox.validity, read_only, known: Vec::new(), uid_next: 0 };
        view.take_in(mailbox);
        view
    }

    pub(super) fn validity(&self) -> u32 {
        self.validity
    }

    /// How many messages there are.
    pub(super) fn exists(&self) -> usize {
        self.known.len()
    }

    pub(super) fn recent(&self) -> usize {
        self.known.iter().filter(|known| known.recent).count()
    }

    pub(super) fn uids(&self) -> impl Iterator<Item = u32> {
        self.known.iter().map(|known| known.uid)
    }

    /// The messages of a set, with their numbers; nothing if it names numbers that there are not. Ids that there are not
    /// are passed over (RFC 3501 section 6.4.8).
    pub(super) fn resolve(&self, set: &SequenceSet, by_uid: bool) -> Option<Vec<(usize, Known)>> {
        let count = u32::try_from(self.known.len()).ok()?;
        if !by_uid && !set.within(count) {
            return None;
        }
        let last = if by_uid { self.known.last().map_or(0, |known| known.uid) } else { count };
        let numbered = (1..).zip(&self.known).map(|(number, known)| (number, *known));
        Some(
            numbered
                .filter(|&(number, known)| {
                    let number = if by_uid { Some(known.uid) } else { u32::try_from(number).ok() };
                    number.is_some_and(|number| set.contains(number, last))
                })
                .collect(),
        )
    }

    /// The session made a change itself. If it had not seen the version before, it is told of the new one in full
    /// later.
    pub(super) fn saw(&mut self, uid: u32, before: u64, after: u64) {
        if let Ok(at) = self.known.binary_search_by_key(&uid, |known| known.uid)
            && self.known[at].version == before
        {
            self.known[at].version = after;
        }
    }

    /// What must be told: expunged messages, changed flags, new messages.
    pub(super) fn catch_up(&mut self, mailbox: &mut Mailbox, with_expunges: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if with_expunges {
            for at in (0..self.known.len()).rev() {
                if mailbox.message(self.known[at].uid).is_none() {
                    self.known.remove(at);
                    lines.push(format!("* {} EXPUNGE", at + 1));
                }
            }
        }
        for (number, known) in (1..).zip(&mut self.known) {
            if let Some(message) = mailbox.message(known.uid)
                && message.version != known.version
            {
                known.version = message.version;
                let flags = flags(&message.flags, known.recent);
                lines.push(format!("* {number} FETCH (UID {} FLAGS {flags})", known.uid));
            }
        }
        if mailbox.uid_next > self.uid_next {
            let before = self.known.len();
            self.take_in(mailbox);
            if self.known.len() > before {
                lines.push(format!("* {} EXISTS", self.exists()));
                lines.push(format!("* {} RECENT", self.recent()));
            }
        }
        lines
    }

    fn take_in(&mut self, mailbox: &mut Mailbox) {
        let news = mailbox.messages().iter().filter(|message| message.uid >= self.uid_next);
        self.known.extend(news.map(|message| Known {
            uid: message.uid,
            version: message.version,
            recent: message.uid >= mailbox.recent_from,
        }));
        self.uid_next = mailbox.uid_next;
        if !self.read_only {
            mailbox.recent_from = mailbox.uid_next;
        }
    }
}

/// A flag list, with `\Recent` where it is due.
pub(super) fn flags(flags: &Flags, recent: bool) -> String {
    let flags = flags.to_string();
    match (recent, flags.as_str()) {
        (true, "") => "(\\Recent)".to_owned(),
        (true, flags) => format!("({flags} \\Recent)"),
        (false, flags) => format!("({flags})"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sandbox::Face;
    use crate::sandbox::mailbox::Folders;

    fn folders(count: usize) -> Folders {
        let mut folders = Folders::new(Face::Gmail);
        for _ in 0..count {
            folders.deliver(Arc::new(b"x".to_vec()));
        }
        folders
    }

    fn inbox(folders: &mut Folders) -> &mut Mailbox {
        folders.named_mut("INBOX").unwrap()
    }

    #[test]
    fn numbers_change_only_when_the_session_is_told() {
        let mut folders = folders(4);
        let mut view = View::open(inbox(&mut folders), false);
        folders.remove(view.validity(), &[2, 3]);
        folders.deliver(Arc::new(b"y".to_vec()));
        assert_eq!(view.catch_up(inbox(&mut folders), false), ["* 5 EXISTS", "* 5 RECENT"]);
        assert_eq!(view.catch_up(inbox(&mut folders), true), ["* 3 EXPUNGE", "* 2 EXPUNGE"]);
        assert_eq!(view.uids().collect::<Vec<_>>(), [1, 4, 5]);
    }

    #[test]
    fn a_session_hears_of_the_changes_of_others_and_not_of_its_own() {
        let mut folders = folders(1);
        let mut view = View::open(inbox(&mut folders), false);
        let validity = view.validity();
        let (before, after) = folders.store(validity, 1, |flags| flags.insert("\\Seen", true)).unwrap();
        view.saw(1, before, after.version);
        assert!(view.catch_up(inbox(&mut folders), true).is_empty());
        folders.store(validity, 1, |flags| flags.insert("\\Flagged", true)).unwrap();
        let (before, after) = folders.store(validity, 1, |flags| flags.insert("\\Draft", true)).unwrap();
        view.saw(1, before, after.version);
        let told = view.catch_up(inbox(&mut folders), true);
        assert_eq!(
            told,
            ["* 1 FETCH (UID 1 FLAGS (\\Draft \\Flagged \\Seen \\Recent))"],
            "one of them was not its own"
        );
    }

    #[test]
    fn a_message_is_recent_to_one_session() {
        let mut folders = folders(2);
        assert_eq!(View::open(inbox(&mut folders), true).recent(), 2, "EXAMINE takes nothing away");
        assert_eq!(View::open(inbox(&mut folders), false).recent(), 2);
        assert_eq!(View::open(inbox(&mut folders), false).recent(), 0);
    }

    #[test]
    fn a_set_of_numbers_must_be_there_and_a_set_of_ids_need_not() {
        let mut folders = folders(3);
        let validity = folders.named("INBOX").unwrap().validity;
        folders.remove(validity, &[1]);
        let view = View::open(inbox(&mut folders), false);
        let set = |text| SequenceSet::parse(text).unwrap();
        assert!(view.resolve(&set("1:3"), false).is_none());
        let found = |text| view.resolve(&set(text), true).unwrap().iter().map(|found| found.1.uid).collect::<Vec<_>>();
        assert_eq!(found("1:2"), [2]);
        assert_eq!(found("9:*"), [3]);
    }
}
