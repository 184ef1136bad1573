//! The log and the metrics. One place decides where they go, and what of other crates may be in the log. It must never let
//! a library log what it carries.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing::{Dispatch, Metadata};
use tracing_subscriber::filter::{LevelFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Registry};

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

/// Starts the log of this process, on standard error. With `keep_audit`, for where no file has the audit, its events are
/// in the log whatever the level: a log of warnings alone must not lose who logged in.
///
/// # Errors
/// See [`StartError`].
pub fn start(options: &Options, keep_audit: bool) -> Result<(), StartError> {
    let has_colours = std::io::stderr().is_terminal();
    let (log, handle) = log(options, keep_audit, has_colours, std::io::stderr)?;
    log.try_init()?;
    let _ = FILTER.set(handle); // there is none yet: a second log was refused
    Ok(())
}

/// What the log of this process is filtered by.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Logs by other directives from now on. The form of the log stays.
///
/// # Errors
/// If `tracing` does not take them; then nothing has changed.
pub fn change(options: &Options, keep_audit: bool) -> Result<(), StartError> {
    let filter = filter(options, keep_audit)?;
    if let Some(handle) = FILTER.get() {
        let _ = handle.reload(filter); // refused only where the log is gone, as at the end of the process
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

fn log(
    options: &Options,
    keep_audit: bool,
    has_colours: bool,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
) -> Result<(Dispatch, Handle<EnvFilter, Registry>), ParseError> {
    let (filter, handle) = reload::Layer::new(filter(options, keep_audit)?);
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(may_be_logged));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let log = match options.format {
        LogFormat::Text => registry.with(lines.with_ansi(has_colours)).into(),
        LogFormat::Json => registry.with(lines.json()).into(),
    };
    Ok((log, handle))
}

/// Whether [`CAPPED`] lets it pass. Directives are no place for this: a later one of the operator's would override it.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    CAPPED.iter().all(|(capped, most)| library != *capped || metadata.level() <= most)
}

/// Upper bounds of what is counted in seconds: from a read that a server has at hand to a request that times out.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// How often single observations are put into their buckets. They take memory until then, whether anybody asks or not.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What this process counted, from when it was first asked for: a process that nobody asks counts nothing.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

/// What this process counted. The same for all who ask.
pub fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    let metrics = METRICS.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS).expect("there are buckets");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Refused if there is another one. That one counts then; nothing here installs any.
        let _ = metrics::set_global_recorder(recorder);
        Metrics(handle)
    });
    metrics.clone()
}

impl Metrics {
    /// In the text format of Prometheus.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps what was counted small, until `stop`.
    pub async fn keep_small(&self, stop: CancellationToken) {
        let upkeep = async {
            loop {
                tokio::time::sleep(UPKEEP_INTERVAL).await;
                self.0.run_upkeep();
            }
        };
        let _: Option<()> = stop.run_until_cancelled(upkeep).await;
    }
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
        let options = Options { log: directives.to_owned(), format };
        let (log, _) = log(&options, true, false, move || writer.clone()).unwrap();
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

    #[test]
    fn all_who_ask_see_the_same_numbers() {
        let (first, second) = (metrics(), metrics());
        metrics::counter!("telemetry_test_total").increment(2);
        metrics::histogram!("telemetry_test_seconds").record(0.002);
        assert!(first.render().contains("telemetry_test_total 2"));
        assert!(second.render().contains("telemetry_test_seconds_bucket{le=\"0.0025\"} 1"), "{}", second.render());
    }
}
