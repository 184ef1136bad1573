//! Where slow hashes are computed: beside the runtime's threads, a few at once. It must never let a stranger's guesses take
//! more of the machine than that, nor have those whom somebody knows wait behind them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::model::wipe_stack;

/// Slow hashes at once: half as many as the runtime has threads, so that sessions keep the other cores, and no more than
/// this, for each takes up to [`super::chosen::MEMORY_KIB_MAX`].
const AT_ONCE_MAX: usize = 4;

/// Slow hashes of each rank that wait for their turn. A site that comes back all at once fits in, and is through in some 15 s with one
/// core; what is behind more than this is a flood of guesses.
const WAITING_MAX: usize = 600;

/// A turn that comes later is given up: clients have gone by then, and those behind are served the sooner.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// One bound for the process, however many there are that hash.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new((Handle::current().metrics().num_workers() / 2).clamp(1, AT_ONCE_MAX)));

/// Of strangers one at a time stands in the line for [`TURNS`], and the others behind it: whom somebody knows waits for one of
/// them at the most.
static STRANGERS: Semaphore = Semaphore::const_new(1);

static WAITING: AtomicUsize = AtomicUsize::new(0);
static KNOWN_WAITING: AtomicUsize = AtomicUsize::new(0);

/// There are too many before it, or it waited for too long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "more chosen secrets wait to be checked than {WAITING_MAX}, or for longer than {} s: somebody may be guessing; else give \
     clients secrets that are issued, which cost nothing to check",
    WAIT_MAX.as_secs()
)]
pub struct Busy;

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Rank {
    /// An operator, or a client where clients have been let in of late.
    Known,
    /// Anybody.
    Stranger,
}

/// One that waits, counted for as long as it does.
struct Waiting(Rank);

impl Waiting {
    fn begin(rank: Rank) -> Result<Self, Busy> {
        let waiting = Self(rank);
        if waiting.line().fetch_add(1, Ordering::Relaxed) < WAITING_MAX { Ok(waiting) } else { Err(Busy) }
    }

    /// A line that is full of strangers is not full for others.
    fn line(&self) -> &'static AtomicUsize {
        match self.0 {
            Rank::Known => &KNOWN_WAITING,
            Rank::Stranger => &WAITING,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line().fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does that when its turn comes. What was begun keeps its turn to its end, though nobody waits for it any more.
pub(super) async fn run<T: Send + 'static>(rank: Rank, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
    let waiting = Waiting::begin(rank)?;
    let began = Instant::now();
    let head = match rank {
        Rank::Known => None,
        Rank::Stranger => Some(STRANGERS.acquire().await.map_err(|_| Busy)?), // never closed
    };
    let turn = TURNS.acquire().await.map_err(|_| Busy)?; // nor is this
    drop((waiting, head));
    if began.elapsed() > WAIT_MAX {
        return Err(Busy);
    }
    let working = spawn_blocking(move || {
        let _turn = turn;
        let done = work();
        wipe_stack();
        done
    });
    working.await.map_err(|_| Busy) // only where the runtime ends, or a hash panicked: it proves nothing
}
