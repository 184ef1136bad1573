//! The file that is written: opened, locked, gone on from where it ends, closed when it is full or its time is over. Several
//! processes append to it; whoever writes holds its lock and looks first at what the others wrote. All of this blocks, so it
//! is for the writer's thread alone.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit, ZonedRound};
use serde::Deserialize;

use super::chain::{self, LINE_BYTES_MAX, Link};
use super::{Event, Options, Rotate, files, line_of};

/// For how long others may hold the lock. They hold it for one write; somebody who reads the file may do so for ever.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Between two tries for the lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(2);

/// How often the file may turn out to be another one by now, for others closed it.
const TRIES_MAX: usize = 8;

/// How far back a line of the chain is looked for. What others wrote behind it is rarely more than half a line.
const TAIL_BYTES_MAX: u64 = 1 << 20;

/// The audit's place on disk.
#[derive(Debug)]
pub(super) struct Journal {
    options: Options,
    path: PathBuf,
    /// The name of this process in its lines.
    run: String,
    open: Option<Open>,
    /// The last line that this process knows of.
    last: Link,
    /// Whether the file could not be closed when it was to be.
    is_stuck: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: (u64, u64),
    /// Whether it is a file to read back and to close; a pipe is not.
    is_plain: bool,
    /// Where it ended when we looked last; `None` if we have to look.
    end: Option<u64>,
    /// What stands behind the last line of the chain and is no such line.
    strange: Option<Strange>,
    /// When its first line was written.
    began: Option<Timestamp>,
}

#[derive(Debug)]
struct Strange {
    bytes: u64,
    sha256: String,
    /// Whether it is half a line: no line feed ends it.
    is_half: bool,
}

/// What was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) file: PathBuf,
    pub(super) last: Link,
    /// Files that were too many and are gone.
    pub(super) removed: Vec<PathBuf>,
}

impl Journal {
    pub(super) fn new(options: &Options, path: PathBuf, run: String) -> Self {
        Self { options: options.clone(), path, run, open: None, last: Link::origin(), is_stuck: false }
    }

    /// Opens the file, made if it is not there, readable by its owner and group only.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        let file = OpenOptions::new().create(true).append(true).read(true).mode(0o640).open(&self.path);
        // What cannot be read back, a pipe for one, is appended to all the same.
        let file = file.or_else(|_| OpenOptions::new().append(true).open(&self.path))?;
        let metadata = file.metadata()?;
        let is_plain = metadata.is_file();
        let inode = (metadata.dev(), metadata.ino());
        self.open = Some(Open { file, inode, is_plain, end: None, strange: None, began: None });
        Ok(())
    }

    pub(super) fn last(&self) -> &Link {
        &self.last
    }

    /// Appends these events, in one write.
    ///
    /// # Errors
    /// If they are not in the file. Part of them may be, if it cannot be cut off again.
    pub(super) fn append(&mut self, events: &[&str]) -> io::Result<Option<Closed>> {
        let mut closed = None;
        for _ in 0..TRIES_MAX {
            if !self.lock()? {
                continue;
            }
            let done = self.look().and_then(|()| {
                if closed.is_none() && self.is_over(Timestamp::now()) {
                    closed = self.rotate();
                    if closed.is_some() {
                        return Ok(false);
                    }
                }
                self.write(events).map(|()| true)
            });
            if let Some(open) = self.open.as_ref().filter(|open| open.is_plain) {
                open.file.unlock()?;
            }
            if done? {
                return Ok(closed);
            }
            self.open = None;
        }
        Err(io::Error::other("it is moved away again and again"))
    }

    /// Opens and locks; whether the file is still the one of that name.
    fn lock(&mut self) -> io::Result<bool> {
        self.open()?;
        let Some(open) = self.open.as_ref().filter(|open| open.is_plain) else { return Ok(true) };
        let until = Instant::now() + LOCK_TIMEOUT;
        loop {
            match open.file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err(io::Error::other("somebody else keeps it locked"));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_INTERVAL),
            }
        }
        let is_it = fs::metadata(&self.path).is_ok_and(|it| (it.dev(), it.ino()) == open.inode);
        if !is_it {
            self.open = None; // unlocks it, too
        }
        Ok(is_it)
    }

    /// Finds out where the file ends, and with which line.
    fn look(&mut self) -> io::Result<()> {
        let Some(open) = self.open.as_mut().filter(|open| open.is_plain) else { return Ok(()) };
        let end = open.file.metadata()?.len();
        if open.end == Some(end) {
            return Ok(());
        }
        let shrank = open.end.is_some_and(|before| end < before);
        let tail = read_tail(&open.file, end)?;
        open.strange = tail.strange;
        open.began = began(&open.file);
        let is_first_look = open.end.replace(end).is_none();
        match tail.last {
            Some(last) if shrank && last.seq < self.last.seq => self.cut_short(last.seq),
            Some(last) => self.last = last,
            None if shrank => self.cut_short(0),
            // Nothing of the chain in it: it goes on from the file before.
            None if is_first_look => {
                let before = files::closed(&self.path)?.pop().and_then(|path| last_of(&path));
                self.last = before.filter(|it| it.seq > self.last.seq).unwrap_or_else(|| self.last.clone());
            }
            None => {}
        }
        Ok(())
    }

    /// The chain goes on from what we know, so that whoever verifies it finds what is missing.
    fn cut_short(&self, seq: u64) {
        let (file, known) = (self.path.display(), self.last.seq);
        tracing::error!(%file, known, now = seq, "the audit file was cut short by something else: lines are missing");
    }

    fn is_over(&self, now: Timestamp) -> bool {
        let Some(open) = self.open.as_ref().filter(|open| open.is_plain) else { return false };
        let Some(end) = open.end.filter(|end| *end > 0) else { return false };
        let is_full = self.options.max_size.is_some_and(|max| end >= max);
        is_full
            || open.began.is_some_and(|began| period(self.options.rotate, began) != period(self.options.rotate, now))
    }

    /// Closes the file under its other name, and removes what is too old. Where that is not possible, it is said once, and
    /// written on: better one file that is too large than none.
    fn rotate(&mut self) -> Option<Closed> {
        let file = files::closed_name(&self.path, Timestamp::now(), self.last.seq);
        if let Err(error) = fs::rename(&self.path, &file) {
            if !std::mem::replace(&mut self.is_stuck, true) {
                tracing::error!(%error, to = %file.display(), "the audit file cannot be closed; it is written on");
            }
            return None;
        }
        self.is_stuck = false;
        let removed = self.remove_old().unwrap_or_else(|error| {
            tracing::error!(%error, "old audit files cannot be removed");
            Vec::new()
        });
        Some(Closed { file, last: self.last.clone(), removed })
    }

    fn remove_old(&self) -> io::Result<Vec<PathBuf>> {
        let Some(keep) = self.options.keep else { return Ok(Vec::new()) };
        let mut closed = files::closed(&self.path)?;
        closed.truncate(closed.len().saturating_sub(keep));
        closed.iter().try_for_each(fs::remove_file)?;
        Ok(closed)
    }

    fn write(&mut self, events: &[&str]) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(io::Error::other("it is not open")) };
        let (mut text, mut last) = (String::new(), self.last.clone());
        let mended = open.strange.as_ref().map(|Strange { bytes, sha256, is_half }| {
            if *is_half {
                text.push('\n');
            }
            line_of(None, &Event::Mended { bytes: *bytes, sha256: sha256.clone() })
        });
        for event in mended.iter().map(String::as_str).chain(events.iter().copied()) {
            let (line, next) = last.next_line(&self.run, event);
            text.push_str(&line);
            text.push('\n');
            last = next;
        }
        let written = open
            .file
            .write_all(text.as_bytes())
            .and_then(|()| if self.options.fail_closed && open.is_plain { open.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // What of it is there is cut off again. Where that fails, it is half a line to whoever writes next.
            open.end = match open.end.filter(|_| open.is_plain) {
                Some(end) => open.file.set_len(end).is_ok().then_some(end),
                None => None,
            };
            return Err(error);
        }
        open.end = open.end.map(|end| end + text.len() as u64);
        open.strange = None;
        open.began = open.began.or_else(|| Some(Timestamp::now()));
        self.last = last;
        Ok(())
    }
}

/// How a file ends.
struct Tail {
    /// Its last line of the chain, in what was looked at.
    last: Option<Link>,
    strange: Option<Strange>,
}

fn read_tail(file: &File, end: u64) -> io::Result<Tail> {
    let from = end.saturating_sub(LINE_BYTES_MAX as u64);
    let tail = read_tail_from(file, from, end)?;
    if tail.last.is_some() || from == 0 {
        return Ok(tail);
    }
    read_tail_from(file, end.saturating_sub(TAIL_BYTES_MAX), end)
}

fn read_tail_from(file: &File, from: u64, end: u64) -> io::Result<Tail> {
    let mut bytes = vec![0; usize::try_from(end - from).unwrap_or_default()];
    file.read_exact_at(&mut bytes, from)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let is_half = whole < bytes.len();
    let mut upto = whole;
    while upto > 0 {
        let line_end = upto - 1;
        let begin = bytes[..line_end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let is_whole = begin > 0 || from == 0;
        if let Some(last) = Link::of(&bytes[begin..line_end]).filter(|_| is_whole) {
            let rest = &bytes[upto..];
            return Ok(Tail { last: Some(last), strange: Strange::of(rest, is_half) });
        }
        upto = begin;
    }
    // A file without a chain, or of another make: what is in it is no concern of the chain, but half a line is.
    Ok(Tail { last: None, strange: Strange::of(&bytes[whole..], is_half) })
}

impl Strange {
    fn of(rest: &[u8], is_half: bool) -> Option<Self> {
        let content = rest.strip_suffix(b"\n").unwrap_or(rest);
        let is_any = !rest.is_empty();
        is_any.then(|| Self { bytes: content.len() as u64, sha256: chain::hash(content), is_half })
    }
}

/// The last line of a file that was closed.
fn last_of(path: &PathBuf) -> Option<Link> {
    let file = File::open(path).ok()?;
    let end = file.metadata().ok()?.len();
    read_tail(&file, end).ok()?.last
}

/// When the first line of a file was written.
fn began(file: &File) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Time {
        time: Timestamp,
    }
    let mut bytes = vec![0; LINE_BYTES_MAX];
    let count = file.read_at(&mut bytes, 0).ok()?;
    let line = bytes[..count].split(|byte| *byte == b'\n').next()?;
    serde_json::from_slice(line).ok().map(|Time { time }| time)
}

/// The beginning of the time that a file is for.
fn period(rotate: Rotate, time: Timestamp) -> Option<Timestamp> {
    let time = time.to_zoned(TimeZone::UTC);
    let rounded = |unit| time.round(ZonedRound::new().smallest(unit).mode(jiff::RoundMode::Trunc)).ok();
    let begin = match rotate {
        Rotate::Never => None,
        Rotate::Hourly => rounded(Unit::Hour),
        Rotate::Daily => rounded(Unit::Day),
        Rotate::Weekly => {
            let days = i64::from(time.weekday().to_monday_zero_offset());
            rounded(Unit::Day).and_then(|day| day.checked_sub(jiff::Span::new().days(days)).ok())
        }
        Rotate::Monthly => time.first_of_month().ok().and_then(|first| first.start_of_day().ok()),
    };
    begin.map(|begin| begin.timestamp())
}

#[cfg(test)]
mod tests;
