//! A token that somebody else obtained: an agent, or a person. It must never be given up for good: whoever renewed it
//! puts the new one where the old one was.

use super::super::failure::Failure;
use super::super::servers::Servers;
use super::super::source::Place;
use super::exchange::{Granted, Life};
use super::setback::Setback;
use crate::model::Secret;

#[derive(Debug)]
pub(super) struct TokenLogin {
    pub(super) place: Place,
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

    /// No lasting setback: what is remembered is used meanwhile, and a new token needs no restart.
    fn refused(&self) -> Setback {
        let again = match self.place {
            Place::File(_) | Place::OpenFile(_) => "it is read again",
            Place::Variable { .. } => "then start again",
        };
        Setback::Passing(format!(
            "the server refused the token in {}: renew it, or put a new one there; {again}",
            self.place
        ))
    }
}
