//! Folders and messages of one account, in memory, with what IMAP demands of them: unique ids that only grow, flags,
//! and a signal at every change. It must never give an id twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::Face;

/// What stands between a folder and the folder in it.
pub(super) const DELIMITER: char = '/';
const INBOX: &str = "INBOX";

/// The flags that every server keeps (RFC 3501 section 2.3.2); `\Recent` is not among them, it belongs to a session.
pub(super) const SYSTEM_FLAGS: [&str; 5] = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"];

/// The flags of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Flags(BTreeSet<String>);

impl Flags {
    pub(super) fn seen() -> Self {
        Self(BTreeSet::from([SYSTEM_FLAGS[0].to_owned()]))
    }

    /// Takes a flag in any case. `\Recent` and unknown system flags are no flags that a client can set; keywords are
    /// dropped where the server keeps none.
    pub(super) fn insert(&mut self, flag: &str, keeps_keywords: bool) {
        if let Some(system) = SYSTEM_FLAGS.iter().find(|system| system.eq_ignore_ascii_case(flag)) {
            self.0.insert((*system).to_owned());
        } else if keeps_keywords && !flag.starts_with('\\') {
            self.0.insert(flag.to_owned());
        }
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|held| held.eq_ignore_ascii_case(flag))
    }

    pub(super) fn add(&mut self, flags: &Self) {
        self.0.extend(flags.0.iter().cloned());
    }

    pub(super) fn remove(&mut self, flags: &Self) {
        self.0.retain(|flag| !flags.has(flag));
    }
}

/// As IMAP writes them, without parentheses.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}

/// A message. Its bytes and its id never change.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) uid: u32,
    pub(super) flags: Flags,
    pub(super) received: Timestamp,
    pub(super) bytes: Arc<Vec<u8>>,
    /// Counts the changes of its flags, so that a session can tell what it has not seen.
    pub(super) version: u64,
}

/// A folder.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// UIDVALIDITY; no other folder of the account ever has the same.
    pub(super) validity: u32,
    pub(super) uid_next: u32,
    /// Messages from this id on are recent to the next session that selects the folder.
    pub(super) recent_from: u32,
    pub(super) subscribed: bool,
    /// Its special use (RFC 6154), where it has one.
    pub(super) purpose: Option<&'static str>,
    messages: Vec<Message>,
}

impl Mailbox {
    fn new(validity: u32, purpose: Option<&'static str>) -> Self {
        Self { validity, uid_next: 1, recent_from: 1, subscribed: true, purpose, messages: Vec::new() }
    }

    /// Oldest first, ids ascending.
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub(super) fn message(&self, uid: u32) -> Option<&Message> {
        self.messages.binary_search_by_key(&uid, |message| message.uid).ok().map(|at| &self.messages[at])
    }

    fn push(&mut self, bytes: Arc<Vec<u8>>, flags: Flags, received: Timestamp) -> u32 {
        let uid = self.uid_next;
        self.uid_next += 1;
        self.messages.push(Message { uid, flags, received, bytes, version: 0 });
        uid
    }
}

/// Why a folder could not be made, removed or renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FolderError {
    Exists,
    Missing,
    HasChildren,
    /// INBOX can be neither removed nor made, and a name must have characters in it.
    NotPermitted,
}

/// All folders of an account.
#[derive(Debug)]
pub(super) struct Folders {
    mailboxes: BTreeMap<String, Mailbox>,
    next_validity: u32,
    changes: watch::Sender<u64>,
}

impl Folders {
    pub(super) fn new(face: Face) -> Self {
        let start: &[(&str, Option<&'static str>)] = match face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                &[(INBOX, None), ("Drafts", None), ("Sent Items", None), ("Deleted Items", None), ("Junk Email", None)]
            }
            Face::Gmail => &[
                (INBOX, None),
                ("[Gmail]/Drafts", Some("\\Drafts")),
                ("[Gmail]/Sent Mail", Some("\\Sent")),
                ("[Gmail]/Spam", Some("\\Junk")),
                ("[Gmail]/Trash", Some("\\Trash")),
            ],
        };
        // Begins with the time, so that a client that remembers the last run does not take this one's messages for it.
        let next_validity = u32::try_from(Timestamp::now().as_second()).unwrap_or(1);
        let mut folders = Self { mailboxes: BTreeMap::new(), next_validity, changes: watch::Sender::new(0) };
        for &(name, purpose) in start {
            folders.insert(name, purpose);
        }
        folders
    }

    /// A signal that is raised at every change of any folder.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Names and folders, in order of names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Mailbox)> {
        self.mailboxes.iter().map(|(name, mailbox)| (name.as_str(), mailbox))
    }

    pub(super) fn named(&self, name: &str) -> Option<&Mailbox> {
        self.mailboxes.get(canonical(name))
    }

    pub(super) fn named_mut(&mut self, name: &str) -> Option<&mut Mailbox> {
        self.mailboxes.get_mut(canonical(name))
    }

    /// A folder that a session selected, whatever its name is by now.
    pub(super) fn with_validity(&mut self, validity: u32) -> Option<&mut Mailbox> {
        self.mailboxes.values_mut().find(|mailbox| mailbox.validity == validity)
    }

    pub(super) fn deliver(&mut self, message: Arc<Vec<u8>>) {
        self.append(INBOX, message, Flags::default(), None);
    }

    /// Adds a message; says the folder's validity and the message's id, or nothing where there is no such folder.
    pub(super) fn append(
        &mut self,
        name: &str,
        bytes: Arc<Vec<u8>>,
        flags: Flags,
        received: Option<Timestamp>,
    ) -> Option<(u32, u32)> {
        let mailbox = self.named_mut(name)?;
        let uid = mailbox.push(bytes, flags, received.unwrap_or_else(Timestamp::now));
        let added = (mailbox.validity, uid);
        self.changed();
        Some(added)
    }

    /// Copies messages to the end of a folder, and says its validity and the pairs of old and new ids.
    pub(super) fn copy(&mut self, validity: u32, uids: &[u32], to: &str) -> Option<(u32, Vec<(u32, u32)>)> {
        let source = self.with_validity(validity)?;
        let copies: Vec<Message> = uids.iter().filter_map(|&uid| source.message(uid).cloned()).collect();
        let target = self.named_mut(to)?;
        let pairs = copies.into_iter().map(|copy| (copy.uid, target.push(copy.bytes, copy.flags, copy.received)));
        let copied = (pairs.collect(), target.validity);
        self.changed();
        Some((copied.1, copied.0))
    }

    /// Changes the flags of a message. Says its version before and the message after.
    pub(super) fn store(&mut self, validity: u32, uid: u32, change: impl FnOnce(&mut Flags)) -> Option<(u64, Message)> {
        let messages = &mut self.with_validity(validity)?.messages;
        let at = messages.binary_search_by_key(&uid, |message| message.uid).ok()?;
        let message = &mut messages[at];
        let before = (message.version, message.flags.clone());
        change(&mut message.flags);
        if message.flags != before.1 {
            message.version += 1;
        }
        let after = message.clone();
        self.changed();
        Some((before.0, after))
    }

    /// Removes messages for good.
    pub(super) fn remove(&mut self, validity: u32, uids: &[u32]) {
        if let Some(mailbox) = self.with_validity(validity) {
            mailbox.messages.retain(|message| uids.binary_search(&message.uid).is_err());
            self.changed();
        }
    }

    /// Makes a folder and those it stands in (RFC 3501 section 6.3.3).
    pub(super) fn create(&mut self, name: &str) -> Result<(), FolderError> {
        let name = name.trim_end_matches(DELIMITER);
        if name.is_empty() || name.split(DELIMITER).any(str::is_empty) || name.contains(char::is_control) {
            return Err(FolderError::NotPermitted);
        }
        if self.named(name).is_some() {
            return Err(FolderError::Exists);
        }
        for (end, _) in name.match_indices(DELIMITER) {
            let parent = &name[..end];
            // `[Gmail]` is a place in names and not a folder.
            if self.named(parent).is_none() && !self.has_children(parent) {
                self.insert(parent, None);
            }
        }
        self.insert(name, None);
        Ok(())
    }

    pub(super) fn delete(&mut self, name: &str) -> Result<(), FolderError> {
        if canonical(name) == INBOX {
            return Err(FolderError::NotPermitted);
        }
        if self.has_children(name) {
            return Err(FolderError::HasChildren);
        }
        self.mailboxes.remove(name).ok_or(FolderError::Missing)?;
        self.changed();
        Ok(())
    }

    /// Renames a folder and those in it. INBOX stays and gives up its messages (RFC 3501 section 6.3.5).
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), FolderError> {
        let from = canonical(from);
        if self.named(from).is_none() {
            return Err(FolderError::Missing);
        }
        let inside = format!("{from}{DELIMITER}");
        if to.starts_with(&inside) {
            return Err(FolderError::NotPermitted);
        }
        self.create(to)?;
        let to = to.trim_end_matches(DELIMITER);
        if from == INBOX {
            let uids: Vec<u32> = self.mailboxes[INBOX].messages.iter().map(|message| message.uid).collect();
            let validity = self.mailboxes[INBOX].validity;
            self.copy(validity, &uids, to);
            self.remove(validity, &uids);
            return Ok(());
        }
        let moved: Vec<String> =
            self.mailboxes.keys().filter(|name| *name == from || name.starts_with(&inside)).cloned().collect();
        for name in moved {
            if let Some(mailbox) = self.mailboxes.remove(&name) {
                self.mailboxes.insert(format!("{to}{}", &name[from.len()..]), mailbox);
            }
        }
        self.changed();
        Ok(())
    }

    pub(super) fn has_children(&self, name: &str) -> bool {
        let inside = format!("{}{DELIMITER}", canonical(name));
        self.mailboxes.keys().any(|name| name.starts_with(&inside))
    }

    fn insert(&mut self, name: &str, purpose: Option<&'static str>) {
        self.mailboxes.insert(name.to_owned(), Mailbox::new(self.next_validity, purpose));
        self.next_validity += 1;
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// INBOX is INBOX in any case (RFC 3501 section 5.1).
fn canonical(name: &str) -> &str {
    if name.eq_ignore_ascii_case(INBOX) { INBOX } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders() -> Folders {
        let mut folders = Folders::new(Face::ExchangeOnline);
        folders.deliver(Arc::new(b"one".to_vec()));
        folders.deliver(Arc::new(b"two".to_vec()));
        folders
    }

    fn uids(folders: &Folders, name: &str) -> Vec<u32> {
        folders.named(name).unwrap().messages().iter().map(|message| message.uid).collect()
    }

    #[test]
    fn ids_are_never_given_twice() {
        let mut folders = folders();
        let validity = folders.named("inbox").unwrap().validity;
        folders.remove(validity, &[2]);
        folders.deliver(Arc::new(b"three".to_vec()));
        assert_eq!(uids(&folders, "INBOX"), [1, 3]);
        folders.create("A").unwrap();
        let first = folders.named("A").unwrap().validity;
        folders.delete("A").unwrap();
        folders.create("A").unwrap();
        assert!(folders.named("A").unwrap().validity > first);
    }

    #[test]
    fn flags_are_kept_in_their_own_case() {
        let mut flags = Flags::default();
        for flag in ["\\SEEN", "\\Recent", "\\Strange", "$Junk", "\\seen"] {
            flags.insert(flag, true);
        }
        assert_eq!(flags.to_string(), "$Junk \\Seen");
        let mut exchange = Flags::default();
        exchange.insert("$Junk", false);
        assert_eq!(exchange, Flags::default());
    }

    #[test]
    fn renaming_takes_the_inner_folders_along_and_empties_inbox() {
        let mut folders = folders();
        folders.create("A/B/C").unwrap();
        assert_eq!(folders.delete("A"), Err(FolderError::HasChildren));
        folders.rename("A/B", "X/Y").unwrap();
        assert!(folders.named("X/Y/C").is_some() && folders.named("A/B/C").is_none() && folders.named("X").is_some());
        assert_eq!(folders.rename("X", "X/Z"), Err(FolderError::NotPermitted));
        folders.rename("inbox", "Old").unwrap();
        assert_eq!(uids(&folders, "Old"), [1, 2]);
        assert!(uids(&folders, "INBOX").is_empty());
        assert_eq!(folders.delete("INBOX"), Err(FolderError::NotPermitted));
        assert_eq!(folders.create("Drafts"), Err(FolderError::Exists));
    }
}
