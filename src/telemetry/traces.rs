//! Spans of logins, for a collector that speaks OTLP over HTTP. Off unless the configuration names one. It must never hold up
//! a login, keep more than so many spans, nor tell a name or a secret: of a span goes out what it was made with, and what is
//! logged within it only if the configuration says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor};
use prost::Message;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Spans that wait to be sent. A login makes seven; beyond these new ones are dropped and counted.
const WAITING_MAX: usize = 4096;

/// Spans in one request: some hundred kilobytes.
const BATCH_MAX: usize = 512;

/// How long spans gather before they are sent.
const GATHER: Duration = Duration::from_secs(1);

/// Time for what is left when the process ends.
const LAST_TIMEOUT: Duration = Duration::from_secs(3);

/// A failing collector is told of in the log once in this time.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// Label `outcome`: `sent`, `failed`, `dropped`.
const SPANS: &str = "locum_trace_spans_total";

/// Where spans go, and what of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceOptions {
    /// The whole URL that is posted to, such as `https://collector.example.com:4318/v1/traces`.
    pub url: String,
    /// A file with headers, `name: value` on each line. It is read anew each time.
    pub headers_file: Option<std::path::PathBuf>,
    /// What this Locum calls itself there.
    pub service_name: String,
    /// Of a hundred sessions so many are told of.
    pub sample_percent: u8,
    /// Whether what is logged within a span goes along, at `debug` and above: it names logins and mailboxes.
    pub names: bool,
}

/// Takes requests to the collector.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Posts one, and comes back with why it was not taken, in words for the operator.
    async fn post(&self, options: &TraceOptions, body: Vec<u8>) -> Result<(), String>;
}

/// Sends spans on, while it runs.
#[derive(Debug)]
pub struct Traces {
    waiting: Receiver<SpanData>,
    dropped: Arc<AtomicU64>,
    resource: ResourceAttributesWithSchema,
    options: TraceOptions,
    /// Spans end for as long as it lives.
    _provider: SdkTracerProvider,
}

/// Takes spans as they end.
#[derive(Debug)]
struct Gatherer {
    waiting: Sender<SpanData>,
    dropped: Arc<AtomicU64>,
}

impl SpanProcessor for Gatherer {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.waiting.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Traces {
    /// What makes spans of that, and what sends them on.
    pub(super) fn new(options: &TraceOptions) -> (SdkTracer, Self) {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        // The environment is not asked for further attributes.
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", options.service_name.clone()),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        let ratio = f64::from(options.sample_percent) / 100.0;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Gatherer { waiting: sender, dropped: Arc::clone(&dropped) })
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_resource(resource.clone())
            .build();
        let (tracer, resource) = (provider.tracer("locum"), ResourceAttributesWithSchema::from(&resource));
        (tracer, Self { waiting, dropped, resource, options: options.clone(), _provider: provider })
    }

    /// Sends spans on until `stop`, and then what is left. A collector that does not answer loses them.
    pub async fn run(mut self, carrier: impl Carrier, stop: CancellationToken) {
        metrics::describe_counter!(
            SPANS,
            "Spans for the collector, by outcome: sent, failed, dropped for want of room."
        );
        let mut said = None;
        loop {
            let mut batch = Vec::new();
            let gathering = async {
                if self.waiting.recv_many(&mut batch, BATCH_MAX).await == 0 {
                    return;
                }
                sleep(GATHER).await;
                while batch.len() < BATCH_MAX
                    && let Ok(span) = self.waiting.try_recv()
                {
                    batch.push(span);
                }
            };
            if stop.run_until_cancelled(gathering).await.is_none() {
                while let Ok(span) = self.waiting.try_recv() {
                    batch.push(span);
                }
                if !batch.is_empty() {
                    let _ = timeout(LAST_TIMEOUT, self.send(batch, &carrier, &mut said)).await; // it ends either way
                }
                return;
            }
            if batch.is_empty() {
                return; // nobody makes spans any more
            }
            self.send(batch, &carrier, &mut said).await;
        }
    }

    async fn send(&self, batch: Vec<SpanData>, carrier: &impl Carrier, said: &mut Option<tokio::time::Instant>) {
        let count = batch.len() as u64;
        metrics::counter!(SPANS, "outcome" => "dropped").increment(self.dropped.swap(0, Ordering::Relaxed));
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let outcome = match carrier.post(&self.options, body).await {
            Ok(()) => "sent",
            Err(why) => {
                let now = tokio::time::Instant::now();
                if said.is_none_or(|said| now.duration_since(said) >= SAID_AGAIN_AFTER) {
                    *said = Some(now);
                    tracing::warn!(why, "the collector of otlp-endpoint does not take spans; they are lost");
                }
                "failed"
            }
        };
        metrics::counter!(SPANS, "outcome" => outcome).increment(count);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use opentelemetry_proto::tonic::trace::v1::Span as Told;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Collector {
        bodies: Arc<Mutex<Vec<Vec<u8>>>>,
        refuses: bool,
    }

    #[async_trait]
    impl Carrier for Collector {
        async fn post(&self, _: &TraceOptions, body: Vec<u8>) -> Result<(), String> {
            self.bodies.lock().unwrap().push(body);
            if self.refuses { Err("it is away".to_owned()) } else { Ok(()) }
        }
    }

    impl Collector {
        fn spans(&self) -> Vec<Told> {
            let bodies = self.bodies.lock().unwrap();
            let requests = bodies.iter().map(|body| ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
            let resources = requests.flat_map(|request| request.resource_spans);
            resources.flat_map(|it| it.scope_spans).flat_map(|it| it.spans).collect()
        }

        fn has(&self, text: &str) -> bool {
            let bodies = self.bodies.lock().unwrap();
            bodies.iter().any(|body| body.windows(text.len()).any(|part| part == text.as_bytes()))
        }
    }

    fn options(names: bool, sample_percent: u8) -> TraceOptions {
        let (url, service_name) = ("https://x.test/v1/traces".to_owned(), "locum.test".to_owned());
        TraceOptions { url, headers_file: None, service_name, sample_percent, names }
    }

    /// A login as the code makes its spans, with what must not go out.
    fn log_in() {
        let session = tracing::info_span!(target: "locum::session", "session", id = 7, listener = "imaps");
        let _session = session.enter();
        tracing::debug_span!(target: "locum::session", "decide").in_scope(|| {
            tracing::debug!(target: "locum::session", login = "alice@x.test", "logged in");
        });
        tracing::error_span!(target: "vaultrs::client", "canary").in_scope(|| {});
        tracing::trace_span!(target: "hyper::proto", "canary").in_scope(|| {});
    }

    async fn told(options: &TraceOptions, refuses: bool) -> Collector {
        let collector = Collector { refuses, ..Collector::default() };
        let (layer, traces) = super::super::spans(options);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, log_in);
        let stop = CancellationToken::new();
        stop.cancel();
        timeout(Duration::from_secs(20), traces.run(collector.clone(), stop)).await.unwrap();
        collector
    }

    #[tokio::test]
    async fn the_spans_of_a_login_arrive_without_a_name_and_without_what_libraries_carry() {
        let collector = told(&options(false, 100), false).await;
        let spans = collector.spans();
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["decide", "session"]);
        assert_eq!(spans[0].parent_span_id, spans[1].span_id);
        assert_eq!(spans[0].trace_id, spans[1].trace_id);
        assert!(collector.has("locum.test") && collector.has("imaps"));
        assert!(!collector.has("alice@x.test") && !collector.has("canary"));
    }

    #[tokio::test]
    async fn names_go_out_where_the_configuration_says_so() {
        let collector = told(&options(true, 100), false).await;
        assert!(collector.has("alice@x.test") && !collector.has("canary"));
    }

    #[tokio::test]
    async fn none_of_a_hundred_is_none_and_a_collector_that_refuses_is_left_alone() {
        assert_eq!(told(&options(true, 0), false).await.spans().len(), 0);
        assert_eq!(told(&options(true, 100), true).await.bodies.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let (layer, traces) = super::super::spans(&options(false, 100));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || (0..WAITING_MAX).for_each(|_| log_in()));
        assert_eq!(traces.waiting.len(), WAITING_MAX);
        assert_eq!(traces.dropped.load(Ordering::Relaxed), WAITING_MAX as u64);
    }
}
