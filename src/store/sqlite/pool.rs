//! Threads that own a SQLite connection each and take work from one queue. It must never run a job on a caller's thread.
//!
//! Threads of its own rather than the runtime's blocking ones: a connection keeps its page cache and its prepared
//! statements where it is used, and nothing else that blocks (a burst of password hashing) can stand before a read.

use std::{
    io,
    sync::{Arc, Mutex},
    thread,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::model::wipe_stack;
use crate::store::StoreError;

/// Jobs that wait for a thread; callers beyond that wait for a place. A second's work for the writer, at the least.
const QUEUE_JOBS_MAX: usize = 1024;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Some threads with a connection each.
pub(super) struct Pool {
    // Dropped in this order: without a sender the queue ends, then the threads do, and only then is it gone.
    jobs: mpsc::Sender<Job>,
    _threads: Threads,
}

impl Pool {
    /// Starts a thread for each connection.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start(name: &str, connections: Vec<Connection>) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let start = |connection| {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name(name.to_owned()).spawn(move || serve(connection, &queue))
        };
        let threads = connections.into_iter().map(start).collect::<io::Result<_>>()?;
        Ok(Self { jobs, _threads: Threads(threads) })
    }

    /// Runs the job on one of the threads and waits for what it returns.
    ///
    /// # Errors
    /// Those of the job; [`StoreError::Unavailable`] if the threads are gone.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable("its thread has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A caller that stopped waiting needs no answer.
            let _ = reply.send(job(connection));
        });
        self.jobs.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn serve(mut connection: Connection, queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // One idle thread waits at the queue, the others for its place there; the lock is free again before the job runs.
        let job = queue.lock().expect("no job runs under this lock, so none can panic there").blocking_recv();
        match job {
            Some(job) => {
                job(&mut connection);
                wipe_stack(); // of what it opened and sealed
            }
            None => return,
        }
    }
}

/// Threads that are waited for when they are dropped.
struct Threads(Vec<thread::JoinHandle<()>>);

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            // One that panicked has told of it already.
            let _ = thread.join();
        }
    }
}
