//! `locum rotate import`: new app passwords for many accounts, from a file. It must never say a secret, nor do anything
//! before all of the file has been read.

mod file;
mod tell;

use std::path::PathBuf;

use anyhow::Result;

use self::tell::Tally;
use crate::cli::desk;
use crate::cli::exit::{self, Failure};
use crate::cli::import::{self, Results};
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::serve::{stop_signals, told_to_stop};
use crate::management::Desk;
use crate::model::Protocol;
use crate::rotation::batch::{Batch, Ended, FINISH_WITHIN, Finished, Options, Outcome, Plan, Row, Stops};

/// The columns of the result file.
const RESULTS: [&str; 9] =
    ["line", "account", "outcome", "cause", "credential", "previous", "previous-label", "label", "time"];

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(in crate::cli) struct Import {
    /// The file; `-` for standard input. Its first line names the columns: `account` and `secret` (or `app-password`, or
    /// `password`), and if wanted `label`, the name that the password bears in the provider's portal, and `upstream`, at
    /// which the account must be. Nobody but its owner may be able to read it.
    file: PathBuf,
    /// Say what would be done with each row, and do nothing: no login, no change.
    #[arg(long)]
    dry_run: bool,
    /// Write down here what became of each row. Without it: the file's name with `.result.csv` behind it.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    result: Option<PathBuf>,
    /// So many accounts log in at once at each provider.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    at_once: u16,
    /// Begin no new rows when more than so many percent of those tried have failed; 0: go on whatever happens. The first
    /// 20 rows are tried in any case.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    stop_at: u8,
    /// Log in by this protocol only: imap, pop3 or submission. May be given more than once; without it, by all that take
    /// app passwords.
    #[arg(long)]
    protocol: Vec<Protocol>,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  each row's password is current now
  65  none is; or the file cannot be used, and nothing was done
  75  those that are not may be, later: run the same again
  79  some are, others failed for good: see the result file
Where a row stands is in its account's record. After a crash, or Ctrl-C, run the same again: what is done is not done again.";

pub(super) async fn run(desk: &Desk, arguments: Import) -> Result<()> {
    let rows = rows(&arguments)?;
    let options = Options {
        at_once: usize::from(arguments.at_once),
        stop_at: arguments.stop_at,
        protocols: arguments.protocol.clone(),
    };
    let batch = Batch::new(desk::rotation(desk), options);
    let total = rows.len();
    let mut progress = Progress::begin("accounts looked up");
    let plan = batch.plan(rows, |done| progress.show(done, total)).await;
    progress.end();
    let plan = plan?;
    if plan.settled().iter().all(|it| it.outcome == Outcome::Missing) && plan.to_rotate() == 0 {
        // Nothing of it is written down anywhere: with the columns the wrong way round, these would be the secrets.
        let message = format!("none of its accounts ({total}) is there; see `locum account list`. Nothing was done");
        return Err(Failure::new(exit::DATA, message).into());
    }
    if arguments.dry_run {
        return tell::foreseen(&plan);
    }
    desk::at_work(desk, rotate(&batch, plan, &arguments, desk)).await
}

/// The rows of the file, if all can be used.
fn rows(arguments: &Import) -> Result<Vec<Row>> {
    let path = &arguments.file;
    if import::is_stdin(path) && arguments.result.is_none() && !arguments.dry_run {
        return Err(import::result_is_needed().into());
    }
    let file::List { rows, bad } = file::read(path)?;
    Ok(import::all_usable(path, rows, &bad)?)
}

async fn rotate(batch: &Batch, plan: Plan, arguments: &Import, desk: &Desk) -> Result<()> {
    let mut results = import::results(&arguments.file, arguments.result.as_deref(), &RESULTS)?;
    let (stops, total) = (Stops::default(), plan.len());
    let (mut tally, mut progress, mut lost) = (Tally::default(), Progress::begin("accounts"), None);
    progress.show(0, total);
    let told = |finished| {
        if let Err(error) = add(&mut results, &finished)
            && lost.is_none()
        {
            lost = Some(error);
            stops.gently.cancel();
        }
        tally.count(finished);
        progress.show(tally.done_with(), total);
    };
    let ended = until_stopped(batch.run(plan, &stops, told), &stops).await?;
    progress.end();
    tally.tell(&ended, results.path(), desk.options.grace);
    if let Some(error) = lost {
        let message = format!(
            "{} could not be written to its end: {error}; what was done is done: run the same again for a whole one",
            results.path().display()
        );
        return Err(Failure::new(exit::IO_ERROR, message).into());
    }
    tally.conclude()
}

/// What became of one row.
fn add(results: &mut Results, finished: &Finished) -> std::io::Result<()> {
    let Finished { ticket, outcome, cause, at, .. } = finished;
    let (line, at) = (ticket.line.to_string(), format!("{at:.0}"));
    let (before, before_label) =
        ticket.before.as_ref().map_or(("", ""), |before| (before.id.as_str(), before.label.as_str()));
    let credential = ticket.credential.as_deref().unwrap_or_default();
    let (account, label) = (&ticket.account, &ticket.label);
    results.write(&[&line, account, outcome.name(), cause, credential, before, before_label, label, &at])
}

/// Lets it run; the first signal ends it gently, the second one at once.
async fn until_stopped(run: impl Future<Output = Ended>, stops: &Stops) -> Result<Ended> {
    let mut signals = stop_signals()?;
    let mut run = std::pin::pin!(run);
    loop {
        tokio::select! {
            ended = &mut run => return Ok(ended),
            () = told_to_stop(&mut signals) => {
                if stops.gently.is_cancelled() {
                    stops.at_once.cancel();
                    continue;
                }
                stops.gently.cancel();
                let seconds = FINISH_WITHIN.as_secs();
                output::note(format!(
                    "locum: no more rows are begun, those under way end within {seconds} s; once more, and they are cut off"
                ));
            }
        }
    }
}
