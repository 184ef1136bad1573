//! What verbs work with that log in to providers in an operator's name: the records, and all that a node logs in with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::rotate::crash;
use super::{author, oauth, open_directory};
use crate::app::{Problems, note, note_all};
use crate::audit::Audit;
use crate::broker::{self, Broker, Directory};
use crate::credential::oauth2::Tokens;
use crate::model::Profile;
use crate::net::{HttpOptions, Https, tls};
use crate::rotation::{self, Rotation};
use crate::upstream::Upstreams;

/// All of it, in an operator's name.
pub(super) struct Desk {
    pub(super) directory: Directory,
    pub(super) profiles: BTreeMap<String, Arc<Profile>>,
    pub(super) broker: Arc<Broker>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) audit: Audit,
    pub(super) options: rotation::Options,
    tokens: Arc<Tokens>,
}

impl Desk {
    /// By that configuration. What is done here is put down in the audit.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let (config, directory) = open_directory(path).await?;
        let mut problems = Vec::new();
        let client_tls = note_all(&mut problems, tls::client_config(&config.tls));
        let audit = note(&mut problems, Audit::open(&config.audit));
        Problems::none_in(problems, false)?;
        let (client_tls, audit) = client_tls.zip(audit).expect("what is missing left a problem");
        let https = Https::new(&client_tls, HttpOptions::default())?;
        let tokens = Arc::new(broker::tokens(directory.clone(), https, config.tokens));
        let profiles = config.upstreams;
        // A look into a mailbox is no login of a client.
        let of_clients = Audit::default();
        let broker = Broker::new(directory.clone(), Arc::clone(&tokens), profiles.clone(), of_clients, config.broker);
        let upstreams = Arc::new(Upstreams::new(client_tls, config.upstream));
        Ok(Self { directory, profiles, broker: Arc::new(broker), upstreams, audit, options: config.rotation, tokens })
    }

    /// Rotates in the operator's name.
    pub(super) fn rotation(&self) -> Rotation {
        let (broker, upstreams) = (Arc::clone(&self.broker), Arc::clone(&self.upstreams));
        let (directory, audit, options) = (self.directory.clone(), self.audit.clone(), self.options.clone());
        crash::watched(Rotation::new(directory, broker, upstreams, audit, &author(), options))
    }

    /// Does some work while access tokens can be had.
    pub(super) async fn at_work<T>(&self, work: impl Future<Output = T>) -> T {
        oauth::while_run(&self.tokens, work).await
    }
}
