//! Many records from one file: what all imports have in common. All of a file is read and looked at before anything is done;
//! each row is done with by itself, and what became of it is written down at once, so that whatever ends the program leaves
//! what was done, and the same run again goes on. It must never quote what stands in a file: that may be a secret.

mod ldif;
mod results;
mod tally;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Result;
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use self::tally::Tally;
use super::csv_file;
use super::exit::{self, Failure};
use super::output;
use super::progress::Progress;
use super::serve::{stop_signals, told_to_stop};
use crate::broker::DirectoryError;
use crate::management::import::Outcome;
use crate::store;

pub(super) use self::ldif::{Entry, entries, is_ldif};
pub(super) use self::results::Results;

/// The name that means standard input.
const STDIN: &str = "-";

/// Lines that are complained of one by one; of more there is the number.
const NAMED_MAX: usize = 200;

/// Records that are worked on at a time: a server is waited for once per so many, and has time for others.
const AT_ONCE: usize = 8;

pub(super) const EXIT_CODES: &str = "\
Exit codes:
   0  each row is in the store now
  65  none is; or the file cannot be used, and nothing was done
  75  those that are not may be, later: run the same again
  79  some are, others are refused: see the result file
After a crash, or Ctrl-C, run the same again: what is done is not done again.";

/// The columns of a result file.
const RESULTS: [&str; 5] = ["line", "name", "outcome", "cause", "secret"];

/// Where rows come from, and what is to become of them.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Source {
    /// Say what would be done, and of each row that is refused why, and do nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Write down here what became of each row. Without it: the file's name with `.result.csv` behind it.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    result: Option<PathBuf>,
}

/// A row and what becomes of it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) line: u64,
    /// Whose it is, for people.
    pub(super) name: String,
    pub(super) outcome: Outcome,
}

/// Rows that are about one record, and are written in one go.
#[derive(Debug)]
pub(super) struct Planned<W> {
    pub(super) rows: Vec<Row>,
    /// `None` where nothing is to be written.
    pub(super) write: Option<W>,
}

/// Whether that means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
}

/// All of the file of that name.
///
/// # Errors
/// If it is none.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if is_stdin(path) {
        return csv_file::read(std::io::stdin().lock(), &"standard input");
    }
    csv_file::read(open(path)?, &path.display())
}

/// Refuses a file with `what` in it that others than its owner can read.
///
/// # Errors
/// If it is such a file, or none.
pub(super) fn check_private(path: &Path, what: &str) -> Result<(), Failure> {
    if is_stdin(path) {
        return Ok(());
    }
    let failed = |error| Failure::new(exit::NOT_FOUND, format!("cannot read {}: {error}", path.display()));
    let metadata = open(path)?.metadata().map_err(failed)?;
    store::check_private(path, &metadata)
        .map_err(|error| Failure::new(exit::DENIED, format!("{error}; whoever could read it has the {what} in it")))
}

fn open(path: &Path) -> Result<File, Failure> {
    let failed = |why: String| Failure::new(exit::NOT_FOUND, format!("cannot read {}: {why}", path.display()));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    // Before anybody is told to change its mode.
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(failed("it is a folder".to_owned())),
        _ => Ok(file),
    }
}

/// The rows, if no line of the file is bad.
///
/// # Errors
/// If one is, or there are none. Each bad line is told.
pub(super) fn all_usable<R>(path: &Path, rows: Vec<R>, bad: &[(u64, String)]) -> Result<Vec<R>, Failure> {
    for (line, why) in bad.iter().take(NAMED_MAX) {
        output::note(format!("locum: {}:{line}: {why}", path.display()));
    }
    if bad.len() > NAMED_MAX {
        output::note(format!("locum: and {} more", bad.len() - NAMED_MAX));
    }
    let why = match (bad.len(), rows.len()) {
        (0, 0) => "has no rows".to_owned(),
        (0, _) => return Ok(rows),
        (1, _) => "has a line that cannot be used; nothing was done".to_owned(),
        (count, _) => format!("has {count} lines that cannot be used; nothing was done"),
    };
    Err(Failure::new(exit::DATA, format!("{} {why}", path.display())))
}

/// What is said where there is no name for a result file.
pub(super) fn result_is_needed() -> Failure {
    Failure::new(exit::USAGE, "say with --result FILE where to write down what became of each row")
}

/// The result file of an import from `file`.
///
/// # Errors
/// See [`Results::create`].
pub(super) fn results(file: &Path, named: Option<&Path>, header: &[&str]) -> Result<Results, Failure> {
    let input = (!is_stdin(file)).then_some(file);
    let result = named.map_or_else(
        || {
            let mut name = file.as_os_str().to_owned();
            name.push(".result.csv");
            name.into()
        },
        Path::to_owned,
    );
    Results::create(&result, input, header)
}

impl Source {
    /// Looks at all that is wanted, then writes it: what `check` says of a record, by `write`. `what` the rows are of, in
    /// the plural.
    ///
    /// # Errors
    /// Unless all rows are in the store afterwards.
    pub(super) async fn import<G, W>(
        &self,
        file: &Path,
        what: &'static str,
        groups: Vec<G>,
        check: impl AsyncFn(G) -> Result<Planned<W>, DirectoryError>,
        write: impl AsyncFn(W) -> Result<(), DirectoryError>,
    ) -> Result<()> {
        if is_stdin(file) && self.result.is_none() && !self.dry_run {
            return Err(result_is_needed().into());
        }
        let (mut plan, total) = (Vec::new(), groups.len());
        let mut progress = Progress::begin("looked up");
        let mut checks = stream::iter(groups.into_iter().map(|group| check(group))).buffered(AT_ONCE);
        while let Some(planned) = checks.next().await {
            plan.push(planned?);
            progress.show(plan.len(), total);
        }
        progress.end();
        if self.dry_run {
            let mut tally = Tally::new(what);
            plan.into_iter().flat_map(|planned| planned.rows).for_each(|row| tally.count(row));
            return tally.foreseen();
        }
        let results = results(file, self.result.as_deref(), &RESULTS)?;
        write_all(plan, what, results, write).await
    }
}

async fn write_all<W>(
    plan: Vec<Planned<W>>,
    what: &'static str,
    mut results: Results,
    write: impl AsyncFn(W) -> Result<(), DirectoryError>,
) -> Result<()> {
    let mut signals = stop_signals()?;
    let stop = CancellationToken::new();
    let total = plan.iter().map(|planned| planned.rows.len()).sum();
    let (mut tally, mut progress, mut lost) = (Tally::new(what), Progress::begin(what), None);
    let mut work = stream::iter(plan.into_iter().map(|planned| done(planned, &write, &stop))).buffered(AT_ONCE);
    loop {
        let rows = tokio::select! {
            rows = work.next() => rows,
            () = told_to_stop(&mut signals), if !stop.is_cancelled() => {
                output::note("locum: no more rows are begun, as asked");
                stop.cancel();
                continue;
            }
        };
        let Some(rows) = rows else { break };
        for row in rows {
            // What was not tried, nor can be told of any more, is what the next run is for.
            if matches!(&row.outcome, Outcome::Failed { passes: true, .. }) {
                stop.cancel();
            }
            if let Err(error) = results.write(&row.fields().each_ref().map(String::as_str))
                && lost.is_none()
            {
                lost = Some(error);
                stop.cancel();
            }
            tally.count(row);
            progress.show(tally.done_with(), total);
        }
    }
    progress.end();
    tally.tell(results.path());
    if let Some(error) = lost {
        let message = format!(
            "{} could not be written to its end: {error}; what was done is done: run the same again for a whole one",
            results.path().display()
        );
        return Err(Failure::new(exit::IO_ERROR, message).into());
    }
    tally.conclude()
}

/// Writes what is planned, and says what became of its rows.
async fn done<W>(
    planned: Planned<W>,
    write: &impl AsyncFn(W) -> Result<(), DirectoryError>,
    stop: &CancellationToken,
) -> Vec<Row> {
    let Planned { mut rows, write: wanted } = planned;
    let failed = match wanted {
        None => None,
        Some(_) if stop.is_cancelled() => Some(Outcome::NotTried),
        Some(wanted) => match write(wanted).await {
            Ok(()) => None,
            Err(error) => Some(Outcome::Failed { cause: error.to_string(), passes: error.is_transient() }),
        },
    };
    if let Some(failed) = failed {
        let hoped = rows.iter_mut().filter(|row| matches!(row.outcome, Outcome::Added { .. }));
        hoped.for_each(|row| row.outcome = failed.clone());
    }
    rows
}

impl Row {
    fn fields(&self) -> [String; RESULTS.len()] {
        let id = if let Outcome::Added { id: Some(id) } = &self.outcome { id.clone() } else { String::new() };
        let outcome = self.outcome.name().to_owned();
        [self.line.to_string(), self.name.clone(), outcome, self.outcome.cause().to_owned(), id]
    }
}
