//! The log and the metrics. One place decides where they go, and what of other crates may be in the log. It must never let
//! a library log what it carries.

mod lines;
mod metrics;
mod traces;

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::{Dispatch, Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, reload};

use lines::Lines;
pub use metrics::{Metrics, metrics};
pub use traces::{Carrier, TraceOptions, Traces};

/// How the log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What is logged: a level, or `tracing` directives (`"info,locum::session=debug"`).
    pub log: String,
    /// Its form.
    pub format: LogFormat,
    /// Where spans go, if anywhere.
    pub traces: Option<TraceOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self { log: "info".to_owned(), format: LogFormat::Text, traces: None }
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
    /// There is no thread for it.
    #[error("the log cannot be started: {0}")]
    NoThread(#[from] std::io::Error),
}

/// The target of audit events in the log.
const AUDIT: &str = "locum::audit";

/// Libraries that carry tokens and records, and the most that may be logged of them, whatever the directives say.
const CAPPED: [(&str, LevelFilter); 6] = [
    // They log paths, and whole bodies of answers that they cannot read.
    ("vaultrs", LevelFilter::OFF),
    ("rustify", LevelFilter::OFF),
    // Below this they tell of single reads and writes; no version may come to tell what was in them.
    ("reqwest", LevelFilter::INFO),
    ("hyper", LevelFilter::INFO),
    ("hyper_util", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
];

/// Starts the log of this process, on standard error, and hands out what sends spans on, if the options name a collector. With `keep_audit`, for where no file has the audit, its events are
/// in the log whatever the level: a log of warnings alone must not lose who logged in.
///
/// # Errors
/// See [`StartError`].
pub fn start(options: &Options, keep_audit: bool) -> Result<Option<Traces>, StartError> {
    let has_colours = std::io::stderr().is_terminal();
    let lines = Lines::start(std::io::stderr())?;
    let writer = lines.clone();
    let (log, traces, change) = log(options, keep_audit, has_colours, move || writer.clone())?;
    log.try_init()?;
    let _ = (CHANGE.set(change), LINES.set(lines)); // there are none yet: a second log was refused
    Ok(traces)
}

/// Writes what was logged and is not written yet: for the end of a process.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush();
    }
}

/// The log of this process.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Has the log filtered by other directives.
type Change = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// That of the log of this process.
static CHANGE: OnceLock<Change> = OnceLock::new();

/// Logs by other directives from now on. The form of the log stays.
///
/// # Errors
/// If `tracing` does not take them; then nothing has changed.
pub fn change(options: &Options, keep_audit: bool) -> Result<(), StartError> {
    let filter = filter(options, keep_audit)?;
    if let Some(change) = CHANGE.get() {
        change(filter);
    }
    Ok(())
}

fn filter(options: &Options, keep_audit: bool) -> Result<EnvFilter, ParseError> {
    let filter = EnvFilter::try_new(&options.log)?;
    if keep_audit && !options.log.contains(AUDIT) {
        return Ok(filter.add_directive(format!("{AUDIT}=info").parse()?));
    }
    Ok(filter)
}

/// What makes spans for the collector of those options, and what sends them on.
fn spans<S>(options: &TraceOptions) -> (impl Layer<S> + use<S>, Traces)
where
    S: tracing::Subscriber + for<'s> LookupSpan<'s>,
{
    let (tracer, traces) = Traces::new(options);
    let names = options.names;
    // Whose spans say what: only ours. Events name logins and mailboxes.
    let may_go_out = move |metadata: &Metadata<'_>| {
        let is_ours = metadata.target().split("::").next() == Some("locum");
        is_ours && *metadata.level() <= Level::DEBUG && (names || metadata.is_span())
    };
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    (layer.with_filter(filter_fn(may_go_out)), traces)
}

fn log(
    options: &Options,
    keep_audit: bool,
    has_colours: bool,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
) -> Result<(Dispatch, Option<Traces>, Change), ParseError> {
    let (filter, handle) = reload::Layer::new(filter(options, keep_audit)?);
    // Refused only where the log is gone, as at the end of the process.
    let change = Box::new(move |filter| drop(handle.reload(filter)));
    // Of each layer alone: what is too much for the log may be a span, and the other way round.
    let (spans, traces) = options.traces.as_ref().map(spans).unzip();
    let registry = tracing_subscriber::registry().with(spans);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let log = match options.format {
        LogFormat::Text => {
            registry.with(lines.with_ansi(has_colours).with_filter(filter_fn(may_be_logged)).with_filter(filter)).into()
        }
        LogFormat::Json => registry.with(lines.json().with_filter(filter_fn(may_be_logged)).with_filter(filter)).into(),
    };
    Ok((log, traces, change))
}

/// Whether [`CAPPED`] lets it pass. Directives are no place for this: a later one of the operator's would override it.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    CAPPED.iter().all(|(capped, most)| library != *capped || metadata.level() <= most)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged of some events, by these directives.
    fn logged(directives: &str, format: LogFormat) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let options = Options { log: directives.to_owned(), format, traces: None };
        let (log, ..) = log(&options, true, false, move || writer.clone()).unwrap();
        tracing::dispatcher::with_default(&log, || {
            tracing::error!(target: "vaultrs", "canary");
            tracing::error!(target: "vaultrs::client", "canary");
            tracing::error_span!(target: "rustify::endpoint", "canary").in_scope(|| tracing::error!("ours in a span"));
            tracing::error!(target: "rustify", "canary");
            for target in ["reqwest", "hyper", "hyper_util", "h2"] {
                assert!(CAPPED.contains(&(target, LevelFilter::INFO)));
            }
            tracing::trace!(target: "reqwest::connect::verbose", "canary");
            tracing::debug!(target: "hyper_util::client", "canary");
            tracing::debug!(target: "hyper::proto", "canary");
            tracing::trace!(target: "h2", "canary");
            tracing::warn!(target: "hyper::proto", "a warning");
            tracing::trace!(target: "locum::store", "ours");
            tracing::info!(target: "vaultrs_like", "not theirs");
            tracing::info!(target: "locum::audit", "who");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_directive_makes_a_library_tell_what_it_carries() {
        let all = "trace,vaultrs=trace,vaultrs::client=trace,rustify=trace,rustify::endpoint=trace,\
                   reqwest=trace,reqwest::connect::verbose=trace,hyper=trace,hyper_util=trace,h2=trace";
        for directives in ["trace", all] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let said = logged(directives, format);
                assert!(!said.contains("canary"), "{directives}: {said}");
                for ours in ["ours in a span", "a warning", "ours", "not theirs", "who"] {
                    assert!(said.contains(ours), "{directives}: {said}");
                }
            }
        }
    }

    #[test]
    fn the_audit_is_logged_at_any_level() {
        let said = logged("off", LogFormat::Text);
        assert!(said.contains("who") && said.lines().count() == 1, "{said}");
    }
}
