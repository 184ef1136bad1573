//! A token that somebody else obtained: an agent, or a person. It must never be given up for good: whoever renewed it
//! puts the new one where the old one was.

use super::super::failure::Failure;
use super::super::servers::Servers;
use super::super::source::Place;
use super::bearer::Bearer;
use super::exchange::{Granted, Life};
use super::setback::Setback;
use crate::model::Secret;

#[derive(Debug)]
pub(super) struct TokenLogin {
    pub(super) place: Place,
    pub(super) bearer: Bearer,
}

impl TokenLogin {
    pub(super) async fn obtain(&self, servers: &Servers, refused: Option<&Secret>) -> Result<Granted, Setback> {
        let token = self.place.read().map_err(|error| Setback::unreadable(&error))?;
        // The first one is proven by the request that it is wanted for.
        let Some(refused) = refused else { return Ok(Granted { token, life: None }) };
        if *refused == token {
            return Err(self.refused());
        }
        match Life::look_up(servers, &token).await {
            Ok(life) => Ok(Granted { token, life: Some(life) }),
            Err(Failure::Forbidden) => Err(self.refused()),
            Err(failure) => Err(Setback::of(&failure, &format!("cannot look up the token in {}", self.place))),
        }
    }

    /// Whether there is another token now.
    pub(super) fn has_other_than(&self, token: &Secret) -> bool {
        self.place.read().is_ok_and(|found| found != *token)
    }

    /// Of a file that somebody keeps it is no lasting setback: what is remembered is used meanwhile, and a new token needs no
    /// restart.
    fn refused(&self) -> Setback {
        let Self { place, bearer } = self;
        let refused =
            format!("the server refused the token in {place}, which has expired, was revoked, or is of another server");
        match (place, bearer) {
            (Place::Variable { name, .. }, Bearer::Operator) => Setback::Lasting(format!(
                "{refused}: put another one there, or unset {name} and run `bao login` or `vault login`"
            )),
            (_, Bearer::Operator) => Setback::Lasting(format!("{refused}: run `bao login` or `vault login`")),
            (Place::Variable { .. }, _) => Setback::Lasting(format!("{refused}: put a new one there, and start again")),
            _ => Setback::Passing(format!("{refused}: renew it, or put a new one there; it is read again")),
        }
    }
}
