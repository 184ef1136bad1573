//! What verbs work with that log in to providers in an operator's name: the records, and all that a node logs in with.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::rotate::crash;
use super::{author, oauth, open_directory};
use crate::app::{self, Problems, note, note_all};
use crate::audit::Audit;
use crate::broker::{self, Broker};
use crate::management::Desk;
use crate::net::{HttpOptions, Https, tls};
use crate::rotation::Rotation;
use crate::upstream::Upstreams;

/// A desk for whoever runs this, by that configuration. What is done here is put down in the audit.
pub(super) async fn open(path: &Path) -> Result<Desk> {
    furnished(path, true, true).await
}

/// The same for verbs that log in nowhere: they need neither certificates nor the audit, as records say by themselves who
/// changed them.
pub(super) async fn look(path: &Path) -> Result<Desk> {
    furnished(path, false, false).await
}

/// The same for those of them that the audit knows, too.
pub(super) async fn look_audited(path: &Path) -> Result<Desk> {
    furnished(path, false, true).await
}

/// The same for those of them that ask authorities.
pub(super) async fn call(path: &Path) -> Result<Desk> {
    furnished(path, true, false).await
}

async fn furnished(path: &Path, logs_in: bool, is_audited: bool) -> Result<Desk> {
    let (config, directory) = open_directory(path).await?;
    let mut problems = Vec::new();
    let client_tls = match logs_in {
        true => note_all(&mut problems, tls::client_config(&config.tls)),
        false => Some(tls::trusting_nobody()),
    };
    let audit = match is_audited {
        true => note(&mut problems, Audit::open(&config.audit)),
        false => Some(Audit::default()),
    };
    Problems::none_in(problems, false)?;
    let (client_tls, audit) = client_tls.zip(audit).expect("what is missing left a problem");
    let https = Https::new(&client_tls, HttpOptions::default())?;
    let tokens = Arc::new(broker::tokens(directory.clone(), https.clone(), config.tokens));
    let profiles = config.upstreams;
    // A look into a mailbox is no login of a client.
    let of_clients = Audit::default();
    let broker = Broker::new(directory.clone(), Arc::clone(&tokens), profiles.clone(), of_clients, config.broker);
    let classes = config.upstream.classes.keys().cloned().collect();
    let upstreams = Arc::new(Upstreams::new(client_tls, config.upstream));
    Ok(Desk {
        directory,
        profiles: Arc::new(profiles),
        listeners: config.listeners.iter().map(|listener| listener.name.clone()).collect(),
        classes,
        windows: app::ends_of_windows(&config.listeners),
        broker: Arc::new(broker),
        upstreams,
        tokens,
        https,
        audit,
        options: config.rotation,
        witness: crash::witness(),
        author: Arc::from(author()),
    })
}

/// Rotates in the operator's name, and crashes where a test has it crash.
pub(super) fn rotation(desk: &Desk) -> Rotation {
    desk.rotation()
}

/// Does some work while access tokens can be had.
pub(super) async fn at_work<T>(desk: &Desk, work: impl Future<Output = T>) -> T {
    oauth::while_run(&desk.tokens, work).await
}
