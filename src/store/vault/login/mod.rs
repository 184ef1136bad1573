//! placeholder
use super::super::{Health, OpenError, StoreError};
use super::servers::Servers;
use super::{Login, Rights, source};
use crate::model::Secret;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(super) struct Tokens(Login);

impl Tokens {
    pub(super) fn new(login: &Login, _rights: Rights) -> Result<Self, OpenError> {
        Ok(Self(login.clone()))
    }
    pub(super) async fn log_in(&self, servers: &Servers, _refused: Option<&Arc<Secret>>) -> Result<(), StoreError> {
        if let Login::Token(from) = &self.0 {
            servers.set_token(Some(source::read(from).map_err(|e| StoreError::Config(e.to_string()))?));
        }
        Ok(())
    }
    pub(super) async fn keep(&self, _servers: &Servers, _health: &Health, stop: CancellationToken) {
        stop.cancelled().await;
    }
}
