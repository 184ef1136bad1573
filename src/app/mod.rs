//! Floor 4: the process. Config in, everything built and bound, then running until it is told to stop. Nothing else
//! spawns tasks.

mod keeping;
mod limits;
mod problems;
mod watching;
mod webhook;
mod windows;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{self, Admin, Auth, Office, Peer, Phase, Reload, Stage, Watched, WatchedStore};
use crate::audit::Audit;
use crate::broker::{self, Broker, Directory, client_secret};
use crate::config::Config;
use crate::credential::oauth2::Tokens;
use crate::enrolment::Enrolment;
use crate::management::Desk;
use crate::model::{Mark, Profile, Protocol, Recognition};
use crate::net::{self, HttpOptions, Https, LegacyTls, accept_loop, tls};
use crate::rotation::{Rotation, SeenWriter, UsageWriter};
use crate::session::{Listener, ListenerOptions, ListenerTls, Sessions};
use crate::store::{self, Health, News, OpenError, Upkeep};
use crate::telemetry::{self, Metrics};
use crate::upstream::Upstreams;
use crate::usage::{Ledger, Visitors};

use keeping::Keeping;
pub use limits::forbid_core_dumps;
pub use problems::Problems;
pub(crate) use problems::{explain, note, note_all};
pub use webhook::Webhook;
pub(crate) use windows::ends_of_windows;
pub use windows::windows;

/// Time that the first probes of upstreams may take before clients are served: what is offered to the first client
/// should be true, but a dead upstream must not hold up the others.
const FIRST_PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a node is called in what it changes.
const NODE: &str = "locum";

/// Time that sessions have to notice that they are over.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The process, ready to run.
#[derive(Debug)]
pub struct App {
    listeners: Vec<(Arc<Listener>, Vec<TcpListener>)>,
    sessions: Arc<Sessions>,
    live: TaskTracker,
    upstreams: Arc<Upstreams>,
    news: News,
    upkeep: Upkeep,
    tokens: Arc<Tokens>,
    usage: UsageWriter,
    seen: SeenWriter,
    keeping: Keeping,
    admin: Option<Face>,
    stage: watch::Sender<Stage>,
    sessions_max: usize,
    drain_timeout: Duration,
    drain: CancellationToken,
    kill: CancellationToken,
}

/// Where the process says how it is.
#[derive(Debug)]
struct Face {
    sockets: Vec<TcpListener>,
    admin: Arc<Admin>,
    metrics: Metrics,
}

impl App {
    /// Opens the store, reads certificates, binds every address.
    ///
    /// # Errors
    /// All [`Problems`] found.
    pub async fn build(config: Config) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let opened = store::serve(&config.store).await;
        let passes = opened.as_ref().is_err_and(OpenError::is_transient);
        let served = note(&mut problems, opened);
        let audit = note(&mut problems, Audit::open(&config.audit));
        let client_tls = note_all(&mut problems, tls::client_config(&config.tls));
        let https = client_tls.as_ref().and_then(|tls| note(&mut problems, Https::new(tls, HttpOptions::default())));
        let listeners = bind_all(&config, &mut problems);
        let admin_sockets = bind_each("admin", &config.admin.bind, &mut problems);
        let node = note(&mut problems, client_secret::random_id());
        limits::check_descriptors(config.session.sessions_max, &mut problems);
        Problems::none_in(problems, passes)?;
        if let Some(warning) = tls::name_warning(&config.tls, &config.name) {
            tracing::warn!("{warning}");
        }
        for window in windows(&config, Timestamp::now()) {
            tracing::warn!("{window}");
        }
        warn_of_recognitions(&config);
        let ready = served.zip(audit).zip(client_tls.zip(https)).zip(node);
        let (((served, audit), (client_tls, https)), node) = ready.expect("what is missing left a problem");

        let live = TaskTracker::new();
        let (stage, stage_watched) = watch::channel(Stage::from(Phase::Starting));
        let (drain, kill) = (CancellationToken::new(), CancellationToken::new());
        let classes = config.upstream.classes.keys().cloned().collect();
        let upstreams = Arc::new(Upstreams::new(client_tls, config.upstream));
        let directory = Directory::new(Arc::clone(&served.store));
        let tokens = Arc::new(broker::tokens(directory.clone(), https.clone(), config.tokens));
        let ledger = Ledger::default();
        let usage =
            UsageWriter::new(directory.clone(), ledger.clone(), node, &host_name(), config.rotation.usage.clone());
        let visitors = Visitors::default();
        let seen = SeenWriter::new(directory.clone(), visitors.clone(), config.rotation.seen.clone());
        // What is to be changed is read as of the last write.
        let latest = Directory::of_operator(served.store, NODE);
        let enrolment = Enrolment::new(latest.clone(), audit.clone());
        let profiles = Arc::new(config.upstreams.clone());
        let broker = Broker::new(directory, Arc::clone(&tokens), config.upstreams, audit.clone(), config.broker);
        let broker = Arc::new(broker);
        let desk = Desk {
            directory: latest.clone(),
            profiles,
            listeners: config.listeners.iter().map(|listener| listener.name.clone()).collect(),
            classes,
            windows: ends_of_windows(&config.listeners),
            broker: Arc::clone(&broker),
            upstreams: Arc::clone(&upstreams),
            tokens: Arc::clone(&tokens),
            https: https.clone(),
            audit: audit.clone(),
            options: config.rotation.clone(),
            author: NODE.into(),
        };
        let webhook = config.rotation.webhook.clone().map(|options| (https, options));
        let rotation =
            Rotation::new(latest, Arc::clone(&broker), Arc::clone(&upstreams), audit.clone(), NODE, config.rotation);
        let keeping = Keeping::new(rotation, ledger.clone(), audit.clone(), webhook, &config.name);
        let (sessions_max, drain_timeout) = (config.session.sessions_max, config.session.drain_timeout);
        let sessions = Sessions::new(
            config.name,
            config.session,
            broker,
            Arc::clone(&upstreams),
            audit,
            drain.clone(),
            kill.clone(),
        );
        let sessions = Arc::new(sessions.counted_in(ledger).seen_by(visitors).enrolling(enrolment));
        let watched = watched(stage_watched, watched_store(&config.store, served.health), &live);
        let admin = face(admin_sockets, watched, desk, &sessions);
        let (news, upkeep) = (served.news, served.upkeep);
        Ok(Self {
            listeners,
            sessions,
            live,
            upstreams,
            news,
            upkeep,
            tokens,
            usage,
            seen,
            keeping,
            admin,
            stage,
            sessions_max,
            drain_timeout,
            drain,
            kill,
        })
    }

    /// Each listener's name and the addresses that it is bound to; the admin listener is called "admin".
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        let listeners = self.listeners.iter().map(|(listener, sockets)| (listener.options.name.as_str(), sockets));
        let admin = self.admin.iter().map(|face| ("admin", &face.sockets));
        let bound = |(name, sockets): (&str, &Vec<TcpListener>)| {
            let addresses = sockets.iter().filter_map(|socket| socket.local_addr().ok());
            addresses.map(|address| (name.to_owned(), address)).collect::<Vec<_>>()
        };
        listeners.chain(admin).flat_map(bound).collect()
    }

    /// The upstreams and protocols of which clients are told before login what they offer. IMAP tells it after.
    fn served(&self) -> Vec<(Arc<Profile>, Protocol)> {
        let all = self.listeners.iter().flat_map(|(listener, _)| {
            let protocol = listener.options.protocol;
            listener.profiles.iter().map(move |profile| (profile.name.clone(), protocol, Arc::clone(profile)))
        });
        let once: BTreeMap<(String, Protocol), Arc<Profile>> = all
            .filter(|(_, protocol, _)| *protocol != Protocol::Imap)
            .map(|(name, protocol, profile)| ((name, protocol), profile))
            .collect();
        once.into_iter().map(|((_, protocol), profile)| (profile, protocol)).collect()
    }

    /// Serves until `stop` is cancelled, then drains: no new clients, a goodbye to those that have not logged in, and
    /// time for the others to end by themselves.
    pub async fn run(self, stop: CancellationToken) {
        let served = self.served();
        let background = spawn_background(self.upkeep, self.tokens, (self.usage, self.seen), self.admin, &self.kill);
        background.spawn(watching::watch(Arc::clone(&self.sessions), self.news, self.kill.clone()));
        self.keeping.spawn(&background, &self.drain, &self.kill);
        let probing = tokio::time::timeout(FIRST_PROBE_TIMEOUT, self.upstreams.probe_all(&served));
        let _ = stop.run_until_cancelled(probing).await; // late or not, what is known by then is offered

        let tasks = TaskTracker::new();
        let (upstreams, drain) = (Arc::clone(&self.upstreams), self.drain.clone());
        tasks.spawn(async move { upstreams.keep_probing(&served, drain).await });
        let permits = Arc::new(Semaphore::new(self.sessions_max));
        for (listener, sockets) in self.listeners {
            for socket in sockets {
                let (listener, sessions, live) = (Arc::clone(&listener), Arc::clone(&self.sessions), self.live.clone());
                tasks.spawn(accept_loop(
                    socket,
                    Arc::clone(&permits),
                    self.drain.clone(),
                    move |stream, peer, permit| {
                        let (listener, sessions) = (Arc::clone(&listener), Arc::clone(&sessions));
                        live.spawn(async move {
                            sessions.serve(&listener, stream, peer).await;
                            drop(permit); // last: a place is free when all that the session held is
                        });
                        std::future::ready(())
                    },
                ));
            }
        }
        self.stage.send_replace(Phase::Serving.into());
        tracing::info!("ready");

        stop.cancelled().await;
        tracing::info!(sessions = self.live.len(), "draining");
        self.stage.send_replace(Phase::Draining.into());
        self.drain.cancel();
        tasks.close();
        self.live.close();
        let ended = async {
            tasks.wait().await; // from here on no session begins
            self.live.wait().await;
        };
        let mut ended = std::pin::pin!(ended);
        let in_time = tokio::time::timeout(self.drain_timeout, &mut ended).await.is_ok();
        if !in_time {
            tracing::info!(sessions = self.live.len(), "time is up: the rest is closed");
        }
        self.kill.cancel();
        let rest = async {
            if !in_time {
                ended.await;
            }
            background.wait().await;
        };
        let _ = tokio::time::timeout(KILL_TIMEOUT, rest).await;
        tracing::info!("stopped");
    }
}

/// Whoever stands in those places needs no password: nobody shall be able to say that they did not know.
fn warn_of_recognitions(config: &Config) {
    for options in &config.listeners {
        for Recognition { client, mark } in &options.entrance.recognitions {
            tracing::warn!(listener = options.name, client, by = %mark, "this device is let in without a password");
        }
    }
}

/// Begins what lasts until sessions are gone: sessions that end need the store, those that begin need tokens, and whoever
/// waits for the end of the drain wants to be told of it.
fn spawn_background(
    upkeep: Upkeep,
    tokens: Arc<Tokens>,
    (usage, seen): (UsageWriter, SeenWriter),
    admin: Option<Face>,
    kill: &CancellationToken,
) -> TaskTracker {
    let background = TaskTracker::new();
    let stop = kill.clone();
    background.spawn(async move { tokens.run(stop).await });
    background.spawn(usage.run(kill.clone()));
    background.spawn(seen.run(kill.clone()));
    background.spawn(upkeep.run(kill.clone()));
    if let Some(Face { sockets, admin, metrics }) = admin {
        let stop = kill.clone();
        background.spawn(async move { metrics.keep_small(stop).await });
        let permits = Arc::new(Semaphore::new(admin::CONNECTIONS_MAX));
        for socket in sockets {
            let (admin, answers, stop) = (Arc::clone(&admin), background.clone(), kill.clone());
            let serve = move |stream, peer: SocketAddr, permit| {
                let (admin, stop) = (Arc::clone(&admin), stop.clone());
                answers.spawn(async move {
                    let _: Option<()> = stop.run_until_cancelled(admin.serve(stream, Peer::Address(peer.ip()))).await;
                    drop(permit);
                });
                std::future::ready(())
            };
            background.spawn(accept_loop(socket, Arc::clone(&permits), kill.clone(), serve));
        }
    }
    background.close();
    background
}

/// The store of a node as the admin listener looks at it.
fn watched_store(options: &store::Options, health: Option<Arc<Health>>) -> Option<WatchedStore> {
    let max_stale = match options {
        store::Options::Memory | store::Options::Sqlite(_) => return None,
        store::Options::Vault(vault) => vault.cache.max_stale,
    };
    Some(WatchedStore { health: health?, max_stale })
}

/// `None` if it has no address: nothing is counted then.
fn face(sockets: Vec<TcpListener>, watched: Watched, desk: Desk, sessions: &Arc<Sessions>) -> Option<Face> {
    if sockets.is_empty() {
        return None;
    }
    let (metrics, (reload, _requests)) = (telemetry::metrics(), Reload::channel());
    let office = Office {
        desk: Arc::new(ArcSwap::from_pointee(desk)),
        auth: Auth::default(),
        sessions: Arc::clone(sessions),
        reload,
        watched,
        metrics: metrics.clone(),
    };
    Some(Face { sockets, admin: Arc::new(Admin::new(office)), metrics })
}

/// What is looked at to say how the process is.
fn watched(stage: watch::Receiver<Stage>, store: Option<WatchedStore>, live: &TaskTracker) -> Watched {
    let live = live.clone();
    Watched { stage, store, sessions: Box::new(move || live.len()) }
}

/// The name of this host, for those who read what its nodes tell.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Binds the addresses of every listener, and prepares its TLS.
fn bind_all(config: &Config, problems: &mut Vec<String>) -> Vec<(Arc<Listener>, Vec<TcpListener>)> {
    let server_tls = note_all(problems, tls::server_config(&config.tls, Timestamp::now())).flatten();
    let mut listeners = Vec::new();
    for options in &config.listeners {
        let sockets = bind_each(&format!("listener {}", options.name), &options.bind, problems);
        let tls = match options.tls {
            ListenerTls::None => None,
            ListenerTls::Implicit | ListenerTls::StartTls => {
                server_tls.as_ref().and_then(|config| note(problems, listener_tls(config, options)))
            }
        };
        let legacy_tls = (!options.legacy_tls_networks.is_empty())
            .then(|| {
                let (protocol, asks) = (application_protocol(options.protocol), asks_for_certificates(options));
                note(problems, LegacyTls::open(&config.tls, protocol, asks))
            })
            .flatten();
        if legacy_tls.is_some() {
            let (listener, networks) = (&options.name, &options.legacy_tls_networks);
            tracing::warn!(
                listener,
                ?networks,
                "clients from these networks may use TLS 1.0 and 1.1, which are broken"
            );
        }
        let profiles =
            options.entrance.upstreams.iter().filter_map(|name| config.upstreams.get(name).cloned()).collect();
        listeners.push((Arc::new(Listener { options: options.clone(), tls, legacy_tls, profiles }), sockets));
    }
    listeners
}

/// What a listener shows, and whether it asks clients for a certificate.
fn listener_tls(config: &ServerConfig, options: &ListenerOptions) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = tls::with_application_protocol(config, application_protocol(options.protocol));
    if asks_for_certificates(options) { tls::with_device_certificates(&config) } else { Ok(config) }
}

fn asks_for_certificates(options: &ListenerOptions) -> bool {
    options.entrance.recognitions.iter().any(|it| matches!(it.mark, Mark::Certificate(_)))
}

fn bind_each(name: &str, addresses: &[SocketAddr], problems: &mut Vec<String>) -> Vec<TcpListener> {
    let mut sockets = Vec::new();
    for &address in addresses {
        match net::bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) => problems.push(format!("{name}: {}", explain(&error))),
        }
    }
    sockets
}

/// The registered ALPN names (RFC 7301 registry); submission has none, and `smtp` is what others use.
fn application_protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "imap",
        Protocol::Pop3 => "pop3",
        Protocol::Submission => "smtp",
    }
}
