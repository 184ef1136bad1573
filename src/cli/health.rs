//! `locum health`: asks the process that runs with this configuration how it is, as a container engine or a balancer on
//! the same machine wants to know. It goes by the admin listener and must never open the store.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpStream;

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
    if config.admin.bind.is_empty() {
        let message = "[admin] has no bind, so the process cannot be asked: set it to \"127.0.0.1:9465\"";
        return Err(Failure::new(exit::CONFIG, message).into());
    }
    let silent = |why: String| Failure::new(exit::TEMPORARY, format!("it does not answer: {why}"));
    let answer = match tokio::time::timeout(TIMEOUT, ask(&config.admin, question)).await {
        Ok(answer) => answer.map_err(|error| silent(format!("{error:#}")))?,
        Err(_) => return Err(silent(format!("{TIMEOUT:?} are over")).into()),
    };
    output::line(answer.text.trim_end());
    if !answer.good {
        return Err(Failure::new(exit::TEMPORARY, "it is not as it should be").into());
    }
    Ok(())
}

/// What is answered at the first of the addresses: all lead to the same process.
async fn ask(options: &admin::Options, question: Question) -> Result<Answer> {
    let address = options.bind.first().context("it has no address")?;
    let stream = TcpStream::connect(address).await.with_context(|| format!("{address}"))?;
    admin::ask(stream, question).await.map_err(Into::into)
}
