//! The writer: a thread that puts events into the file, fed by a queue with a bound. Whoever records an event never waits for
//! the disk, but where it must be on file first.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, mem};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::file::{Closed, Journal};
use super::{Event, Status, line_of};

/// Events that wait for the writer: some seconds of the busiest node, and 8 MiB at the most. What comes when it is full is
/// in the log alone, and counted in the file once that can be written.
const QUEUE_EVENTS_MAX: usize = 8192;

/// Events in one write.
const BATCH_EVENTS_MAX: usize = 512;

/// So long the writer waits for more once it has something, unless somebody waits for it: a busy node has one write for many
/// events, and not a change of threads for each.
const GATHERING: Duration = Duration::from_millis(10);

/// Between two tries to write a file that could not be written.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How often the log is told where the chain stands. Somewhere else than the file, it shows when lines are cut off its end.
const ANCHOR_INTERVAL: Duration = Duration::from_secs(3600);

/// What goes to the writer.
pub(super) enum Message {
    Event(Entry),
    /// Tells when all before it is done.
    Settle(SyncSender<()>),
}

/// An event that is to be written.
pub(super) struct Entry {
    /// A JSON object.
    pub(super) text: String,
    pub(super) at: Instant,
    /// Who waits until it is on file, or is known not to be.
    pub(super) told: Option<oneshot::Sender<bool>>,
}

/// The queue's end that is written to; when it is dropped the rest is written, and the thread is waited for.
pub(super) struct Writer {
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    status: Status,
    queued: usize,
    /// When the oldest event came that the writer has taken and not written.
    oldest: Option<Instant>,
    /// Since when the file cannot be written.
    failing: Option<Instant>,
    /// Events for which there was no place.
    overflown: u64,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(journal: Journal, file: PathBuf) -> io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE_EVENTS_MAX);
        let status = Status { file: Some(file), ..Status::default() };
        let state = Arc::new(Mutex::new(State { status, ..State::default() }));
        let work = Work {
            journal,
            state: Arc::clone(&state),
            waiting: VecDeque::new(),
            lost: 0,
            broken: None,
            is_waited_for: false,
            anchored: (Instant::now(), 0),
        };
        let thread = thread::Builder::new().name("audit".to_owned()).spawn(move || work.run(&messages))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), state })
    }

    /// Hands an event over. Where there is no place for it, it is counted.
    pub(super) fn send(&self, message: Message) {
        let Some(queue) = &self.queue else { return };
        // Before it is sent: the writer counts it out again.
        lock(&self.state).queued += 1;
        match queue.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(Message::Event(_)) | TrySendError::Disconnected(Message::Event(_))) => {
                let mut state = lock(&self.state);
                state.queued -= 1;
                state.overflown += 1;
                if state.overflown == 1 {
                    tracing::error!("the audit's queue is full; until it is not, events are in the log alone");
                }
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => lock(&self.state).queued -= 1,
        }
    }

    /// Waits until all that was handed over is written, or known not to be.
    pub(super) fn settle(&self) {
        let (told, done) = sync_channel(1);
        if let Some(queue) = &self.queue {
            lock(&self.state).queued += 1;
            if queue.send(Message::Settle(told)).is_ok() {
                let _ = done.recv(); // an error is the writer's end
            }
        }
    }

    pub(super) fn status(&self) -> Status {
        let state = lock(&self.state);
        let lag = state.oldest.map(|oldest| oldest.elapsed()).unwrap_or_default();
        let failing_for = state.failing.map(|since| since.elapsed());
        Status { queued: state.queued, lag, failing_for, ..state.status.clone() }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic of it was told as such
        }
    }
}

/// What the thread works with.
struct Work {
    journal: Journal,
    state: Arc<Mutex<State>>,
    /// Events that were taken from the queue and are not written.
    waiting: VecDeque<Entry>,
    /// Events that were given up, and why.
    lost: u64,
    /// When the file could not be written, and why.
    broken: Option<(Instant, String)>,
    /// Somebody has waited for an event to be on file, and may do so again.
    is_waited_for: bool,
    /// When the log was told last where the chain stands, and at which line.
    anchored: (Instant, u64),
}

impl Work {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let wait = self.broken.as_ref().map_or(ANCHOR_INTERVAL, |_| RETRY_INTERVAL);
            match messages.recv_timeout(wait) {
                Ok(message) => {
                    let is_event = matches!(message, Message::Event(_));
                    self.take(message);
                    if is_event && !self.is_waited_for {
                        thread::sleep(GATHERING);
                    }
                    while self.waiting.len() < BATCH_EVENTS_MAX
                        && let Ok(message) = messages.try_recv()
                    {
                        self.take(message);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.broken = None; // a last try
                    self.write();
                    return self.anchor();
                }
            }
            let is_due = self.broken.as_ref().is_none_or(|(since, _)| since.elapsed() >= RETRY_INTERVAL);
            if is_due {
                self.write();
            }
            if self.anchored.0.elapsed() >= ANCHOR_INTERVAL {
                self.anchor();
            }
        }
    }

    fn take(&mut self, message: Message) {
        lock(&self.state).queued -= 1;
        self.is_waited_for |= matches!(message, Message::Event(Entry { told: Some(_), .. }));
        match message {
            Message::Event(entry) => match entry.told {
                // Whoever waits is told at once, and goes away; what they waited for did not happen.
                Some(told) if self.broken.is_some() => {
                    self.lost += 1;
                    let _ = told.send(false);
                }
                _ if self.waiting.len() >= QUEUE_EVENTS_MAX => self.lost += 1,
                told => self.waiting.push_back(Entry { told, ..entry }),
            },
            Message::Settle(done) => {
                if self.broken.is_none() {
                    self.write();
                }
                let _ = done.send(()); // whoever asked may be gone
            }
        }
    }

    fn write(&mut self) {
        self.lost += mem::take(&mut lock(&self.state).overflown);
        while !self.waiting.is_empty() || self.lost > 0 {
            let batch: Vec<Entry> = self.waiting.drain(..self.waiting.len().min(BATCH_EVENTS_MAX)).collect();
            lock(&self.state).oldest = batch.first().map(|entry| entry.at);
            let lost = (self.lost > 0).then(|| {
                let reason = match &self.broken {
                    Some((_, reason)) => reason.clone(),
                    None => "the queue was full".to_owned(),
                };
                line_of(None, &Event::Lost { count: self.lost, reason })
            });
            let texts: Vec<&str> =
                lost.iter().map(String::as_str).chain(batch.iter().map(|entry| entry.text.as_str())).collect();
            match self.journal.append(&texts) {
                Ok(closed) => {
                    self.lost = 0;
                    self.wrote(batch, closed);
                }
                Err(error) => return self.failed(batch, &error),
            }
        }
    }

    fn wrote(&mut self, batch: Vec<Entry>, closed: Option<Closed>) {
        if let Some(Closed { file, last, removed }) = closed {
            let (file, seq, hash) = (file.display(), last.seq, &last.hash);
            tracing::info!(%file, seq, hash, "an audit file was closed");
            for file in removed {
                tracing::info!(file = %file.display(), "an old audit file was removed");
            }
        }
        if self.broken.take().is_some() {
            tracing::warn!("the audit file is written again");
        }
        {
            let mut state = lock(&self.state);
            let last = self.journal.last();
            state.status.seq = last.seq;
            state.status.hash.clone_from(&last.hash);
            state.status.written = Some(Timestamp::now());
            state.status.error = None;
            state.failing = None;
            state.oldest = None;
        }
        for told in batch.into_iter().filter_map(|entry| entry.told) {
            let _ = told.send(true); // whoever waited may be gone
        }
    }

    fn failed(&mut self, batch: Vec<Entry>, error: &io::Error) {
        if self.broken.is_none() {
            tracing::error!(%error, "the audit file cannot be written; until it can, events are in the log alone");
        }
        self.broken = Some((Instant::now(), error.to_string()));
        let mut in_vain = Vec::new();
        for entry in batch.into_iter().rev() {
            match entry.told {
                Some(told) => {
                    self.lost += 1;
                    in_vain.push(told);
                }
                None => self.waiting.push_front(entry),
            }
        }
        let mut state = lock(&self.state);
        state.status.lost = self.lost;
        state.status.failures += 1;
        state.failing.get_or_insert_with(Instant::now);
        state.status.error = Some(error.to_string());
        state.oldest = self.waiting.front().map(|entry| entry.at);
        drop(state);
        // Last: whoever hears of it finds it so.
        for told in in_vain {
            let _ = told.send(false);
        }
    }

    fn anchor(&mut self) {
        let last = self.journal.last();
        if last.seq != self.anchored.1 {
            tracing::info!(seq = last.seq, hash = last.hash, "the audit stands here; keep this to verify it by");
        }
        self.anchored = (Instant::now(), last.seq);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("nothing panics while it holds this lock")
}
