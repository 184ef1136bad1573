//! The servers of one cluster: which of them is asked, and with which token. It must never send the token anywhere but to
//! the configured addresses, nor wait for a silent server where another one would answer.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::Url;
use rustify::clients::reqwest::Client as HttpClient;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use vaultrs::api::{self, EndpointMiddleware};
use vaultrs::client::{VaultClient, VaultClientSettings};
use vaultrs::error::ClientError;

use super::super::OpenError;
use super::Options;
use super::failure::Failure;
use super::http::Clients;
use super::requests::Plain;
use crate::model::Secret;

/// A server that has said nothing for so long gets company: the next one is asked, too, and the first answer counts.
const HEDGE_AFTER: Duration = Duration::from_millis(300);

/// A look at the feed: made often, and what it is answered is no secret.
pub(super) const READ_FEED: &str = "read_feed";

/// The keys of TLS tickets are read: no client waits for it.
pub(super) const READ_TICKETS: &str = "read_tickets";

/// The operation that tells who uses what, or replaces the keys of TLS tickets: no client waits for it.
pub(super) const WRITE_USAGE: &str = "write_usage";

/// A record is written.
pub(super) const WRITE: &str = "write";

/// The time of each request, by operation: a histogram.
const SECONDS: &str = "locum_store_request_seconds";
/// Requests that failed, by operation and cause.
const FAILURES: &str = "locum_store_request_failures_total";

/// Time to find out which server is the active one. Each tells it from what it has in memory.
const FIND_TIMEOUT: Duration = Duration::from_secs(1);

/// Which server may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Any, a standby from what it has.
    Any,
    /// The active one; while there is none nothing is written, and any will do.
    Latest,
    /// The active one alone: what a standby has may be old.
    Active,
}

/// The servers, and the token that they are shown.
pub(super) struct Servers {
    addresses: Vec<Url>,
    /// The one that answered last.
    preferred: AtomicUsize,
    clients: Clients,
    namespace: Option<String>,
    token: ArcSwapOption<Secret>,
}

impl Servers {
    pub(super) fn new(options: &Options) -> Result<Self, OpenError> {
        metrics::describe_histogram!(
            SECONDS,
            metrics::Unit::Seconds,
            "The time of each request to a server of the store"
        );
        metrics::describe_counter!(FAILURES, "Requests to a server of the store that had no success, by cause");
        let parse = |address: &String| {
            Url::parse(address).map_err(|_| OpenError::Setup(format!("{address} is not the address of a server")))
        };
        // The library panics over what no header can hold.
        if options.namespace.as_ref().is_some_and(|name| !name.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(OpenError::Setup("namespace in [store] must be plain ASCII without blanks".into()));
        }
        Ok(Self {
            addresses: options.addresses.iter().map(parse).collect::<Result<_, _>>()?,
            preferred: AtomicUsize::new(0),
            clients: Clients::new(options)?,
            namespace: options.namespace.clone(),
            token: ArcSwapOption::empty(),
        })
    }

    /// The addresses, for people.
    pub(super) fn describe(&self) -> String {
        let addresses = self.addresses.iter().map(|address| address.as_str().trim_end_matches('/'));
        addresses.collect::<Vec<_>>().join(", ")
    }

    /// The token that requests are made with.
    pub(super) fn token(&self) -> Option<Arc<Secret>> {
        self.token.load_full()
    }

    /// Requests from now on are made with this token.
    pub(super) fn set_token(&self, token: Option<Secret>) {
        self.token.store(token.map(Arc::new));
    }

    /// A request that changes nothing: the first good answer counts, from whichever server may give it.
    pub(super) async fn read<T, F, Fut>(&self, reach: Reach, operation: &'static str, request: F) -> Result<T, Failure>
    where
        F: Fn(VaultClient) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        if reach != Reach::Any {
            let outcome = self.read_active(operation, &request).await;
            if reach == Reach::Active || !outcome.as_ref().is_err_and(Failure::is_of_one_server) {
                return outcome;
            }
        }
        let mut order = self.order();
        let mut asked = FuturesUnordered::new();
        let mut failure = Failure::Unreachable("no server is configured".into());
        loop {
            if asked.is_empty() {
                let Some(index) = order.next() else { return Err(failure) };
                asked.push(self.one(index, operation, &request));
            }
            tokio::select! {
                Some((index, outcome)) = asked.next() => match outcome {
                    Err(error) if error.is_of_one_server() => failure = error,
                    outcome => {
                        self.preferred.store(index, Ordering::Relaxed);
                        return outcome;
                    }
                },
                () = sleep(HEDGE_AFTER), if order.len() > 0 => {
                    let index = order.next().expect("it was just seen that there is one");
                    asked.push(self.one(index, operation, &request));
                }
            }
        }
    }

    async fn read_active<T, F, Fut>(&self, operation: &'static str, request: &F) -> Result<T, Failure>
    where
        F: Fn(VaultClient) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        let (index, outcome) = self.one(self.active().await?, operation, request).await;
        if !outcome.as_ref().is_err_and(Failure::is_of_one_server) {
            self.preferred.store(index, Ordering::Relaxed);
        }
        outcome
    }

    /// The server that says that it is the active one. Nobody can be asked in its place: a standby of OpenBao answers reads
    /// from what it has, and hands on none that it can answer, whatever the headers say. One address may be a balancer's
    /// before all servers, and is taken as it is.
    async fn active(&self) -> Result<usize, Failure> {
        if self.addresses.len() == 1 {
            return Ok(0);
        }
        let health = |client| async move { api::exec_with_no_result(&client, Plain::health()).await };
        let asks = (0..self.addresses.len()).map(|index| self.one(index, "health", &health));
        let mut told: FuturesUnordered<_> = asks.collect();
        let find = async {
            while let Some((index, state)) = told.next().await {
                if state.is_ok_and(|state: Value| state["standby"] == false && state["sealed"] == false) {
                    return Some(index);
                }
            }
            None
        };
        timeout(FIND_TIMEOUT, find).await.ok().flatten().ok_or(Failure::NoLeader)
    }

    /// A request that may change something: servers are asked one after the other. A failure that is transient may still
    /// have had its effect.
    pub(super) async fn write<T, F, Fut>(&self, operation: &'static str, request: F) -> Result<T, Failure>
    where
        F: Fn(VaultClient) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        let mut failure = Failure::Unreachable("no server is configured".into());
        for index in self.order() {
            match self.one(index, operation, &request).await {
                (_, Err(error)) if error.is_of_one_server() => failure = error,
                (_, outcome) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return outcome;
                }
            }
        }
        Err(failure)
    }

    async fn one<T, F, Fut>(&self, index: usize, operation: &'static str, request: &F) -> (usize, Result<T, Failure>)
    where
        F: Fn(VaultClient) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        let began = Instant::now();
        let outcome = request(self.client(index, operation)).await.map_err(Failure::from);
        metrics::histogram!(SECONDS, "operation" => operation).record(began.elapsed());
        if let Err(failure) = &outcome {
            metrics::counter!(
                FAILURES,
                "operation" => operation,
                "cause" => failure.word()
            )
            .increment(1);
            tracing::debug!(server = %self.addresses[index], operation, %failure, "a request to the store failed");
        }
        (index, outcome)
    }

    /// All servers, the one that answered last first.
    fn order(&self) -> impl ExactSizeIterator<Item = usize> + use<> {
        let (first, count) = (self.preferred.load(Ordering::Relaxed), self.addresses.len());
        (0..count).map(move |step| (first + step) % count)
    }

    /// The library's client for one request: it holds the token in clear, so it lives no longer than that.
    fn client(&self, index: usize, operation: &str) -> VaultClient {
        let address = &self.addresses[index];
        let http = if operation == READ_FEED { &self.clients.feed } else { &self.clients.records };
        let token = self.token.load();
        // Only text without control characters becomes a token here: the library panics over others.
        let token = token.as_ref().and_then(|token| token.expose_text()).unwrap_or_default();
        VaultClient {
            http: HttpClient::new(address.as_str(), http.clone()),
            middle: EndpointMiddleware {
                token: token.to_owned(),
                version: "v1".to_owned(),
                wrap: None,
                namespace: self.namespace.clone(),
            },
            // None of it is used once the two above are there. Every field is given: the builder of the library would
            // fill what is missing from the environment.
            settings: VaultClientSettings {
                address: address.clone(),
                ca_certs: Vec::new(),
                identity: None,
                timeout: None,
                token: String::new(),
                verify: true,
                version: 1,
                wrapping: false,
                namespace: None,
                proxy: None,
            },
        }
    }
}
