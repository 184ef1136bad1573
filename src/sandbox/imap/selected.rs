//! IMAP commands on the messages of the selected folder (RFC 3501 section 6.4, RFC 4315, RFC 6851, RFC 3691).

use std::fmt::Write as _;

use super::view::{Known, flags};
use super::{Answer, Args, Fault, Session, fetch, search};
use crate::sandbox::mailbox::{Flags, Message};

impl Session<'_> {
    pub(super) async fn selected(&mut self, name: &str, args: &mut Args) -> Result<Answer, Fault> {
        let read_only = self.view.as_ref().ok_or(Fault::Malformed)?.read_only;
        let mut name = name.to_owned();
        let by_uid = name == "UID";
        if by_uid {
            args.space()?;
            name = args.keyword()?;
        }
        match name.as_str() {
            "FETCH" => self.fetch(args, by_uid).await,
            "SEARCH" => self.search(args, by_uid).await,
            "STORE" | "MOVE" | "EXPUNGE" if read_only => Ok(Answer::line("NO The folder is selected read-only.")),
            "STORE" => self.store(args, by_uid).await,
            "COPY" => self.copy(args, by_uid, false).await,
            "MOVE" => self.copy(args, by_uid, true).await,
            "EXPUNGE" => self.expunge(args, by_uid),
            "CLOSE" if !by_uid => {
                args.end()?;
                if !read_only {
                    self.remove_deleted(|_| true)?;
                }
                self.view = None;
                Ok(Answer::done())
            }
            "UNSELECT" if !by_uid => {
                args.end()?;
                self.view = None;
                Ok(Answer::done())
            }
            _ => Err(Fault::Malformed),
        }
    }

    async fn fetch(&mut self, args: &mut Args, by_uid: bool) -> Result<Answer, Fault> {
        let found = self.set(args, by_uid)?;
        args.space()?;
        let mut items = fetch::parse(args)?;
        args.end()?;
        if by_uid && !items.contains(&fetch::Item::Uid) {
            items.insert(0, fetch::Item::Uid);
        }
        let marks_seen = items.iter().any(fetch::Item::marks_seen) && !self.view()?.read_only;
        for (number, known) in found {
            let Some((message, marked)) = self.message(known, marks_seen)? else { continue };
            let mut items = items.clone();
            if marked && !items.contains(&fetch::Item::Flags) {
                items.push(fetch::Item::Flags);
            }
            fetch::send(self.connection, number, &items, &message, known.recent).await?;
        }
        Ok(Answer::done())
    }

    /// The message, marked as seen if that is wanted, and whether that changed it; nothing if another session removed
    /// it.
    fn message(&mut self, known: Known, mark_seen: bool) -> Result<Option<(Message, bool)>, Fault> {
        let validity = self.view()?.validity();
        let stored = self.with_folders(|folders| {
            let message = folders.with_validity(validity)?.message(known.uid)?.clone();
            if !mark_seen || message.flags.has("\\Seen") {
                return Some((message.version, message, false));
            }
            let (before, message) = folders.store(validity, known.uid, |flags| flags.add(&Flags::seen()))?;
            Some((before, message, true))
        })?;
        let Some((before, message, marked)) = stored else { return Ok(None) };
        if marked && let Some(view) = &mut self.view {
            view.saw(known.uid, before, message.version);
        }
        Ok(Some((message, marked)))
    }

    async fn search(&mut self, args: &mut Args, by_uid: bool) -> Result<Answer, Fault> {
        args.space()?;
        let key = search::parse(args)?;
        args.end()?;
        let view = self.view()?;
        let hits = self.with_folders(|folders| match folders.with_validity(view.validity()) {
            Some(mailbox) => search::hits(&key, view, mailbox, by_uid),
            None => Vec::new(),
        })?;
        let line = hits.iter().fold("SEARCH".to_owned(), |mut line, hit| {
            write!(line, " {hit}").expect("a string takes all that is written to it");
            line
        });
        self.untagged(&line).await?;
        Ok(Answer::done())
    }

    async fn store(&mut self, args: &mut Args, by_uid: bool) -> Result<Answer, Fault> {
        let found = self.set(args, by_uid)?;
        args.space()?;
        let item = args.keyword()?;
        args.space()?;
        let mut change = Flags::default();
        for flag in args.words()? {
            change.insert(&flag, self.sandbox.texts().imap_keeps_keywords());
        }
        args.end()?;
        let (item, silent) = item.strip_suffix(".SILENT").map_or((item.as_str(), false), |item| (item, true));
        let apply: fn(&mut Flags, &Flags) = match item {
            "FLAGS" => |flags, change| flags.clone_from(change),
            "+FLAGS" => Flags::add,
            "-FLAGS" => Flags::remove,
            _ => return Err(Fault::Malformed),
        };
        let validity = self.view()?.validity();
        for (number, known) in found {
            let stored = self.with_folders(|folders| folders.store(validity, known.uid, |flags| apply(flags, &change)));
            let Some((before, message)) = stored? else { continue };
            if let Some(view) = &mut self.view {
                view.saw(known.uid, before, message.version);
            }
            if !silent {
                let uid = if by_uid { format!("UID {} ", known.uid) } else { String::new() };
                let flags = flags(&message.flags, known.recent);
                self.untagged(&format!("{number} FETCH ({uid}FLAGS {flags})")).await?;
            }
        }
        Ok(Answer::done())
    }

    async fn copy(&mut self, args: &mut Args, by_uid: bool, remove: bool) -> Result<Answer, Fault> {
        let found = self.set(args, by_uid)?;
        args.space()?;
        let to = args.text()?;
        args.end()?;
        let validity = self.view()?.validity();
        let uids: Vec<u32> = found.iter().map(|(_, known)| known.uid).collect();
        let Some((target, pairs)) = self.with_folders(|folders| folders.copy(validity, &uids, &to))? else {
            return Ok(Answer::line("NO [TRYCREATE] The requested folder could not be found."));
        };
        if pairs.is_empty() {
            return Ok(Answer::done());
        }
        let (from, to): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        let code = format!("[COPYUID {target} {} {}] ", uid_set(&from), uid_set(&to));
        if !remove {
            return Ok(Answer::Done(code));
        }
        // Ahead of the expunges that it explains (RFC 6851 section 4.3).
        self.untagged(&format!("OK {code}Moved")).await?;
        self.with_folders(|folders| folders.remove(validity, &from))?;
        Ok(Answer::done())
    }

    fn expunge(&mut self, args: &mut Args, by_uid: bool) -> Result<Answer, Fault> {
        if by_uid {
            let found = self.set(args, true)?;
            args.end()?;
            self.remove_deleted(|uid| found.iter().any(|(_, known)| known.uid == uid))?;
        } else {
            args.end()?;
            self.remove_deleted(|_| true)?;
        }
        Ok(Answer::done())
    }

    /// Removes the messages that are marked as deleted, that the session knows of, and that are wanted.
    fn remove_deleted(&mut self, wanted: impl Fn(u32) -> bool) -> Result<(), Fault> {
        let view = self.view()?;
        let known: Vec<u32> = view.uids().filter(|&uid| wanted(uid)).collect();
        let validity = view.validity();
        self.with_folders(|folders| {
            let Some(mailbox) = folders.with_validity(validity) else { return };
            let deleted = |uid: &u32| mailbox.message(*uid).is_some_and(|message| message.flags.has("\\Deleted"));
            let deleted: Vec<u32> = known.into_iter().filter(deleted).collect();
            folders.remove(validity, &deleted);
        })
    }

    fn set(&self, args: &mut Args, by_uid: bool) -> Result<Vec<(usize, Known)>, Fault> {
        args.space()?;
        let set = args.set()?;
        self.view()?.resolve(&set, by_uid).ok_or(Fault::Malformed)
    }

    fn view(&self) -> Result<&super::View, Fault> {
        self.view.as_ref().ok_or(Fault::Malformed)
    }
}

/// Ids in their order, runs of neighbours as ranges.
fn uid_set(uids: &[u32]) -> String {
    let runs = uids.chunk_by(|&one, &next| one.checked_add(1) == Some(next));
    let text = runs.map(|run| match run {
        [first, .., last] => format!("{first}:{last}"),
        [only] => only.to_string(),
        [] => String::new(),
    });
    text.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::uid_set;

    #[test]
    fn neighbours_become_ranges() {
        assert_eq!(uid_set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(uid_set(&[4]), "4");
    }
}
