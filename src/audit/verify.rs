//! Whether all lines of an audit are there as they were written, in their order. It reads files and believes nothing; a line of
//! any length costs no more memory than one that is ours.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;

use super::chain::{Hasher, LINE_BYTES_MAX, Link, Place};
use super::files;

/// What somebody kept elsewhere: that the line of this number has that hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The line's number.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Report {
    /// Whether no line is wrong.
    pub ok: bool,
    /// The files, in the order in which they were read.
    pub files: Vec<Part>,
    /// The number of the first line of the chain. If it is not 1, those before are in files that are not here.
    pub first_seq: Option<u64>,
    /// The number of the last line that is right.
    pub last_seq: Option<u64>,
    /// The hash of that line. Kept elsewhere, as `seq:hash`, it is the anchor of a later look.
    pub last_hash: Option<String>,
    /// Lines from before there was a chain. Nothing can be said of them.
    pub not_chained: u64,
    /// Half lines that a crash left and the next line accounts for: an event may be lost there.
    pub mended: Vec<Breach>,
    /// The first line that is wrong.
    pub broken: Option<Breach>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Part {
    /// Which.
    #[schema(value_type = String)]
    pub file: PathBuf,
    /// How many of its lines were looked at.
    pub lines: u64,
}

/// A line that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Breach {
    /// Where it is.
    #[schema(value_type = String)]
    pub file: PathBuf,
    /// The line in that file, from 1.
    pub line: u64,
    /// What is wrong.
    pub what: What,
    /// The same for people.
    pub detail: String,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It is not what was written there.
    Changed,
    /// Lines are missing before it.
    Missing,
    /// It stands in the wrong place, or twice.
    OutOfOrder,
    /// It has no end.
    HalfLine,
    /// It is no line of the chain.
    Foreign,
    /// The line that an anchor names is not there.
    CutOff,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::OutOfOrder => "out of order",
            Self::HalfLine => "half a line",
            Self::Foreign => "not of the chain",
            Self::CutOff => "cut off",
        })
    }
}

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected seq:hash, as `locum audit verify` and the log tell it".to_owned();
        let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let seq = seq.parse().ok().filter(|seq| *seq > 0 && is_hash).ok_or_else(wrong)?;
        Ok(Self { seq, hash: hash.to_ascii_lowercase() })
    }
}

/// Looks at these files, in the order of their first lines; at all those of the audit at `path` if none is named.
///
/// # Errors
/// If a file cannot be read.
pub fn verify(path: &Path, named: &[PathBuf], anchors: &[Anchor]) -> io::Result<Report> {
    let mut paths = if named.is_empty() { files::all(path)? } else { named.to_vec() };
    if !named.is_empty() {
        let mut keyed = Vec::new();
        for path in paths {
            keyed.push((first_seq(&path)?, path));
        }
        keyed.sort_by_key(|(seq, _)| *seq);
        paths = keyed.into_iter().map(|(_, path)| path).collect();
    }
    let mut walk = Walk { anchors, ..Walk::default() };
    for (at, path) in paths.iter().enumerate() {
        if !walk.file(path)? {
            walk.explain(&paths[at..])?;
            break;
        }
    }
    if walk.report.broken.is_none() {
        walk.end(anchors);
    }
    walk.report.ok = walk.report.broken.is_none();
    Ok(walk.report)
}

/// The number of the first line of a file that has one; a file without comes first.
fn first_seq(path: &Path) -> io::Result<u64> {
    let mut lines = Lines::of(path)?;
    while let Some(line) = lines.next()? {
        if let Some(place) = Place::of(&line.bytes) {
            return Ok(place.seq);
        }
    }
    Ok(0)
}

#[derive(Default)]
struct Walk<'a> {
    report: Report,
    anchors: &'a [Anchor],
    /// The last line that is right, and where it stands.
    last: Option<(Link, PathBuf, u64)>,
    /// A line that is none of the chain, until it is known whether the next one accounts for it.
    strange: Option<(Breach, String)>,
    /// The number that was expected where the chain broke.
    expected: Option<u64>,
}

impl Walk<'_> {
    /// Reads a file; whether all in it is right.
    fn file(&mut self, path: &Path) -> io::Result<bool> {
        let mut lines = Lines::of(path)?;
        self.report.files.push(Part { file: path.to_owned(), lines: 0 });
        let mut number = 0;
        while let Some(line) = lines.next()? {
            number += 1;
            if let Some(part) = self.report.files.last_mut() {
                part.lines = number;
            }
            let wrong = self.line(path, number, &line);
            if wrong.is_some() {
                self.report.broken = wrong;
                return Ok(false);
            }
        }
        // Whoever crashed while writing may have left half a line, and nobody has written since.
        self.report.broken = self.strange.take().map(|(breach, _)| breach);
        Ok(self.report.broken.is_none())
    }

    fn line(&mut self, path: &Path, number: u64, line: &Line) -> Option<Breach> {
        let breach = |what, detail: String| Breach { file: path.to_owned(), line: number, what, detail };
        let place = Place::of(&line.bytes).filter(|_| line.is_whole);
        let Some(Place { seq, prev }) = place else {
            if line.is_ended && self.last.is_none() {
                self.report.not_chained += 1;
                return None;
            }
            if let Some((before, _)) = self.strange.take() {
                return Some(before);
            }
            let is_json = line.is_ended && serde_json::from_slice::<serde_json::Value>(&line.bytes).is_ok();
            let found = match is_json {
                true => breach(What::Foreign, "this line is not of the chain: something else wrote it".to_owned()),
                false => breach(What::HalfLine, "half a line, as a crash or a full disk leaves it".to_owned()),
            };
            self.strange = Some((found, line.hash.clone()));
            return None;
        };
        if let Some((strange, hash)) = self.strange.take() {
            let is_accounted = mended(&line.bytes).is_some_and(|sha256| sha256 == hash);
            if !is_accounted || strange.what != What::HalfLine {
                return Some(strange);
            }
            self.report.mended.push(strange);
        }
        let expected = self.last.as_ref().map_or(seq, |(link, ..)| link.seq + 1);
        if seq != expected {
            self.expected = Some(expected);
            let what = if seq > expected { What::Missing } else { What::OutOfOrder };
            return Some(breach(what, format!("this is line {seq} of the chain, where line {expected} should be")));
        }
        match &self.last {
            Some((before, file, at)) if before.hash != prev => {
                let detail = format!(
                    "this line, or line {} of the chain that the hash in line {seq} is of, is not what was written",
                    before.seq
                );
                return Some(Breach { file: file.clone(), line: *at, what: What::Changed, detail });
            }
            None if seq == 1 && prev != Link::origin().hash => {
                return Some(breach(What::Changed, "the first line of all has no line before it".to_owned()));
            }
            _ => {}
        }
        if let Some(anchor) = self.anchors.iter().find(|anchor| anchor.seq == seq && anchor.hash != line.hash) {
            let detail = format!("line {seq} of the chain has not the hash of the anchor, {}", anchor.hash);
            return Some(breach(What::Changed, detail));
        }
        self.report.first_seq.get_or_insert(seq);
        self.report.last_seq = Some(seq);
        self.report.last_hash = Some(line.hash.clone());
        self.last = Some((Link { seq, hash: line.hash.clone() }, path.to_owned(), number));
        None
    }

    /// Tells a line that is missing from one that stands further behind.
    fn explain(&mut self, rest: &[PathBuf]) -> io::Result<()> {
        let Some((broken, expected)) = self.report.broken.as_mut().zip(self.expected) else { return Ok(()) };
        if broken.what != What::Missing {
            return Ok(());
        }
        for path in rest {
            let (mut lines, mut number) = (Lines::of(path)?, 0);
            while let Some(line) = lines.next()? {
                number += 1;
                if Place::of(&line.bytes).is_some_and(|place| place.seq == expected) {
                    broken.what = What::OutOfOrder;
                    broken.detail = format!("{}; that one is in {}:{number}", broken.detail, path.display());
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What only shows at the end: an anchor behind it.
    fn end(&mut self, anchors: &[Anchor]) {
        let last = self.report.last_seq.unwrap_or_default();
        let Some(anchor) = anchors.iter().find(|anchor| anchor.seq > last) else { return };
        let (file, line) = match (&self.last, self.report.files.last()) {
            (Some((_, file, line)), _) => (file.clone(), *line),
            (None, Some(part)) => (part.file.clone(), part.lines),
            (None, None) => (PathBuf::new(), 0),
        };
        let detail = format!("the audit ends with line {last}, and there was a line {}: lines are cut off", anchor.seq);
        self.report.broken = Some(Breach { file, line, what: What::CutOff, detail });
    }
}

/// The hash of what a line accounts for, if it does.
fn mended(line: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Mended {
        event: String,
        sha256: String,
    }
    let found: Mended = serde_json::from_slice(line).ok()?;
    (found.event == "mended").then_some(found.sha256)
}

/// A file line by line, as far as it went when it was opened.
struct Lines {
    reader: BufReader<io::Take<File>>,
}

struct Line {
    /// As much of it as a line of ours has at most.
    bytes: Vec<u8>,
    /// Whether that is all of it.
    is_whole: bool,
    /// Whether a line feed ends it.
    is_ended: bool,
    hash: String,
}

impl Lines {
    fn of(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(named)?;
        // Whoever writes holds the lock: what is there when it is ours is whole. A file that cannot be locked is read as it is.
        let is_locked = file.try_lock_shared().is_ok();
        let end = file.metadata().map_err(named)?.len();
        if is_locked {
            file.unlock().map_err(named)?;
        }
        Ok(Self { reader: BufReader::new(file.take(end)) })
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        let (mut bytes, mut hasher, mut length, mut is_ended) = (Vec::new(), Hasher::new(), 0_usize, false);
        while !is_ended {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            hasher.add(part);
            length += part.len();
            bytes.extend_from_slice(&part[..part.len().min(LINE_BYTES_MAX - bytes.len())]);
            is_ended = end.is_some();
            let consumed = part.len() + usize::from(is_ended);
            self.reader.consume(consumed);
        }
        if length == 0 && !is_ended {
            return Ok(None);
        }
        let is_whole = length == bytes.len();
        Ok(Some(Line { bytes, is_whole, is_ended, hash: hasher.finish() }))
    }
}

#[cfg(test)]
mod tests;
