//! The log's way out: a thread writes what was logged, gathered for some milliseconds. A busy node has one write for many lines, and no
//! session waits for whoever reads the log. It must never write a line in part, or another order, or keep a process from ending.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// So long lines are gathered.
const GATHERING: Duration = Duration::from_millis(10);

/// Bytes that wait for whoever reads the log. What comes when there are so many is lost, and counted.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// At its end a process waits so long for whoever reads the log.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where lines are put. Clones are one.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    gathered: Mutex<Gathered>,
    more: Condvar,
    out: Mutex<Box<dyn Write + Send>>,
}

#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    lost: u64,
}

impl Lines {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives none.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Shared { gathered: Mutex::default(), more: Condvar::new(), out: Mutex::new(Box::new(out)) };
        let lines = Self(Arc::new(shared));
        let shared = Arc::clone(&lines.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.run())?;
        Ok(lines)
    }

    /// Writes what is gathered, unless nobody takes it.
    pub(super) fn flush(&self) {
        let until = Instant::now() + LAST_WORDS;
        loop {
            match self.0.out.try_lock() {
                Ok(mut out) => return self.0.write(&mut *out),
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
                Err(_) => return,
            }
        }
    }
}

impl Write for Lines {
    /// A whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut gathered = self.0.gathered();
        if gathered.bytes.len() + line.len() > WAITING_BYTES_MAX {
            gathered.lost += 1;
        } else {
            let is_first = gathered.bytes.is_empty();
            gathered.bytes.extend_from_slice(line);
            if is_first {
                self.0.more.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let mut gathered = self.gathered();
            while gathered.bytes.is_empty() {
                gathered = self.more.wait(gathered).expect("nothing panics while it holds this lock");
            }
            drop(gathered);
            thread::sleep(GATHERING);
            self.write(&mut *self.out.lock().expect("nothing panics while it holds this lock"));
        }
    }

    fn write(&self, out: &mut dyn Write) {
        let Gathered { bytes, lost } = std::mem::take(&mut *self.gathered());
        let _ = out.write_all(&bytes).and_then(|()| out.flush()); // there is no other place to say it
        if lost > 0 {
            tracing::warn!(lines = lost, "lines of the log were lost: who reads it is slower than they come");
        }
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// A reader of the log that takes each write when it is asked for it.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Lines, Receiver<Vec<u8>>) {
        let (taken, reader) = sync_channel(0);
        (Lines::start(Slow(taken)).unwrap(), reader)
    }

    #[test]
    fn what_is_logged_is_written_in_its_order_and_in_few_writes() {
        let (mut lines, reader) = slow();
        let mut wanted = Vec::new();
        for number in 0..1000 {
            let line = format!("line {number}\n");
            lines.write_all(line.as_bytes()).unwrap();
            wanted.extend_from_slice(line.as_bytes());
        }
        let (mut read, mut writes) = (Vec::new(), 0);
        while read.len() < wanted.len() {
            read.extend(reader.recv().unwrap());
            writes += 1;
        }
        assert_eq!(read, wanted);
        assert!(writes < 500, "{writes}");
    }

    #[test]
    fn who_logs_never_waits_and_what_there_is_no_room_for_is_counted() {
        let (mut lines, reader) = slow(); // nobody reads
        let line = [b'x'; 64 * 1024];
        for _ in 0..3 * WAITING_BYTES_MAX / line.len() {
            lines.write_all(&line).unwrap();
        }
        let gathered = lines.0.gathered();
        assert!(gathered.bytes.len() <= WAITING_BYTES_MAX && gathered.lost > 0);
        drop((gathered, reader));
    }

    #[test]
    fn the_last_words_are_written_and_not_waited_for_where_nobody_reads() {
        let (taken, reader) = sync_channel(64);
        let mut lines = Lines::start(Slow(taken)).unwrap();
        lines.write_all(b"the end\n").unwrap();
        lines.flush();
        assert_eq!(reader.try_iter().flatten().collect::<Vec<_>>(), b"the end\n");

        let (mut stuck, _reader) = slow();
        stuck.write_all(b"one\n").unwrap();
        while !stuck.0.gathered().bytes.is_empty() {
            thread::yield_now(); // until the thread is in the middle of writing it
        }
        Lines::flush(&stuck);
    }
}
