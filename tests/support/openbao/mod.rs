//! Real OpenBao servers of a test's own, which end with it: nothing is shared, nothing is left behind. `tests/install`
//! provides the program. Nothing here decides whether a test passes.
//!
//! A test target takes it in with `#[path = "../support/openbao/mod.rs"] mod openbao;`, and calls it from
//! `#[tokio::test(flavor = "multi_thread")]`.
//!
//! - [`Dev`]: one server in memory, without TLS, there in a second.
//! - [`Cluster`]: one or three servers as in production: TLS, Raft on disk, to be unsealed. They can be killed, paused
//!   and sealed.
//! - [`Audit`]: what a server was asked.
//! - [`Api`]: a token and where it is used: HTTP and the real `bao`. A server hands out that of its root token.
//! - [`Authority`]: who signs the certificates of servers, and of clients that log in by certificate.
//! - [`Kubernetes`]: a stand-in for the part of Kubernetes that says whose service account a token is.

mod api;
mod audit;
mod authority;
#[path = "../child.rs"]
pub(crate) mod child;
mod cluster;
mod dev;
mod kubernetes;

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use api::Api;
pub(crate) use audit::{Audit, Calls};
pub(crate) use authority::Authority;
pub(crate) use cluster::Cluster;
pub(crate) use dev::Dev;
pub(crate) use kubernetes::Kubernetes;

/// How long a server may take to come to a state, on a machine that is busy with other tests.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Pause between two looks at something that is awaited.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How often a server is started that lost its port to another process.
const STARTS_MAX: usize = 5;

/// The real program: `LOCUM_TEST_BAO`, or the one that `tests/install` put into the cache.
pub(crate) fn binary() -> PathBuf {
    if let Some(missing) = missing() {
        panic!("{missing}");
    }
    place()
}

/// What to do if it is not there.
pub(crate) fn missing() -> Option<String> {
    let place = place();
    (!place.is_file())
        .then(|| format!("there is no OpenBao at {}: run tests/install, or set LOCUM_TEST_BAO", place.display()))
}

fn place() -> PathBuf {
    let cache = || {
        let folder = env::var_os("XDG_CACHE_HOME").filter(|it| !it.is_empty()).map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
        folder.unwrap_or_default().join("locum-tests/openbao-2.7.2/bao")
    };
    env::var_os("LOCUM_TEST_BAO").map_or_else(cache, PathBuf::from)
}

/// The program, knowing nothing of the world it is run in: settings and the token of whoever runs the tests are not for
/// it. Both are looked for in the home folder and in the environment.
fn bao(home: &Path) -> Command {
    let mut command = Command::new(binary());
    command.env_clear().env("HOME", home).env("PATH", env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs a program that must succeed; what it printed.
pub(crate) fn output_of(command: &mut Command) -> String {
    String::from_utf8(child::run_well(command, b"")).unwrap()
}

/// Starts a server that writes its log to a file, which is shown if the test fails.
fn spawn(command: &mut Command, log: &Path) -> child::Server {
    let file = || File::options().create(true).append(true).open(log).unwrap();
    // What a stranger is refused for is said at `debug` alone.
    command.env("BAO_LOG_LEVEL", "debug");
    child::Server::spawn("bao", command.stdout(file()).stderr(file()), vec![log.to_owned()])
}

/// Waits for `look` to find something. Panics, saying `what` was awaited, when [`WAIT_MAX`] is over.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {WAIT_MAX:?} in vain for {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
