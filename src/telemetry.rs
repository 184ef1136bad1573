//! The log. One place decides where it goes and what of other crates may be in it.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How the log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What is logged: a level, or `tracing` directives (`"info,locum::session=debug"`).
    pub log: String,
    /// Its form.
    pub format: LogFormat,
}

impl Default for Options {
    fn default() -> Self {
        Self { log: "info".to_owned(), format: LogFormat::Text }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors: one JSON object a line.
    Json,
}

/// The log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directives are not what `tracing` takes.
    #[error("the log directives are wrong: {0}")]
    Directives(#[from] ParseError),
    /// There is a log already.
    #[error(transparent)]
    Twice(#[from] TryInitError),
}

/// The target of audit events in the log.
const AUDIT: &str = "locum::audit";

/// Starts the log of this process, on standard error. With `keep_audit`, for where no file has the audit, its events are
/// in the log whatever the level: a log of warnings alone must not lose who logged in.
///
/// # Errors
/// See [`StartError`].
pub fn start(options: &Options, keep_audit: bool) -> Result<(), StartError> {
    let mut filter = EnvFilter::try_new(&options.log)?;
    if keep_audit && !options.log.contains(AUDIT) {
        filter = filter.add_directive(format!("{AUDIT}=info").parse()?);
    }
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match options.format {
        LogFormat::Text => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init()?,
        LogFormat::Json => registry.with(lines.json()).try_init()?,
    }
    Ok(())
}
