//! Floor 4: the command line. It reads arguments, calls the use cases, and says what came of it. Secrets come from a
//! prompt, a file or standard input, never from an argument.
//!
//! Results go to standard output, everything else to standard error; exit codes are those of `sysexits.h`.

mod account;
mod audit;
mod check;
mod client;
mod csv_file;
mod csv_out;
mod demo;
mod desk;
mod exit;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod import;
mod init;
mod kinds;
mod list;
mod manual;
mod oauth;
mod operator;
mod output;
mod places;
mod probe;
mod progress;
mod report;
mod rotate;
mod secret_input;
mod serve;
mod session;
mod store;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use crate::app::{self, Problems};
use crate::broker::{Directory, DirectoryError};
use crate::config::{Config, ConfigErrors};
use crate::management::ManagementError;
use crate::model::{wipe_touched_stack, wiping};
use crate::store::StoreError;
use crate::telemetry;

/// A credential broker for mail clients that cannot change.
///
/// Clients log in to Locum with a login and password that it issued; Locum logs in to the provider with the credential
/// that it wants today.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// The configuration. Without it: locum.toml in this folder, or else /etc/locum/locum.toml, where packages put it.
    #[arg(long, global = true, value_name = "FILE", env = "LOCUM_CONFIG", hide_env_values = true)]
    #[arg(default_value_os_t = usual_config(), hide_default_value = true)]
    config: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a configuration, a store with its key, and a certificate to begin with; keep what is there already.
    Init(init::Arguments),
    /// Look for everything that is wrong with the configuration, and the store, keys and certificates it names.
    Check(check::Arguments),
    /// Run the broker until SIGTERM or SIGINT.
    Serve,
    /// Show Locum at work against a look-alike provider on this machine; nothing to set up, nothing left behind.
    Demo(demo::Arguments),
    /// Accounts: mailboxes at a provider, and the credentials for them.
    #[command(subcommand)]
    Account(account::Command),
    /// Clients: login names, their secrets, and the accounts they may act as.
    #[command(subcommand)]
    Client(client::Command),
    /// Log in to mailboxes as clients would, look whether they open, and say what is wrong with those that do not.
    Probe(probe::Arguments),
    /// Rotation: replace a credential at the provider, with no client touched.
    #[command(subcommand)]
    Rotate(rotate::Command),
    /// Reports: how things stand, over all accounts.
    #[command(subcommand)]
    Report(report::Command),
    /// OAuth2: what access tokens are got with, for accounts and for whole domains.
    #[command(subcommand)]
    Oauth(oauth::Command),
    /// Operators: who may sign in to the API and the console, and what they may do there.
    #[command(subcommand)]
    Operator(operator::Command),
    /// Sessions on a running node: who is in, and what is said before login.
    #[command(subcommand)]
    Session(session::Command),
    /// The audit: what happened, and whether all of it is still there.
    #[command(subcommand)]
    Audit(audit::Command),
    /// The store as a whole: move it, back it up, change its key.
    #[command(subcommand)]
    Store(store::Command),
    /// Ask the process that runs with this configuration on this machine whether it is ready: for a container's or a
    /// balancer's own look. The exit code is 0 if it is.
    Health(health::Arguments),
    /// Print what makes a shell complete the words of this command line.
    Completions(manual::Completions),
    /// Print the manual, or write the pages of all commands.
    Man(manual::Pages),
}

/// Where packages put the configuration.
const PACKAGED_CONFIG: &str = "/etc/locum/locum.toml";

/// Who works in a folder with a configuration means that one.
fn usual_config() -> PathBuf {
    let here = PathBuf::from("locum.toml");
    let packaged = PathBuf::from(PACKAGED_CONFIG);
    if !here.exists() && packaged.exists() { packaged } else { here }
}

/// What threads of the runtime have as a stack. Code that is not optimised moves futures through its frames whole, and comes near
/// the usual 2 MiB.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 8 << 20 } else { 2 << 20 };

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print(); // help and version come here, too
            return if error.use_stderr() { ExitCode::from(exit::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    if let Err(error) = app::forbid_core_dumps() {
        output::note(format!("locum: core dumps cannot be forbidden ({error}); a crash could write secrets to disk"));
    }
    // A thread that has nothing to do wipes what secrets its stack still holds.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().thread_stack_size(STACK_BYTES).on_thread_park(wipe_touched_stack).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(format!("locum: cannot start: {error}"));
            return ExitCode::from(exit::OS_ERROR);
        }
    };
    let done = runtime.block_on(wiping(run(arguments)));
    // A name that is still being looked up must not keep us: the resolver cannot be interrupted.
    runtime.shutdown_timeout(Duration::from_secs(1));
    telemetry::flush();
    match (done, output::lost()) {
        (Ok(()), None) => ExitCode::SUCCESS,
        (Ok(()), Some(error)) => {
            output::note(format!("locum: done, but the result could not be written: {error}"));
            ExitCode::from(exit::IO_ERROR)
        }
        (Err(error), _) => {
            report(&error);
            exit::code_of(&error)
        }
    }
}

/// Each problem on a line of its own.
fn report(error: &anyhow::Error) {
    if let Some(errors) = error.downcast_ref::<ConfigErrors>() {
        return output::note(errors); // each begins with file, line and column, as editors want them
    }
    if let Some(problems) = error.downcast_ref::<Problems>() {
        return problems.iter().for_each(|problem| output::note(format!("locum: {problem}")));
    }
    let directory = match error.downcast_ref() {
        Some(ManagementError::Directory(error)) => Some(error),
        _ => error.downcast_ref(),
    };
    if let Some(DirectoryError::Store(StoreError::Conflict { .. })) = directory {
        return output::note("locum: somebody else changed it meanwhile, so nothing was changed here; run it again");
    }
    output::note(format!("locum: {}", app::explain(error.as_ref())));
}

async fn run(arguments: Arguments) -> Result<()> {
    let config = arguments.config.as_path();
    match arguments.command {
        Command::Init(arguments) => init::run(config, &arguments).await,
        Command::Check(arguments) => check::run(config, &arguments).await,
        Command::Serve => serve::run(config).await,
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Account(command) => account::run(config, command).await,
        Command::Client(command) => client::run(config, command).await,
        Command::Probe(arguments) => probe::run(config, &arguments).await,
        Command::Rotate(command) => rotate::run(config, command).await,
        Command::Report(command) => report::run(config, command).await,
        Command::Oauth(command) => oauth::run(config, command).await,
        Command::Operator(command) => operator::run(config, command).await,
        Command::Session(command) => session::run(config, command).await,
        Command::Audit(command) => audit::run(config, command),
        Command::Store(command) => store::run(config, command).await,
        Command::Health(arguments) => health::run(config, &arguments).await,
        Command::Completions(arguments) => manual::completions(Arguments::command(), &arguments),
        Command::Man(arguments) => manual::pages(Arguments::command(), &arguments),
    }
}

/// The configuration, and the records in the store it names, for the verbs that read and write them.
async fn open_directory(config: &Path) -> Result<(Config, Directory)> {
    let config = Config::load(config)?;
    let store = crate::store::open(&config.store).await?;
    Ok((config, Directory::of_operator(store, &author())))
}

/// Who runs this, as it is put down in what they change: a note among colleagues, and no proof.
fn author() -> String {
    const CHARS_MAX: usize = 200;
    let named = ["SUDO_USER", "USER"].into_iter().filter_map(|variable| env::var(variable).ok());
    let user = named.into_iter().find(|name| !name.trim().is_empty());
    let user = user.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string());
    let system = rustix::system::uname();
    let author = format!("{user}@{}", system.nodename().to_string_lossy());
    author.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect()
}
