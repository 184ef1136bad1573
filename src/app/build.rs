//! Config in, everything built and bound: the first half of a process. What cannot be built is all said at once.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::face::{self, Doors, Face};
use super::keeping::Keeping;
use super::listeners::bind_all;
use super::operating::operations;
use super::windows::{ends_of_windows, windows};
use super::{App, Problems, host_name, limits, note, note_all};
use crate::admin::{self, Admin, Auth, Node, Office, Phase, Reload, Stage, Watched, WatchedStore};
use crate::audit::Audit;
use crate::broker::{self, Broker, Directory, client_secret};
use crate::config::Config;
use crate::enrolment::Enrolment;
use crate::management::overview::Overview;
use crate::management::{Desk, Operations};
use crate::model::Recognition;
use crate::net::{HttpOptions, Https, tls};
use crate::rotation::{Rotation, SeenWriter, Unwatched, UsageWriter};
use crate::session::Sessions;
use crate::store::{self, Health, OpenError};
use crate::telemetry;
use crate::upstream::Upstreams;
use crate::usage::{Ledger, Visitors};

/// What a node is called in what it changes.
const NODE: &str = "locum";

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
        let doors = Doors::bind(&config, &mut problems);
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

        let of_clients = listeners.iter().map(|(listener, sockets)| (&listener.options, sockets.as_slice()));
        let node_facts = face::node(&config, Timestamp::now(), of_clients, &doors);
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
            witness: Arc::new(Unwatched),
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
        let sessions = Arc::new(sessions.counted_in(ledger.clone()).seen_by(visitors).enrolling(enrolment));
        let watched = watched(stage_watched, watched_store(&config.store, served.health), &live);
        let at_work = TaskTracker::new();
        let operations = operations(&at_work, &kill);
        let admin = face(doors, &config.admin, watched, (desk, node_facts, operations), &sessions, ledger);
        let (news, upkeep) = (served.news, served.upkeep);
        Ok(Self {
            listeners,
            sessions,
            live,
            at_work,
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
}

/// Whoever stands in those places needs no password: nobody shall be able to say that they did not know.
fn warn_of_recognitions(config: &Config) {
    for options in &config.listeners {
        for Recognition { client, mark } in &options.entrance.recognitions {
            tracing::warn!(listener = options.name, client, by = %mark, "this device is let in without a password");
        }
    }
}

/// The store of a node as the admin listener looks at it.
fn watched_store(options: &store::Options, health: Option<Arc<Health>>) -> Option<WatchedStore> {
    let max_stale = match options {
        store::Options::Memory | store::Options::Sqlite(_) => return None,
        store::Options::Vault(vault) => vault.cache.max_stale,
    };
    Some(WatchedStore { health: health?, max_stale })
}

/// `None` if it listens nowhere: nothing is counted then.
fn face(
    doors: Doors,
    options: &admin::Options,
    watched: Watched,
    (desk, node, operations): (Desk, Node, Operations),
    sessions: &Arc<Sessions>,
    ledger: Ledger,
) -> Option<Face> {
    if !doors.are_open() {
        return None;
    }
    let (metrics, (reload, _requests)) = (telemetry::metrics(), Reload::channel());
    let desk = Arc::new(ArcSwap::from_pointee(desk));
    let overview = Arc::new(Overview::new(Arc::clone(&desk), ledger));
    let office = Office {
        auth: Auth::new(Arc::clone(&desk)),
        desk,
        operations,
        node: Arc::new(ArcSwap::from_pointee(node)),
        overview: Arc::clone(&overview),
        sessions: Arc::clone(sessions),
        reload,
        watched,
        metrics: metrics.clone(),
    };
    Some(Face { doors, admin: Arc::new(Admin::new(office, options)), overview, metrics })
}

/// What is looked at to say how the process is.
fn watched(stage: watch::Receiver<Stage>, store: Option<WatchedStore>, live: &TaskTracker) -> Watched {
    let live = live.clone();
    Watched { stage, store, sessions: Box::new(move || live.len()) }
}
