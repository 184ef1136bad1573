//! The audit: who logged in, from where, with which secret, which credential went upstream, and how it ended. One JSON
//! object a line, appended, each with the hash of the line before. It must never hold a secret; ids name them.
//!
//! - [`Audit`]: the handle that events are recorded by. [`Event`], [`Origin`]: what is recorded. [`Status`]: how it goes.
//! - `chain`: the rule by which lines are chained. `file`: the file, its lock, and when it is closed. `writer`: the thread that
//!   writes. [`verify()`]: whether all lines are there as they were written. [`search()`]: those that somebody looks for.

mod chain;
mod event;
mod file;
mod files;
mod search;
mod verify;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub use event::{Event, Origin, name};
pub use search::{Found, SearchError, Wanted, search};
pub use verify::{Anchor, Breach, Part, Report, What, verify};

use file::Journal;
use writer::{Entry, Message, Writer};

/// For how long whoever may not go on before an event is on file waits for that.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// An event in the file: a line less what the chain adds.
const EVENT_BYTES_MAX: usize = chain::LINE_BYTES_MAX - 256;

/// Where the audit goes, and how it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The file that events are appended to, one JSON object a line. `None`: to the log alone.
    pub path: Option<PathBuf>,
    /// Bytes from which on the file is closed, and another one begun.
    pub max_size: Option<u64>,
    /// How often it is closed in any case.
    pub rotate: Rotate,
    /// How many closed files are kept. `None`: all.
    pub keep: Option<usize>,
    /// Whether no login is let in that cannot be put into the file first.
    pub fail_closed: bool,
}

/// How often a file is closed, by the calendar of UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rotate {
    /// Not for its age.
    #[default]
    Never,
    /// At each full hour.
    Hourly,
    /// At midnight.
    Daily,
    /// On Mondays.
    Weekly,
    /// On the first of the month.
    Monthly,
}

/// The audit's file does not open.
#[derive(Debug, thiserror::Error)]
#[error("cannot append to the audit file {path}: {source}", path = path.display())]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

/// An event is not on file where it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the audit cannot be written, and [audit] fail-closed lets nobody in without it; see its file and the disk it is on"
)]
pub struct Unwritten;

/// How the audit goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The file that is written; `None` if there is none.
    pub file: Option<PathBuf>,
    /// The number of the last line that this process wrote; 0 if it wrote none.
    pub seq: u64,
    /// The hash of that line.
    pub hash: String,
    /// When it was written.
    pub written: Option<Timestamp>,
    /// Events that wait for the writer.
    pub queued: usize,
    /// For how long the oldest event waits that is not written.
    pub lag: Duration,
    /// Events that are in the log alone since the file could not be written.
    pub lost: u64,
    /// Why it cannot be written, while it cannot.
    pub error: Option<String>,
    /// For how long it could not be written; `None` if it can.
    pub failing_for: Option<Duration>,
    /// Writes that failed.
    pub failures: u64,
}

/// A handle on the audit; clones write to the same file. When the last one is dropped, what waits is written.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    place: Arc<ArcSwap<Place>>,
}

/// A file that was opened to go on in.
#[derive(Debug)]
pub struct Reopened(Place);

/// Where events go.
#[derive(Debug, Default)]
struct Place {
    writer: Option<Writer>,
    options: Options,
}

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    #[serde(flatten)]
    origin: Option<&'a Origin>,
    #[serde(flatten)]
    event: &'a Event,
}

/// An event as a JSON object, as of now.
fn line_of(origin: Option<&Origin>, event: &Event) -> String {
    let line = Line { time: Timestamp::now(), origin, event };
    serde_json::to_string(&line).expect("no field of an event can fail to serialize")
}

impl Audit {
    /// Opens the file of `options` for appending, readable by its owner and group only.
    ///
    /// # Errors
    /// If it does not open.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Ok(Self { place: Arc::new(ArcSwap::from_pointee(Place::open(options)?)) })
    }

    /// Opens the file again, or another one, or the same in another way: nothing is written there before
    /// [`Audit::go_on_in`].
    ///
    /// # Errors
    /// If it does not open.
    pub fn reopen(options: &Options) -> Result<Reopened, OpenError> {
        Place::open(options).map(Reopened)
    }

    /// Goes on in that file, in all clones. What was recorded before is written first.
    pub fn go_on_in(&self, Reopened(place): Reopened) {
        let before = self.place.swap(Arc::new(place));
        if let Some(writer) = &before.writer {
            writer.settle();
        }
    }

    /// Records an event of a session, in the file and in the log. Nothing is waited for.
    pub fn record(&self, origin: &Origin, event: &Event) {
        self.append(Some(origin), event, None);
    }

    /// Records what is no session's: an operator's step, or a node's own.
    pub fn record_step(&self, event: &Event) {
        self.append(None, event, None);
    }

    /// Records an event of a session that must be on file before anything else is done, if the audit is to be kept so
    /// (`fail-closed`); else the same as [`Audit::record`].
    ///
    /// # Errors
    /// If it is not on file.
    pub async fn commit(&self, origin: &Origin, event: &Event) -> Result<(), Unwritten> {
        let must_wait = {
            let place = self.place.load();
            place.options.fail_closed && place.writer.is_some()
        };
        if !must_wait {
            self.record(origin, event);
            return Ok(());
        }
        let (told, done) = oneshot::channel();
        self.append(Some(origin), event, Some(told));
        match timeout(COMMIT_TIMEOUT, done).await {
            Ok(Ok(true)) => Ok(()),
            _ => Err(Unwritten),
        }
    }

    /// Waits until all that was recorded is written, or known not to be. It blocks: for the end of a program, and tests.
    pub fn settle(&self) {
        if let Some(writer) = &self.place.load_full().writer {
            writer.settle();
        }
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        self.place.load().writer.as_ref().map(Writer::status).unwrap_or_default()
    }

    /// How it is kept.
    pub fn options(&self) -> Options {
        self.place.load().options.clone()
    }

    fn append(&self, origin: Option<&Origin>, event: &Event, told: Option<oneshot::Sender<bool>>) {
        let text = line_of(origin, event);
        tracing::info!(target: "locum::audit", "{text}");
        let too_long = || {
            let reason = format!("an event has {} bytes, too many for a line", text.len());
            line_of(origin, &Event::Lost { count: 1, reason })
        };
        let text = if text.len() > EVENT_BYTES_MAX { too_long() } else { text };
        if let Some(writer) = &self.place.load().writer {
            writer.send(Message::Event(Entry { text, at: Instant::now(), told }));
        }
    }
}

impl Place {
    fn open(options: &Options) -> Result<Self, OpenError> {
        let options = options.clone();
        let Some(path) = options.path.clone() else { return Ok(Self { writer: None, options }) };
        let failed = |source| OpenError { path: path.clone(), source };
        let mut id = [0; 4];
        SystemRandom::new()
            .fill(&mut id)
            .map_err(|_| failed(io::Error::other("the system gives no random numbers")))?;
        let mut journal = Journal::new(&options, path.clone(), HEXLOWER.encode(&id));
        journal.open().map_err(failed)?;
        let writer = Writer::start(journal, path.clone()).map_err(failed)?;
        Ok(Self { writer: Some(writer), options })
    }
}

#[cfg(test)]
mod tests;
