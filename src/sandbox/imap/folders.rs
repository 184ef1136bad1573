//! IMAP commands on folders (RFC 3501 section 6.3), APPEND and IDLE.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{Timestamp, fmt::strtime};

use super::view::View;
use super::{Answer, Args, Fault, Session};
use crate::sandbox::mailbox::{DELIMITER, Flags, FolderError, Mailbox, SYSTEM_FLAGS};

impl Session<'_> {
    pub(super) async fn list(&mut self, args: &mut Args, subscribed: bool) -> Result<Answer, Fault> {
        args.space()?;
        let reference = args.text()?;
        args.space()?;
        let pattern = args.text()?;
        args.end()?;
        let word = if subscribed { "LSUB" } else { "LIST" };
        if pattern.is_empty() {
            // Asks for the delimiter alone (RFC 3501 section 6.3.8).
            self.untagged(&format!("{word} (\\Noselect) \"{DELIMITER}\" \"\"")).await?;
            return Ok(Answer::done());
        }
        let mut pattern = format!("{reference}{pattern}");
        if pattern.eq_ignore_ascii_case("INBOX") {
            pattern = "INBOX".to_owned();
        }
        let names = self.with_folders(|folders| {
            let mut names = BTreeMap::new();
            for (name, mailbox) in folders.iter().filter(|(_, mailbox)| mailbox.subscribed || !subscribed) {
                for (end, _) in name.match_indices(DELIMITER) {
                    // A name that others stand in, and that may be no folder itself.
                    names.entry(name[..end].to_owned()).or_insert("\\Noselect \\HasChildren".to_owned());
                }
                names.insert(name.to_owned(), attributes(mailbox, folders.has_children(name)));
            }
            names
        })?;
        for (name, attributes) in names.iter().filter(|(name, _)| matches(pattern.as_bytes(), name.as_bytes())) {
            self.untagged(&format!("{word} ({attributes}) \"{DELIMITER}\" {}", quoted(name))).await?;
        }
        Ok(Answer::done())
    }

    pub(super) async fn status(&mut self, args: &mut Args) -> Result<Answer, Fault> {
        args.space()?;
        let name = args.text()?;
        args.space()?;
        let items = args.words()?;
        args.end()?;
        let status = self.with_folders(|folders| {
            let mailbox = folders.named(&name)?;
            Some(items.iter().map(|item| status_item(mailbox, item)).collect::<Option<Vec<_>>>())
        })?;
        match status {
            None => Ok(no_such_folder()),
            Some(None) => Err(Fault::Malformed),
            Some(Some(status)) => {
                self.untagged(&format!("STATUS {} ({})", quoted(&name), status.join(" "))).await?;
                Ok(Answer::done())
            }
        }
    }

    pub(super) async fn select(&mut self, args: &mut Args, read_only: bool) -> Result<Answer, Fault> {
        args.space()?;
        let name = args.text()?;
        args.end()?;
        // Whatever comes of it, the folder before is no longer selected (RFC 3501 section 6.3.1).
        self.view = None;
        let keywords = self.sandbox.texts().imap_keeps_keywords();
        let opened = self.with_folders(|folders| {
            let mailbox = folders.named_mut(&name)?;
            let view = View::open(mailbox, read_only);
            let lines = selected_lines(mailbox, &view, keywords);
            Some((view, lines))
        })?;
        let Some((view, lines)) = opened else { return Ok(no_such_folder()) };
        for line in lines {
            self.untagged(&line).await?;
        }
        self.view = Some(view);
        Ok(Answer::Done(if read_only { "[READ-ONLY] " } else { "[READ-WRITE] " }.to_owned()))
    }

    pub(super) fn create(&mut self, args: &mut Args) -> Result<Answer, Fault> {
        args.space()?;
        let name = args.text()?;
        args.end()?;
        self.with_folders(|folders| folders.create(&name)).map(folder_answer)
    }

    pub(super) fn delete(&mut self, args: &mut Args) -> Result<Answer, Fault> {
        args.space()?;
        let name = args.text()?;
        args.end()?;
        self.with_folders(|folders| folders.delete(&name)).map(folder_answer)
    }

    pub(super) fn rename(&mut self, args: &mut Args) -> Result<Answer, Fault> {
        args.space()?;
        let from = args.text()?;
        args.space()?;
        let to = args.text()?;
        args.end()?;
        self.with_folders(|folders| folders.rename(&from, &to)).map(folder_answer)
    }

    pub(super) fn subscribe(&mut self, args: &mut Args, subscribed: bool) -> Result<Answer, Fault> {
        args.space()?;
        let name = args.text()?;
        args.end()?;
        let done = self.with_folders(|folders| folders.named_mut(&name).map(|mailbox| mailbox.subscribed = subscribed));
        Ok(done?.map_or_else(no_such_folder, |()| Answer::done()))
    }

    pub(super) fn append(&mut self, args: &mut Args) -> Result<Answer, Fault> {
        args.space()?;
        let name = args.text()?;
        args.space()?;
        let mut flags = Flags::default();
        if args.peek() == Some(b'(') {
            for flag in args.words()? {
                flags.insert(&flag, self.sandbox.texts().imap_keeps_keywords());
            }
            args.space()?;
        }
        let mut received = None;
        if args.peek() == Some(b'"') {
            received = Some(date_time(&args.text()?).ok_or(Fault::Malformed)?);
            args.space()?;
        }
        let message = Arc::new(std::mem::take(&mut *args.literal()?));
        args.end()?;
        Ok(match self.with_folders(|folders| folders.append(&name, message, flags, received))? {
            Some((validity, uid)) => Answer::Done(format!("[APPENDUID {validity} {uid}] ")),
            None => Answer::line("NO [TRYCREATE] The requested folder could not be found."),
        })
    }

    /// RFC 2177: tells of changes as they happen, until DONE.
    pub(super) async fn idle(&mut self) -> Result<Answer, Fault> {
        let mut changes = self.with_folders(|folders| folders.changes())?;
        self.connection.send_line("+ IDLE accepted, awaiting DONE command.").await?;
        let (sandbox, token) = (self.sandbox, self.token);
        let mut over = std::pin::pin!(sandbox.until_token_is_over(token));
        loop {
            self.tell_changes(true).await?;
            // Now, because a write must not be cut short by the race below.
            self.connection.flush().await?;
            tokio::select! {
                line = self.connection.read_line() => {
                    let done = line?.trim_ascii().eq_ignore_ascii_case(b"DONE");
                    return if done { Ok(Answer::done()) } else { Err(Fault::Malformed) };
                }
                changed = changes.changed() => if changed.is_err() {
                    // Another account took the address: these folders are gone.
                    return Ok(Answer::Last(None, Some(self.sandbox.texts().imap_bye())));
                },
                () = &mut over => return Ok(Answer::Last(None, Some(self.sandbox.texts().imap_token_over()))),
            }
        }
    }
}

pub(super) fn no_such_folder() -> Answer {
    Answer::line("NO The requested folder could not be found.")
}

fn folder_answer(done: Result<(), FolderError>) -> Answer {
    match done {
        Ok(()) => Answer::done(),
        Err(FolderError::Exists) => Answer::line("NO A folder of that name exists."),
        Err(FolderError::Missing) => no_such_folder(),
        Err(FolderError::HasChildren) => Answer::line("NO The folder has folders in it."),
        Err(FolderError::NotPermitted) => Answer::line("NO That cannot be done with this folder."),
    }
}

fn attributes(mailbox: &Mailbox, has_children: bool) -> String {
    let children = if has_children { "\\HasChildren" } else { "\\HasNoChildren" };
    mailbox.purpose.map_or_else(|| children.to_owned(), |purpose| format!("{children} {purpose}"))
}

fn unseen(mailbox: &Mailbox) -> impl Iterator<Item = usize> {
    let numbered = (1..).zip(mailbox.messages());
    numbered.filter(|(_, message)| !message.flags.has("\\Seen")).map(|(number, _)| number)
}

fn status_item(mailbox: &Mailbox, item: &str) -> Option<String> {
    let value = match item.to_ascii_uppercase().as_str() {
        "MESSAGES" => mailbox.messages().len(),
        "RECENT" => mailbox.messages().iter().filter(|message| message.uid >= mailbox.recent_from).count(),
        "UIDNEXT" => mailbox.uid_next as usize,
        "UIDVALIDITY" => mailbox.validity as usize,
        "UNSEEN" => unseen(mailbox).count(),
        _ => return None,
    };
    Some(format!("{} {value}", item.to_ascii_uppercase()))
}

fn selected_lines(mailbox: &Mailbox, view: &View, keywords: bool) -> Vec<String> {
    let flags = SYSTEM_FLAGS.join(" ");
    let permanent = match (view.read_only, keywords) {
        (true, _) => String::new(),
        (false, true) => format!("{flags} \\*"),
        (false, false) => flags.clone(),
    };
    let mut lines = vec![
        format!("{} EXISTS", view.exists()),
        format!("{} RECENT", view.recent()),
        format!("FLAGS ({flags})"),
        format!("OK [PERMANENTFLAGS ({permanent})] Permanent flags"),
    ];
    lines.extend(unseen(mailbox).next().map(|number| format!("OK [UNSEEN {number}] Is the first unseen message")));
    lines.push(format!("OK [UIDVALIDITY {}] UIDVALIDITY value", mailbox.validity));
    lines.push(format!("OK [UIDNEXT {}] The next unique identifier value", mailbox.uid_next));
    lines
}

/// `17-Jul-1996 02:44:25 -0700`; the day may have a blank for its first digit.
fn date_time(text: &str) -> Option<Timestamp> {
    strtime::parse("%d-%b-%Y %H:%M:%S %z", text.trim_start()).ok()?.to_timestamp().ok()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whether a name fits a pattern: `*` stands for anything, `%` for anything without a delimiter in it.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // `reached[n]`: the pattern so far fits the first `n` bytes of the name. No pattern makes it slow.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for &wanted in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            let before = at.checked_sub(1);
            next[at] = match wanted {
                b'*' => reached[at] || before.is_some_and(|before| next[before]),
                b'%' => reached[at] || before.is_some_and(|before| next[before] && name[before] != b'/'),
                byte => before.is_some_and(|before| reached[before] && name[before] == byte),
            };
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, name) in [("*", "A/B"), ("%", "A"), ("A/%", "A/B"), ("*B", "A/B"), ("%/%", "A/B"), ("A*", "A")] {
            assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in [("%", "A/B"), ("A", "AB"), ("A/%", "A/B/C"), ("a", "A"), ("", "A")] {
            assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        assert!(!matches("*a".repeat(200).as_bytes(), "a".repeat(199).as_bytes()));
    }

    #[test]
    fn dates_of_append() {
        let date = date_time("17-Jul-1996 02:44:25 -0700").unwrap();
        assert_eq!(date, "1996-07-17T09:44:25Z".parse().unwrap());
        assert_eq!(date_time(" 7-Jul-1996 02:44:25 +0000"), Some("1996-07-07T02:44:25Z".parse().unwrap()));
        assert_eq!(date_time("yesterday"), None);
    }
}
