//! What this process counts, and how it is told to whoever collects it.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tokio_util::sync::CancellationToken;

/// Upper bounds of what is counted in seconds: from a read that a server has at hand to a client that waited at a gate.
const SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// How often single observations are put into their buckets. They take memory until then, whether anybody asks or not.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Which Locum it is; always 1. Labels `version`, `legacy_tls`.
const BUILD: &str = "locum_build_info";

/// Tasks of the runtime.
const TASKS: &str = "locum_tasks";

/// What this process counted, from when it was first asked for: a process that nobody asks counts nothing.
#[derive(Debug, Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: Collector,
}

/// What this process counted. The same for all who ask.
pub fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    let metrics = METRICS.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS).expect("there are buckets");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Refused if there is another one. That one counts then; nothing here installs any.
        let _ = metrics::set_global_recorder(recorder);
        let process = Collector::default();
        process.describe();
        metrics::describe_gauge!(BUILD, "Which Locum it is; always 1.");
        metrics::describe_gauge!(TASKS, "Tasks of the runtime that are alive.");
        let legacy_tls = if cfg!(feature = "legacy-tls") { "yes" } else { "no" };
        metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION"), "legacy_tls" => legacy_tls).set(1.0);
        Metrics { handle, process }
    });
    metrics.clone()
}

impl Metrics {
    /// In the text format of Prometheus, with what the system and the runtime say of the process now.
    pub fn render(&self) -> String {
        self.process.collect();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            metrics::gauge!(TASKS).set(runtime.metrics().num_alive_tasks() as f64);
        }
        self.handle.render()
    }

    /// Keeps what was counted small, until `stop`.
    pub async fn keep_small(&self, stop: CancellationToken) {
        let upkeep = async {
            loop {
                tokio::time::sleep(UPKEEP_INTERVAL).await;
                self.handle.run_upkeep();
            }
        };
        let _: Option<()> = stop.run_until_cancelled(upkeep).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_ask_see_the_same_numbers() {
        let (first, second) = (metrics(), metrics());
        metrics::counter!("telemetry_test_total").increment(2);
        metrics::histogram!("telemetry_test_seconds").record(0.002);
        assert!(first.render().contains("telemetry_test_total 2"));
        assert!(second.render().contains("telemetry_test_seconds_bucket{le=\"0.0025\"} 1"), "{}", second.render());
    }

    #[test]
    fn the_process_says_how_it_is() {
        let said = metrics().render();
        for name in ["process_resident_memory_bytes ", "process_open_fds ", "process_start_time_seconds "] {
            assert!(said.contains(name), "{name}: {said}");
        }
        assert!(said.contains(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"")), "{said}");
    }
}
