//! The configuration is read again. All of it is tried first, and then it holds at once, or all stays as it was. Sessions that
//! are open keep what they have, and what was counted stays counted: gates, seats, failures, tokens, refused credentials.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use super::doors::{Doors, Hall, Plan};
use super::face;
use super::listeners::{Files, Prepared, warn};
use super::windows::ends_of_windows;
use super::{certificates, limits, note};
use crate::admin::{CertificateEnd, Node, Reloaded, count_reload};
use crate::audit::{Audit, Event, Reopened};
use crate::config::{Config, Settings};
use crate::management::Desk;
use crate::net::tls::{Tickets, Trust};
use crate::net::{HttpOptions, Https};
use crate::session::{Listener, ListenerTls};
use crate::telemetry;

/// Keys, and beginnings of keys, that hold from the next start on: what they speak of is open, or was said to others.
const AT_START_ONLY: [&str; 6] =
    ["store.", "admin.", "limits.shared.", "limits.lock-memory", "telemetry.log-format", "telemetry.otlp"];

/// Where a configuration was read from, and what it said.
#[derive(Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// What was in it.
    pub settings: Settings,
}

/// What a reload changes.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) source: Option<Source>,
    /// What the file said when the process began.
    pub(super) at_start: Settings,
    pub(super) config: Config,
    pub(super) files: Files,
    /// By which clients resume their sessions; the keys outlive what is shown with them.
    pub(super) tickets: Tickets,
    /// Whom this process trusts towards upstreams.
    pub(super) trust: Trust,
    /// When those in use end.
    pub(super) certificates: Arc<ArcSwap<Vec<CertificateEnd>>>,
    /// What operators work with; all that it is made of is what the process itself works with.
    pub(super) desk: Arc<ArcSwap<Desk>>,
    /// What is told of this process.
    pub(super) node: Arc<ArcSwap<Node>>,
    /// What operators are shown at the admin listener, where it speaks TLS.
    pub(super) admin_tls: Option<Arc<ArcSwap<ServerConfig>>>,
    pub(super) doors: Doors,
}

/// What was read and can be used.
struct Fresh {
    config: Config,
    settings: Settings,
    prepared: Prepared,
    audit: Reopened,
    plan: Plan,
    reloaded: Reloaded,
}

/// What came of a reload, for those parts of the process that have to begin anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Anew {
    pub(super) keeping: bool,
    pub(super) probing: bool,
}

impl Holding {
    /// Reads it again in the name of `author`, and says what changed.
    ///
    /// # Errors
    /// All that is wrong; nothing has changed then.
    pub(super) async fn reload(&mut self, author: &str, hall: &Hall) -> Result<(Reloaded, Anew), Vec<String>> {
        let fresh = self.read().await;
        let audit = self.desk.load().audit.clone();
        let (outcome, event) = match fresh {
            Ok(fresh) => {
                let reloaded = fresh.reloaded.clone();
                let anew = self.hold(fresh, hall);
                for line in &reloaded.changed {
                    tracing::info!(author, "reloaded: {line}");
                }
                for line in &reloaded.needs_restart {
                    tracing::warn!(author, "not before a restart: {line}");
                }
                if reloaded == Reloaded::default() {
                    tracing::info!(author, "reloaded: nothing is other than before");
                }
                let Reloaded { changed, needs_restart } = reloaded.clone();
                (Ok((reloaded, anew)), ("done", changed, needs_restart, Vec::new()))
            }
            Err(problems) => {
                for problem in &problems {
                    tracing::error!(author, "not reloaded, all is as it was: {problem}");
                }
                (Err(problems.clone()), ("refused", Vec::new(), Vec::new(), problems))
            }
        };
        let (word, changed, needs_restart, problems) = event;
        match &outcome {
            Ok((reloaded, _)) => count_reload(&Ok(reloaded.clone())),
            Err(problems) => count_reload(&Err(problems.clone())),
        }
        let actor = author.to_owned();
        audit.record_step(&Event::Reload { outcome: word, actor, changed, needs_restart, problems });
        outcome
    }

    /// Reads and tries all of it. New sockets are bound, and nobody is let in there.
    async fn read(&self) -> Result<Fresh, Vec<String>> {
        let Some(source) = &self.source else { return Err(vec!["this process was not started by a file".into()]) };
        let (path, tickets, trust) = (source.path.clone(), self.tickets.clone(), self.trust.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let (config, settings) = Config::load_to_compare(&path)
                .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
            let mut problems = Vec::new();
            let prepared = Prepared::of(&config, &tickets, Some(&trust), &mut problems);
            let audit = note(&mut problems, Audit::reopen(&config.audit));
            limits::check_descriptors(config.session.sessions_max, &mut problems);
            Ok::<_, Vec<String>>((config, settings, prepared, audit, problems))
        });
        let read = reading.await.map_err(|error| vec![error.to_string()])?;
        let (config, settings, prepared, audit, mut problems) = read?;
        if config.listeners.is_empty() && !config.admin.is_for_operators() {
            problems.push(format!("{}: no [[listener]], so there is nothing to serve", source.path.display()));
        }
        if let Some(trust) = &prepared.trust {
            note(&mut problems, Https::new(trust.config(), HttpOptions::default()));
        }
        let plan = self.doors.plan(prepared.listeners.clone(), &mut problems);
        let Some(audit) = audit.filter(|_| problems.is_empty()) else { return Err(problems) };
        let reloaded = self.compare(source, &settings, &prepared);
        Ok(Fresh { config, settings, prepared, audit, plan, reloaded })
    }

    /// What is other, one line each.
    fn compare(&self, source: &Source, settings: &Settings, prepared: &Prepared) -> Reloaded {
        let mut reloaded = Reloaded::default();
        let is_late = |key: &str| AT_START_ONLY.iter().any(|start| key.starts_with(start));
        let now = source.settings.changes(settings).into_iter().filter(|change| !is_late(&change.key));
        reloaded.changed.extend(now.map(|change| change.text));
        // Told until there is a restart; without values, which may name places that are nobody else's business.
        let later = self.at_start.changes(settings).into_iter().filter(|change| is_late(&change.key));
        reloaded.needs_restart.extend(later.map(|change| change.key));
        let Files { shown, authorities } = &prepared.files;
        if let Some(shown) = shown.filter(|shown| self.files.shown != Some(*shown)) {
            let with_tls = prepared.listeners.iter().filter(|it| it.options.tls != ListenerTls::None);
            let line =
                |it: &Arc<Listener>| format!("listener {}: certificate until {:.0}", it.options.name, shown.until);
            reloaded.changed.extend(with_tls.map(line));
        }
        if self.files.authorities != *authorities {
            reloaded.changed.push("tls.upstream-ca-files: other authorities are in them".into());
        }
        reloaded
    }

    /// From now on it holds. Nothing here can fail, and nothing waits.
    fn hold(&mut self, fresh: Fresh, hall: &Hall) -> Anew {
        let Fresh { config, settings, prepared, audit, plan, .. } = fresh;
        let desk = self.desk.load_full();
        let Some(trust) = prepared.trust else { return Anew::default() }; // it would have left a problem
        let anew = Anew {
            keeping: self.config.rotation != config.rotation || self.config.name != config.name,
            probing: self.config.upstreams != config.upstreams || self.config.listeners != config.listeners,
        };
        desk.upstreams.change(Arc::clone(trust.config()), config.upstream.clone());
        let gone_or_other =
            self.config.upstreams.iter().filter(|(name, was)| config.upstreams.get(*name) != Some(*was));
        gone_or_other.for_each(|(name, _)| desk.upstreams.forget_offers(name));
        if let Err(error) = desk.https.trust(trust.config()) {
            tracing::error!(%error, "authorities are asked as before"); // it was tried a moment ago
        }
        desk.broker.change(config.upstreams.clone(), config.broker.clone());
        hall.sessions.change(config.name.clone(), config.session.clone());
        hall.sessions.expect(config.listeners.iter());
        desk.audit.go_on_in(audit);
        if let Err(error) = telemetry::change(&config.telemetry, config.audit.path.is_none()) {
            tracing::error!(%error, "the log goes on as before"); // the configuration was read without an error
        }
        self.desk.store(Arc::new(Desk {
            profiles: Arc::new(config.upstreams.clone()),
            listeners: config.listeners.iter().map(|listener| listener.name.clone()).collect(),
            options: config.rotation.clone(),
            classes: config.upstream.classes.keys().cloned().collect(),
            windows: ends_of_windows(&config.listeners),
            ..Desk::clone(&desk)
        }));
        self.doors.change(plan, hall);
        desk.upstreams.listens_at(self.doors.addresses());
        self.node.store(Arc::new(face::node_anew(&self.node.load(), &self.doors)));
        if let (Some(slot), Some(shown)) = (&self.admin_tls, prepared.admin_tls) {
            slot.store(shown);
        }
        hall.sessions.hold_to(self.doors.listeners());
        self.certificates.store(Arc::new(certificates::ends(&config)));
        warn(&config);
        self.files = prepared.files;
        self.trust = trust;
        if let Some(source) = &mut self.source {
            source.settings = settings;
        }
        // What was there at the start still holds.
        let (store, admin) = (self.config.store.clone(), self.config.admin.clone());
        self.config = Config { store, admin, ..config };
        anew
    }
}
