//! An upgrade: the program is started again, is handed the sockets that this process listens on, and takes its place once it
//! serves. It must never leave two that both believe to be the one: whoever does not come to serve is ended.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tokio::net::{TcpListener, UnixDatagram};
use tokio::process::{Child, Command};

use super::sockets::PREDECESSOR;

/// Time for a successor to begin to serve: it opens the store, and waits for one that does not answer at once.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the sockets of a process begin that was handed some (`sd_listen_fds(3)`).
const FIRST_FD: i32 = 3;

/// What it says when it serves.
const READY: &[u8] = b"ready";

/// How the program is started again.
#[derive(Debug, Clone)]
pub struct Succession {
    /// Its file, as it was named when this process began: by now there may be a newer one in its place.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// A successor that does not serve yet. Dropped, it is ended.
struct Candidate(Option<Child>);

impl Drop for Candidate {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.start_kill(); // refused if it has ended, which is what is wanted
        }
    }
}

impl Succession {
    /// Starts the program with these sockets, each by the name of its listener, and waits until it serves; its process id.
    ///
    /// # Errors
    /// Why it does not, in words for the operator. It is ended then.
    pub(super) async fn begin(self, sockets: Vec<(String, Arc<TcpListener>)>) -> Result<u32, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.program.display());
        let (told, tells) = UnixDatagram::pair().map_err(failed)?;
        let mut fds: Vec<(String, OwnedFd)> = Vec::new();
        for (name, socket) in sockets {
            fds.push((name, socket.as_fd().try_clone_to_owned().map_err(failed)?));
        }
        fds.push((PREDECESSOR.to_owned(), tells.into_std().map_err(failed)?.into()));
        let child = self.command(fds)?.spawn().map_err(failed)?;
        let mut candidate = Candidate(Some(child));
        let mut words = [0; READY.len()];
        let child = candidate.0.as_mut().ok_or("it is gone")?;
        let pid = child.id().ok_or("it ended at once")?;
        let began = async {
            tokio::select! {
                heard = told.recv(&mut words) => heard.map(|_| ()).map_err(|error| error.to_string()),
                ended = child.wait() => Err(match ended {
                    Ok(status) => format!("it ended before it served ({status}); what it said stands above"),
                    Err(error) => error.to_string(),
                }),
            }
        };
        match tokio::time::timeout(BEGIN_TIMEOUT, began).await {
            Ok(Ok(())) => {
                drop(candidate.0.take()); // it lives its own life
                Ok(pid)
            }
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("it did not serve within {BEGIN_TIMEOUT:?}")),
        }
    }

    fn command(&self, fds: Vec<(String, OwnedFd)>) -> Result<Command, String> {
        let (names, fds): (Vec<String>, Vec<OwnedFd>) = fds.into_iter().unzip();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null());
        // A process cannot know its child's id before it is one: without LISTEN_PID, the sockets are for whoever reads this.
        command.env("LISTEN_FDS", fds.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        command.env_remove("LISTEN_PID").env_remove("WATCHDOG_PID");
        let map = |(parent_fd, child_fd)| FdMapping { parent_fd, child_fd };
        let mappings = fds.into_iter().zip(FIRST_FD..).map(map).collect();
        command.fd_mappings(mappings).map_err(|error| error.to_string())?;
        Ok(command)
    }
}

/// Tells the process before this one that its place is taken.
pub(super) async fn tell(predecessor: &UnixDatagram) {
    if let Err(error) = predecessor.send(READY).await {
        tracing::warn!(%error, "the process before this one cannot be told that it may go");
    }
}
