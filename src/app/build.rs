//! Config in, everything built and bound: the first half of a process. What cannot be built is all said at once.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::doors::Doors;
use super::face::{self, Face};
use super::listeners::{Prepared, warn};
use super::operating::operations;
use super::reload::{Holding, Source};
use super::sockets::Inherited;
use super::successor::Succession;
use super::windows::ends_of_windows;
use super::{App, Orders, Problems, certificates, host_name, limits, note};
use crate::admin::{
    self, Admin, AuditNow, Auth, CertificateEnd, Node, Office, Phase, Reload, Stage, Watched, WatchedStore,
};
use crate::audit::Audit;
use crate::broker::{self, Broker, Directory, Shared, client_secret};
use crate::config::Config;
use crate::enrolment::Enrolment;
use crate::management::overview::Overview;
use crate::management::{Desk, Operations};
use crate::net::tls::Tickets;
use crate::net::{HttpOptions, Https};
use crate::rotation::{SeenWriter, TicketKeeper, Unwatched, UsageWriter};
use crate::session::Sessions;
use crate::store::{self, Health, OpenError};
use crate::telemetry;
use crate::upstream::Upstreams;
use crate::usage::{Ledger, Visitors};

/// What a process begins with.
#[derive(Debug)]
pub struct Start {
    /// How it is set up.
    pub config: Config,
    /// Where that was read from; without, it is never read again.
    pub source: Option<Source>,
    /// How the program is begun again; without, there is no upgrade.
    pub succession: Option<Succession>,
    /// Sockets that were handed to it.
    pub inherited: Inherited,
}

impl Start {
    /// With that and nothing else.
    pub fn of(config: Config) -> Self {
        Self { config, source: None, succession: None, inherited: Inherited::default() }
    }
}

/// What a node is called in what it changes.
const NODE: &str = "locum";

impl App {
    /// The same without what only the program has: a file, sockets that were handed to it, and the way to begin again.
    ///
    /// # Errors
    /// All [`Problems`] found.
    pub async fn build(config: Config) -> Result<Self, Problems> {
        Self::start(Start::of(config)).await
    }

    /// Opens the store, reads certificates, binds every address.
    ///
    /// # Errors
    /// All [`Problems`] found.
    pub async fn start(start: Start) -> Result<Self, Problems> {
        let Start { config, source, succession, mut inherited } = start;
        // Before anything that counts: what is described before anybody collects is lost.
        let _counting = config.admin.listens().then(telemetry::metrics);
        let mut problems = Vec::new();
        let opened = store::serve(&config.store).await;
        let passes = opened.as_ref().is_err_and(OpenError::is_transient);
        let served = note(&mut problems, opened);
        let audit = note(&mut problems, Audit::open(&config.audit));
        let tickets = Tickets::default();
        let Prepared { trust, admin_tls, listeners, files } = Prepared::of(&config, &tickets, None, &mut problems);
        let https = trust.as_ref().map(|trust| Https::new(trust.config(), HttpOptions::default()));
        let https = https.and_then(|https| note(&mut problems, https));
        let doors = Doors::bind(listeners, &mut inherited, &mut problems);
        let admin_doors = face::Doors::bind(&config.admin, admin_tls, &mut inherited, &mut problems);
        inherited.leftovers(&mut problems);
        let shared = config.broker.shared.as_ref().and_then(|it| note(&mut problems, Shared::open(it))).map(Arc::new);
        let node = note(&mut problems, client_secret::random_id());
        limits::check_descriptors(config.session.sessions_max, &mut problems);
        Problems::none_in(problems, passes)?;
        warn(&config);
        let ready = served.zip(audit).zip(trust.zip(https)).zip(node);
        let (((served, audit), (trust, https)), node) = ready.expect("what is missing left a problem");

        let node_facts = face::node(&config, Timestamp::now(), &doors, &admin_doors);
        let certificates = Arc::new(ArcSwap::from_pointee(certificates::ends(&config)));
        let live = TaskTracker::new();
        let (stage, stage_watched) = watch::channel(Stage::from(Phase::Starting));
        let (drain, kill) = (CancellationToken::new(), CancellationToken::new());
        let classes = config.upstream.classes.keys().cloned().collect();
        let upstreams = Arc::new(Upstreams::new(Arc::clone(trust.config()), config.upstream.clone()));
        upstreams.listens_at(doors.addresses());
        let directory = Directory::new(Arc::clone(&served.store));
        let tokens = Arc::new(broker::tokens(directory.clone(), https.clone(), config.tokens.clone()));
        let ledger = Ledger::default();
        let usage =
            UsageWriter::new(directory.clone(), ledger.clone(), node, &host_name(), config.rotation.usage.clone());
        let visitors = Visitors::default();
        let seen = SeenWriter::new(directory.clone(), visitors.clone(), config.rotation.seen.clone());
        let ticket_keeper = TicketKeeper::new(directory.clone(), tickets.clone());
        // What is to be changed is read as of the last write.
        let latest = Directory::of_operator(served.store, NODE);
        let enrolment = Enrolment::new(latest.clone(), audit.clone());
        let profiles = config.upstreams.clone();
        let broker = Broker::new(directory, Arc::clone(&tokens), profiles, audit.clone(), config.broker.clone());
        let broker = Arc::new(broker.sharing(shared.clone()));
        let desk = Desk {
            directory: latest,
            profiles: Arc::new(config.upstreams.clone()),
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
        let audit_status = audit.clone();
        let desk = Arc::new(ArcSwap::from_pointee(desk));
        let (name, options) = (config.name.clone(), config.session.clone());
        let sessions = Sessions::new(name, options, broker, upstreams, audit, drain.clone(), kill.clone());
        let sessions = Arc::new(sessions.counted_in(ledger.clone()).seen_by(visitors).enrolling(enrolment));
        let store = watched_store(&config.store, served.health);
        let watched = watched(stage_watched, store.clone(), Arc::clone(&certificates), &audit_status);
        let (reload, reloads) = Reload::channel();
        let node = Arc::new(ArcSwap::from_pointee(node_facts));
        let admin_tls = admin_doors.tls.clone();
        let at_work = TaskTracker::new();
        let operations = operations(&at_work, &kill);
        let overview = Arc::new(Overview::new(Arc::clone(&desk), ledger.clone()));
        let works = (operations, overview, reload.clone());
        let admin = face(admin_doors, &config.admin, watched, (&desk, &node), &sessions, works);
        let (news, upkeep) = (served.news, served.upkeep);
        let at_start = source.as_ref().map(|source| source.settings.clone()).unwrap_or_default();
        let (upgrade, upgrades) = mpsc::channel(1); // a second one wishes the same
        Ok(Self {
            holding: Holding {
                source,
                at_start,
                config,
                files,
                tickets,
                trust,
                certificates,
                desk,
                node,
                admin_tls,
                doors,
            },
            sessions,
            live,
            at_work,
            ledger,
            news,
            upkeep,
            tokens,
            shared,
            usage,
            seen,
            ticket_keeper,
            store,
            admin,
            https,
            traces: None,
            stage,
            orders: Orders { reload, upgrade },
            reloads,
            upgrades,
            succession,
            predecessor: inherited.predecessor,
            drain,
            kill,
        })
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
    doors: face::Doors,
    options: &admin::Options,
    watched: Watched,
    (desk, node): (&Arc<ArcSwap<Desk>>, &Arc<ArcSwap<Node>>),
    sessions: &Arc<Sessions>,
    (operations, overview, reload): (Operations, Arc<Overview>, Reload),
) -> Option<Face> {
    if !doors.are_open() {
        return None;
    }
    let metrics = telemetry::metrics();
    let office = Office {
        auth: Auth::new(Arc::clone(desk)),
        desk: Arc::clone(desk),
        operations,
        overview: Arc::clone(&overview),
        node: Arc::clone(node),
        sessions: Arc::clone(sessions),
        reload,
        watched,
        metrics: metrics.clone(),
    };
    Some(Face { doors, admin: Arc::new(Admin::new(office, options)), overview, metrics })
}

/// What is looked at to say how the process is.
fn watched(
    stage: watch::Receiver<Stage>,
    store: Option<WatchedStore>,
    certificates: Arc<ArcSwap<Vec<CertificateEnd>>>,
    audit: &Audit,
) -> Watched {
    let (audit, descriptors) = (audit.clone(), Box::new(limits::descriptors));
    let audit = Box::new(move || {
        let status = audit.status();
        AuditNow {
            waiting: status.queued,
            lag: status.lag,
            failing_for: status.failing_for,
            failures: status.failures,
            fail_closed: audit.options().fail_closed,
        }
    });
    Watched { stage, store, certificates, audit, descriptors }
}
