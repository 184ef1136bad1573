//! How an access token ages.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;

use super::super::Granted;
use crate::model::{Secret, Shield, Shielded};

/// A token with less time than this, or than a tenth of its life, is not begun with: the login takes a while, too, and some
/// of Microsoft's servers refuse a token that is about to end.
const NEARLY_OVER: Duration = Duration::from_secs(60);

/// A token to present to a provider. It lives in memory alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    secret: Shielded,
    obtained: Instant,
    due: Instant,
    nearly_over: Instant,
    ends: Instant,
}

/// How much of its life a token has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// Used, and that is all.
    Fresh,
    /// Used, and the next one is got meanwhile.
    Due,
    /// Used only if there is no other.
    NearlyOver,
    Over,
}

impl AccessToken {
    /// As it was granted in answer to a request that began then.
    pub(super) fn new(granted: &Granted, began: Instant, refresh_ahead: Duration, shield: &Shield) -> Self {
        let life = granted.expires_in;
        // A fifth less or more by chance: nodes that got theirs together do not come together for the next.
        let ahead = refresh_ahead.min(life / 4).mul_f64(0.8 + 0.2 * chance());
        Self {
            secret: shield.over(&granted.access_token),
            obtained: began,
            due: began + life - ahead,
            nearly_over: began + life - NEARLY_OVER.min(life / 10),
            ends: began + life,
        }
    }

    /// What to present.
    pub fn secret(&self) -> Secret {
        self.secret.open()
    }

    /// How long the authority said that it lives on.
    pub fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    pub(super) fn age(&self, now: Instant) -> Age {
        match now {
            now if now < self.due => Age::Fresh,
            now if now < self.nearly_over => Age::Due,
            now if now < self.ends => Age::NearlyOver,
            _ => Age::Over,
        }
    }

    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        self.obtained > other.obtained && self.secret != other.secret
    }

    pub(super) fn is_younger_than(&self, age: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.obtained) < age
    }
}

/// From 0 to 1. It decides over no secret, so one half is good enough where there is no chance.
pub(super) fn chance() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
