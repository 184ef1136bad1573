//! `locum health`: asks the process that runs with this configuration how it is, as a container engine or a balancer on
//! the same machine wants to know. It goes by the admin listener and must never open the store.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpStream, UnixStream};

use super::exit::{self, Failure};
use super::output;
use crate::admin::{self, Answer, Question};
use crate::config::Config;

/// Longer than a process that is well needs, and shorter than those wait who have it asked (config/deploy: 5 s).
const TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Ask only whether it lives: one that waits for its store does, and is not ready.
    #[arg(long)]
    live: bool,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<()> {
    let config = Config::load(path)?;
    let question = if arguments.live { Question::Health } else { Question::Readiness };
    let Some(door) = Door::of(&config.admin) else {
        let message = "[admin] has no address in clear on this machine and no socket, so the process cannot be asked: set \
                       bind = \"127.0.0.1:9465\", or socket";
        return Err(Failure::new(exit::CONFIG, message).into());
    };
    let silent = |why: String| Failure::new(exit::TEMPORARY, format!("it does not answer: {why}"));
    let answer = match tokio::time::timeout(TIMEOUT, ask(&door, question)).await {
        Ok(answer) => answer.map_err(|error| silent(format!("{error:#}")))?,
        Err(_) => return Err(silent(format!("{TIMEOUT:?} are over")).into()),
    };
    output::line(answer.text.trim_end());
    if !answer.good {
        return Err(Failure::new(exit::TEMPORARY, "it is not as it should be").into());
    }
    Ok(())
}

/// A way to the admin listener that asks for nothing.
enum Door<'a> {
    Socket(&'a Path),
    Address(SocketAddr),
}

impl<'a> Door<'a> {
    /// The socket first: it is on this machine in any case.
    fn of(options: &'a admin::Options) -> Option<Self> {
        let in_clear = options.bind.first().filter(|_| !options.tls);
        options.socket.as_deref().map(Self::Socket).or(in_clear.copied().map(Self::Address))
    }
}

async fn ask(door: &Door<'_>, question: Question) -> Result<Answer> {
    match door {
        Door::Socket(path) => {
            let stream = UnixStream::connect(path).await.with_context(|| path.display().to_string())?;
            Ok(admin::ask(stream, question).await?)
        }
        Door::Address(address) => {
            let stream = TcpStream::connect(address).await.with_context(|| address.to_string())?;
            Ok(admin::ask(stream, question).await?)
        }
    }
}
