//! The second half of a process: it runs until it is told to stop, or until another one has taken its place.

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::collector::Collector;
use super::doors::Hall;
use super::drain::{self, Leaving};
use super::keeping::keep;
use super::notify::{Notifier, status};
use super::reload::{Anew, Holding};
use super::{ADMIN, App, Face, Succession, successor, watching};
use crate::admin::{Phase, ReloadRequest};
use crate::credential::oauth2::Tokens;
use crate::model::{Profile, Protocol};
use crate::rotation::{SeenWriter, UsageWriter};
use crate::session::Listener;
use crate::store::Upkeep;
use crate::upstream::Upstreams;
use crate::usage::Ledger;

/// Time that the first probes of upstreams may take before clients are served: what is offered to the first client
/// should be true, but a dead upstream must not hold up the others.
const FIRST_PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The same for the keys of TLS tickets: clients of the process before come back all at once, and with them their handshakes are
/// short.
const FIRST_KEYS_TIMEOUT: Duration = Duration::from_secs(3);

impl App {
    /// Serves until `stop` is cancelled, then drains: no new clients, a goodbye to those that have not logged in, and
    /// time for the others to end by themselves. The same where another process takes its place, with more time.
    pub async fn run(self, stop: CancellationToken) {
        // Nobody comes in any more, and nothing is begun; and nobody is told how things stand here.
        let (shut, asked) = (CancellationToken::new(), self.kill.child_token());
        let admin_sockets =
            self.admin.iter().flat_map(|face| &face.doors.sockets).map(|it| Arc::clone(&it.socket)).collect();
        let background =
            spawn_background(self.upkeep, self.tokens, (self.usage, self.seen), self.admin, &asked, &self.kill);
        background.spawn(watching::watch(Arc::clone(&self.sessions), self.news, self.kill.clone()));
        if let Some(traces) = self.traces {
            background.spawn(traces.run(Collector(self.https), self.kill.clone()));
        }
        if let Some(shared) = self.shared {
            let kill = self.kill.clone();
            background.spawn(async move { kill.run_until_cancelled(shared.run()).await });
        }
        let (live, store) = (self.live.clone(), self.store);
        let notifier = Notifier::start(&background, &self.kill);
        notifier.keep_telling(&background, &self.kill, move || status(live.len(), store.as_ref()));

        let hall =
            Hall { sessions: self.sessions, live: self.live, at_work: self.at_work, tasks: TaskTracker::new(), shut };
        let mut serving = Serving {
            holding: self.holding,
            hall,
            ledger: self.ledger,
            background,
            kill: self.kill,
            notifier,
            keeping: CancellationToken::new(),
            probing: CancellationToken::new(),
            admin_sockets,
        };
        serving.keep();
        let served = served(serving.holding.doors.listeners());
        let upstreams = serving.upstreams();
        let probing = tokio::time::timeout(FIRST_PROBE_TIMEOUT, upstreams.probe_all(&served));
        let mut ticket_keeper = self.ticket_keeper;
        let first = async { tokio::join!(probing, ticket_keeper.begin(FIRST_KEYS_TIMEOUT)) };
        let _ = stop.run_until_cancelled(first).await; // late or not, what is known by then is offered
        serving.background.spawn(ticket_keeper.run(serving.kill.clone()));
        serving.probe(false);
        let (warming, shut) = (Arc::clone(&upstreams), serving.hall.shut.clone());
        serving.background.spawn(async move { warming.keep_warm(shut).await });
        serving.hall.sessions.expect(serving.holding.config.listeners.iter());
        upstreams.expect(serving.holding.doors.listeners().iter().flat_map(|it| it.profiles.iter().map(|it| &**it)));
        serving.holding.doors.open(&serving.hall);
        self.stage.send_replace(Phase::Serving.into());
        tracing::info!("ready");
        serving.notifier.ready(self.predecessor.is_some());
        if let Some(predecessor) = self.predecessor {
            successor::tell(&predecessor).await;
        }
        drop(self.orders); // whoever else has none can order nothing
        let is_succeeded = serving.heed(self.reloads, self.upgrades, self.succession, &stop).await;
        self.stage.send_replace(Phase::Draining.into());
        if is_succeeded {
            asked.cancel();
        }
        // With the sockets, which accept loops held, too: who comes now is refused, and does not wait for nothing.
        let Serving { holding: Holding { config, doors, .. }, hall, background, kill, notifier, .. } = serving;
        drop(doors);
        let leaving = Leaving { hall, drain: self.drain, kill, background, notifier };
        drain::leave(leaving, &config.session, is_succeeded, &stop).await;
    }
}

/// What serves, and can be changed meanwhile.
struct Serving {
    holding: Holding,
    hall: Hall,
    ledger: Ledger,
    background: TaskTracker,
    kill: CancellationToken,
    notifier: Notifier,
    /// Cancelled where credentials are looked after in another way from then on.
    keeping: CancellationToken,
    /// Cancelled where others are to be probed.
    probing: CancellationToken,
    admin_sockets: Vec<Arc<TcpListener>>,
}

type Beginning = Pin<Box<dyn Future<Output = Result<u32, String>> + Send>>;

impl Serving {
    /// Does what it is told until it is to stop (`false`) or has a successor (`true`).
    async fn heed(
        &mut self,
        mut reloads: mpsc::Receiver<ReloadRequest>,
        mut upgrades: mpsc::Receiver<()>,
        succession: Option<Succession>,
        stop: &CancellationToken,
    ) -> bool {
        let mut beginning: Option<Beginning> = None;
        loop {
            let began = async {
                match beginning.as_mut() {
                    Some(beginning) => beginning.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return false,
                Some(request) = reloads.recv() => self.reload(request).await,
                Some(()) = upgrades.recv() => match &succession {
                    _ if beginning.is_some() => tracing::warn!("a successor is being started already"),
                    None => tracing::error!("this process does not know how it was started: restart it"),
                    Some(succession) => {
                        tracing::info!(program = %succession.program.display(), "starting a successor");
                        beginning = Some(Box::pin(succession.clone().begin(self.sockets())));
                    }
                },
                began = began => match began {
                    Ok(pid) => {
                        tracing::info!(pid, "a successor serves");
                        return true;
                    }
                    Err(why) => {
                        tracing::error!(why, "no successor serves, and this process goes on");
                        beginning = None;
                    }
                },
            }
        }
    }

    async fn reload(&mut self, ReloadRequest { author, answer }: ReloadRequest) {
        self.notifier.reloading();
        let outcome = self.holding.reload(&author, &self.hall).await;
        if let Ok((_, Anew { keeping, probing })) = &outcome {
            if *keeping {
                self.keep();
            }
            if *probing {
                self.probe(true);
            }
        }
        self.notifier.ready(false);
        let _ = answer.send(outcome.map(|(reloaded, _)| reloaded)); // whoever asked may be gone
    }

    /// Has credentials looked after as is said now.
    fn keep(&mut self) {
        self.keeping.cancel();
        self.keeping = self.hall.shut.child_token();
        let (desk, name) = (self.holding.desk.load_full(), &self.holding.config.name);
        keep(&desk, &self.ledger, name, &self.background, &self.keeping, &self.kill);
    }

    /// Has those upstreams looked at that are served now: later, or at once, too.
    fn probe(&mut self, at_once: bool) {
        self.probing.cancel();
        self.probing = self.hall.shut.child_token();
        let (upstreams, stop) = (self.upstreams(), self.probing.clone());
        let served = served(self.holding.doors.listeners());
        self.hall.tasks.spawn(async move {
            if at_once && stop.run_until_cancelled(upstreams.probe_all(&served)).await.is_none() {
                return;
            }
            upstreams.keep_probing(&served, stop).await;
        });
    }

    fn upstreams(&self) -> Arc<Upstreams> {
        Arc::clone(&self.holding.desk.load().upstreams)
    }

    /// All that it listens on, for a successor.
    fn sockets(&self) -> Vec<(String, Arc<TcpListener>)> {
        let doors = self.holding.doors.sockets().map(|(name, socket)| (name, Arc::clone(socket)));
        let admin = self.admin_sockets.iter().map(|socket| (ADMIN.to_owned(), Arc::clone(socket)));
        doors.chain(admin).collect()
    }
}

/// The upstreams and protocols of which clients are told before login what they offer. IMAP tells it after.
fn served(listeners: &[Arc<Listener>]) -> Vec<(Arc<Profile>, Protocol)> {
    let all = listeners.iter().flat_map(|listener| {
        let protocol = listener.options.protocol;
        listener.profiles.iter().map(move |profile| (profile.name.clone(), protocol, Arc::clone(profile)))
    });
    let once: BTreeMap<(String, Protocol), Arc<Profile>> = all
        .filter(|(_, protocol, _)| *protocol != Protocol::Imap)
        .map(|(name, protocol, profile)| ((name, protocol), profile))
        .collect();
    once.into_iter().map(|((_, protocol), profile)| (profile, protocol)).collect()
}

/// Begins what lasts until sessions are gone: sessions that end need the store, those that begin need tokens, and whoever
/// waits for the end of the drain wants to be told of it. Where another process has taken over, that one is asked.
fn spawn_background(
    upkeep: Upkeep,
    tokens: Arc<Tokens>,
    (usage, seen): (UsageWriter, SeenWriter),
    admin: Option<Face>,
    asked: &CancellationToken,
    kill: &CancellationToken,
) -> TaskTracker {
    let background = TaskTracker::new();
    let stop = kill.clone();
    background.spawn(async move { tokens.run(stop).await });
    background.spawn(usage.run(kill.clone()));
    background.spawn(seen.run(kill.clone()));
    background.spawn(upkeep.run(kill.clone()));
    if let Some(face) = admin {
        face.spawn(&background, asked, kill);
    }
    background.close();
    background
}
