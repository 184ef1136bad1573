//! The lines that somebody looks for, the latest first: read backwards, in bounds, by files. It must never hold more of a file
//! than a block and a line, nor go on for longer than a look may take.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::chain::LINE_BYTES_MAX;
use super::files;

/// Bytes that one look reads at the most; whoever wants more goes on from where it ended. A second's work.
const SCAN_BYTES_MAX: u64 = 32 << 20;

/// One read.
const BLOCK_BYTES: u64 = 64 * 1024;

/// By how much a line may stand behind later ones: it was put off while the disk was full. Where lines are older than what is
/// looked for by more than this, nothing more is looked for.
const DISORDER_MAX: SignedDuration = SignedDuration::from_hours(1);

/// What is looked for. All of it must be so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The client's login, in any case of letters.
    pub login: Option<String>,
    /// The account, or the subject of a rotation or an alert, in any case of letters.
    pub account: Option<String>,
    /// The kind of event: `decision`, `upstream` …
    pub event: Option<String>,
    /// How it came out: `allow`, `deny` …
    pub outcome: Option<String>,
    /// The client's address.
    pub peer: Option<std::net::IpAddr>,
    /// Not before then.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The lines, the latest first.
    pub lines: Vec<Value>,
    /// Where to go on, if there is more to look at; there may be more to find or not.
    pub next: Option<String>,
    /// Lines that could not be read: they are too long, or half.
    pub unreadable: u64,
}

/// Nothing could be looked for.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A file could not be read.
    #[error("the audit cannot be read: {0}")]
    Io(#[from] io::Error),
    /// What to go on from is nothing that an earlier look told.
    #[error("that is no cursor of this audit, or its file is gone; begin anew without it")]
    Cursor,
}

/// Where a look goes on: before that byte of the file with that inode, which it keeps when it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    inode: u64,
    before: u64,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (inode, before) = text.split_once('-')?;
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        Some(Self { inode: number(inode)?, before: number(before)? })
    }
}

/// Looks through the audit at `path` for up to `limit` lines. It blocks.
///
/// # Errors
/// If a file cannot be read, or `after` is no [`Found::next`] of this audit.
pub fn search(path: &Path, wanted: &Wanted, after: Option<&str>, limit: usize) -> Result<Found, SearchError> {
    let mut cursor = after.map(|text| Cursor::parse(text).ok_or(SearchError::Cursor)).transpose()?;
    let (mut found, mut left) = (Found::default(), SCAN_BYTES_MAX);
    let wanted = Test::new(wanted);
    for path in files::all(path)?.into_iter().rev() {
        // Closed or removed meanwhile: whoever goes on finds it under its other name.
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            continue;
        }
        let end = match cursor {
            None => metadata.len(),
            Some(Cursor { inode, before }) if inode == metadata.ino() && before <= metadata.len() => before,
            Some(_) => continue,
        };
        cursor = None;
        let mut backwards = Backwards::new(&file, end);
        loop {
            if found.lines.len() >= limit || left == 0 {
                found.next = Some(format!("{:x}-{:x}", metadata.ino(), backwards.at));
                return Ok(found);
            }
            let before = backwards.read;
            let Some(line) = backwards.next()? else { break };
            left = left.saturating_sub(backwards.read - before);
            match line.and_then(|line| serde_json::from_slice(&line).ok()) {
                None => found.unreadable += 1,
                Some(line) => match wanted.verdict(&line) {
                    Verdict::Found => found.lines.push(line),
                    Verdict::Other => {}
                    Verdict::TooOld => return Ok(found),
                },
            }
        }
    }
    if cursor.is_some() { Err(SearchError::Cursor) } else { Ok(found) }
}

enum Verdict {
    Found,
    Other,
    /// And so are all before it.
    TooOld,
}

struct Test<'a> {
    wanted: &'a Wanted,
    login: Option<String>,
    account: Option<String>,
    peer: Option<String>,
}

impl<'a> Test<'a> {
    fn new(wanted: &'a Wanted) -> Self {
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
        let peer = wanted.peer.map(|peer| peer.to_string());
        Self { wanted, login: lower(&wanted.login), account: lower(&wanted.account), peer }
    }

    fn verdict(&self, line: &Value) -> Verdict {
        let text = |field: &str| line.get(field).and_then(Value::as_str);
        let Wanted { event, outcome, since, until, .. } = self.wanted;
        if since.is_some() || until.is_some() {
            let Some(time) = text("time").and_then(|time| time.parse::<Timestamp>().ok()) else {
                return Verdict::Other;
            };
            let is_too_old = |since: &Timestamp| time.saturating_add(DISORDER_MAX).is_ok_and(|late| late < *since);
            if since.as_ref().is_some_and(is_too_old) {
                return Verdict::TooOld;
            }
            if since.is_some_and(|since| time < since) || until.is_some_and(|until| until <= time) {
                return Verdict::Other;
            }
        }
        let is = |field: &str, wanted: &str| text(field) == Some(wanted);
        let is_like = |field: &str, wanted: &str| text(field).is_some_and(|text| text.to_lowercase() == wanted);
        let fits = event.as_ref().is_none_or(|wanted| is("event", wanted))
            && outcome.as_ref().is_none_or(|wanted| is("outcome", wanted))
            && self.peer.as_ref().is_none_or(|wanted| is("peer", wanted))
            && self.login.as_ref().is_none_or(|wanted| is_like("login", wanted))
            && self.account.as_ref().is_none_or(|wanted| is_like("account", wanted) || is_like("subject", wanted));
        if fits { Verdict::Found } else { Verdict::Other }
    }
}

/// The lines of a file from its end.
struct Backwards<'f> {
    file: &'f File,
    /// The beginning of the line that was told last.
    at: u64,
    /// What was read and not told, which ends at `at`; `from` is where it begins.
    block: Vec<u8>,
    from: u64,
    read: u64,
}

impl<'f> Backwards<'f> {
    fn new(file: &'f File, end: u64) -> Self {
        Self { file, at: end, block: Vec::new(), from: end, read: 0 }
    }

    /// The line before; within, `None` if it is longer than any of ours.
    fn next(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        if self.at == 0 {
            return Ok(None);
        }
        // The line feed that ends it; at the end of a file it may be missing.
        self.fill()?;
        let mut is_whole = true;
        if self.block.last() == Some(&b'\n') {
            self.block.pop();
        }
        loop {
            if let Some(begin) = self.block.iter().rposition(|byte| *byte == b'\n') {
                let line = self.block.split_off(begin + 1);
                self.at = self.from + begin as u64 + 1;
                return Ok(Some(is_whole.then_some(line)));
            }
            if self.from == 0 {
                self.at = 0;
                let line = std::mem::take(&mut self.block);
                return Ok(Some(is_whole.then_some(line)));
            }
            if self.block.len() > LINE_BYTES_MAX {
                is_whole = false;
                self.block.clear();
            }
            self.fill()?;
            if self.read > SCAN_BYTES_MAX + BLOCK_BYTES && !is_whole {
                // One line without an end: go on from within it next time.
                self.at = self.from;
                self.block.clear();
                return Ok(Some(None));
            }
        }
    }

    /// Reads the block before what is there, unless a line feed is there already.
    fn fill(&mut self) -> io::Result<()> {
        if self.block.len() > 1 && self.block[..self.block.len() - 1].contains(&b'\n') || self.from == 0 {
            return Ok(());
        }
        let from = self.from.saturating_sub(BLOCK_BYTES);
        let mut block = vec![0; usize::try_from(self.from - from).unwrap_or_default()];
        self.file.read_exact_at(&mut block, from)?;
        self.read += block.len() as u64;
        block.append(&mut self.block);
        (self.block, self.from) = (block, from);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
