//! `locum store …`: the store as a whole. None of its verbs takes anything away from the store that it works on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::exit::{self, Failure};
use super::output;
use super::progress::Progress;
use crate::config::Config;
use crate::model::RecordId;
use crate::store::migrate::{self, Tally};
use crate::store::sqlite::{self, Rekeyed};
use crate::store::{self, KeySource, Options, Store};

/// Records that are named one by one; of more there is the number.
const NAMED_MAX: usize = 20;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Copy all records to the store of another configuration, and compare each. Nothing is removed from this one. A run
    /// that was interrupted is simply run again.
    Migrate(Migrate),
    /// Copy the store to a new file, while it is in use.
    Backup(Backup),
    /// Give the store another key. What runs goes on; the old key is of no more use but for old backups.
    Rekey(Rekey),
}

#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// The configuration that names the store to copy to.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Overwrite records that have another content there.
    #[arg(long)]
    replace: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    /// The file to make. Nothing is ever overwritten.
    file: PathBuf,
    /// Seal the copy with the key in this file, which is made if it is missing. Without it the copy has the key of the
    /// store.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Rekey {
    /// The file with the new key; made if it is missing.
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// The systemd credential with the new key.
    #[arg(long, value_name = "NAME")]
    new_key_credential: Option<String>,
    /// The environment variable with the new key.
    #[arg(long, value_name = "NAME")]
    new_key_environment: Option<String>,
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    let config = Config::load(path)?;
    match command {
        Command::Migrate(arguments) => migrate(&config, &arguments).await,
        Command::Backup(arguments) => backup(&config, &arguments).await,
        Command::Rekey(arguments) => rekey(path, &config, arguments).await,
    }
}

async fn migrate(config: &Config, arguments: &Migrate) -> Result<()> {
    let other = Config::load(&arguments.to)?;
    if config.store == other.store {
        let message = format!("{} names the same store: there is nothing to copy", arguments.to.display());
        return Err(Failure::new(exit::USAGE, message).into());
    }
    let (from, to) = (store::open(&config.store).await?, store::open(&other.store).await?);
    let options = migrate::Options { replace: arguments.replace, dry_run: arguments.dry_run };
    let tally = copy(&*from, &*to, options).await?;
    let Tally { total, copied, replaced, same, .. } = &tally;
    output::line(if options.dry_run {
        format!("{total} records: {copied} to copy, {replaced} to replace, {same} there already; nothing was written")
    } else {
        format!("{total} records: {copied} copied, {replaced} replaced, {same} there already; each was compared")
    });
    if !tally.only_there.is_empty() {
        let count = tally.only_there.len();
        output::note(format!(
            "{count} records are in that store alone and stay there; remove those that were removed here:"
        ));
        name_some(&tally.only_there);
    }
    tell_of_trouble(&tally)
}

async fn backup(config: &Config, arguments: &Backup) -> Result<()> {
    let file = &arguments.file;
    if file.symlink_metadata().is_ok() {
        let message = format!("{} exists already and is left as it is: name another path", file.display());
        return Err(Failure::new(exit::CANNOT_CREATE, message).into());
    }
    // Under this name until it is whole: half a backup must not be taken for one.
    let mut partial = file.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let tally = match (&config.store, &arguments.key_file) {
        (Options::Sqlite(options), None) => same_key(options, &partial).await?,
        (store, Some(key)) => other_key(store, key, &partial).await?,
        (Options::Vault(_) | Options::Memory, None) => {
            let message = "the backup of this store is a sealed file, which needs a key of its own: name it with \
                           --key-file FILE; it is made if it is missing";
            return Err(Failure::new(exit::USAGE, message).into());
        }
    };
    sqlite::publish(&partial, file).await?;
    let count = tally.copied + tally.same;
    output::line(format!("{}: made, {count} records; each opens", file.display()));
    tell_of_trouble(&tally)
}

/// The file as it is, and a look at every record of the copy.
async fn same_key(options: &sqlite::Options, to: &Path) -> Result<Tally> {
    sqlite::back_up(options, to).await?;
    let copied = Options::Sqlite(sqlite::Options { path: to.to_owned(), key: options.key.clone() });
    let looked_at = async {
        let copied = store::open(&copied).await?;
        // Onto itself: every record is read, and nothing written.
        copy(&*copied, &*copied, migrate::Options { dry_run: true, replace: false }).await
    };
    let tally = looked_at.await.inspect_err(|_| discard(to))?;
    output::note(format!("it opens with {}, as the store does; keep that elsewhere", options.key));
    Ok(tally)
}

/// Each record, in a new store.
async fn other_key(options: &Options, key: &Path, to: &Path) -> Result<Tally> {
    let from = store::open(options).await?;
    make_key(key)?;
    let key = KeySource::File(key.to_owned());
    let target = store::create(&Options::Sqlite(sqlite::Options { path: to.to_owned(), key })).await?;
    let copied = copy(&*from, &*target, migrate::Options::default()).await;
    drop(target); // closed, it is one tidy file
    copied.inspect_err(|_| discard(to))
}

async fn rekey(path: &Path, config: &Config, arguments: Rekey) -> Result<()> {
    let Options::Sqlite(options) = &config.store else {
        let message = "this store is not sealed by Locum but by its server: there it is `bao operator rotate-keys` or \
                       `vault operator rekey` that changes the keys";
        return Err(Failure::new(exit::USAGE, message).into());
    };
    let (new, setting) = new_key(arguments)?;
    let (sealed_with, file) = (format!("{}: sealed with", options.path.display()), path.display());
    match sqlite::rekey(options, &new).await? {
        Rekeyed::Changed { old, new: id } => {
            output::line(format!("{sealed_with} {new} ({id})"));
            output::note(format!("backups from before open with the key {old} alone: keep it for as long as them"));
        }
        Rekeyed::Already { key } => output::line(format!("{sealed_with} {new} ({key}) already")),
    }
    if options.key != new {
        output::note(format!(
            "what runs goes on; before anything starts again, the only key in [store] of {file} must be: {setting}"
        ));
    }
    Ok(())
}

/// Where the new key is, made if that is asked for, and the setting that says so.
fn new_key(arguments: Rekey) -> Result<(KeySource, String)> {
    let Rekey { new_key_file, new_key_credential, new_key_environment } = arguments;
    if let Some(path) = new_key_file {
        // The configuration is read from other folders, too.
        let path = std::path::absolute(&path)?;
        make_key(&path)?;
        let setting = format!("key-file = {:?}", path.display().to_string());
        return Ok((KeySource::File(path), setting));
    }
    if let Some(name) = new_key_credential {
        let setting = format!("key-credential = {name:?}");
        return Ok((KeySource::Credential(name), setting));
    }
    let name = new_key_environment.unwrap_or_default(); // one of the three is there
    let setting = format!("key-environment = {name:?}");
    Ok((KeySource::Environment(name), setting))
}

fn make_key(path: &Path) -> Result<()> {
    if !path.exists() {
        store::generate_key_file(path)?;
        output::note(format!("{}: made; without it nothing opens, so keep a copy elsewhere", path.display()));
    }
    Ok(())
}

/// A file that did not become what it should. What led to that is the error to tell of.
fn discard(path: &Path) {
    let _ = fs::remove_file(path);
}

/// Copies, and shows how far it has come.
async fn copy(from: &dyn Store, to: &dyn Store, options: migrate::Options) -> Result<Tally> {
    let mut progress = Progress::begin("records");
    let tally = migrate::run(from, to, options, |tally| progress.show(tally.done(), tally.total)).await;
    progress.end();
    tally.map_err(|error| {
        if progress.total > 0 {
            output::note(format!("{} of {} records were done; run it again to go on", progress.done, progress.total));
        }
        error.into()
    })
}

/// What is not as it should be, and an error if anything is.
fn tell_of_trouble(tally: &Tally) -> Result<()> {
    for error in tally.failed.iter().take(NAMED_MAX) {
        output::note(format!("locum: {error}"));
    }
    if !tally.conflicts.is_empty() {
        let count = tally.conflicts.len();
        output::note(format!("{count} records have another content there and keep it, unless --replace is given:"));
        name_some(&tally.conflicts);
    }
    if tally.is_complete() {
        return Ok(());
    }
    let (failed, kept) = (tally.failed.len(), tally.conflicts.len());
    let message = format!("not all records are there: {failed} failed, {kept} have another content");
    Err(Failure::new(exit::DATA, message).into())
}

fn name_some(ids: &[RecordId]) {
    for id in ids.iter().take(NAMED_MAX) {
        output::note(format!("  {id}"));
    }
    if ids.len() > NAMED_MAX {
        output::note(format!("  and {} more", ids.len() - NAMED_MAX));
    }
}
