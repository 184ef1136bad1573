//! The gates that a lease has to pass before its login: of its class, of the part of the mailbox that is its class's, and of
//! the mailbox. In this order, the same for all: who waits at a later one holds back none but its own class.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tokio::time::{Instant, timeout_at};

use super::gate::{Gates, Mailbox, Place};
use super::{Attempt, Cause, ClassOptions, Options, UpstreamError};
use crate::broker::Lease;

/// Unknown classes that the log told of. Operators name them, and nobody makes up so many.
const TOLD_MAX: usize = 64;

/// The gates, and what is said about them.
#[derive(Debug, Default)]
pub(super) struct Passages {
    gates: Gates,
    /// Classes that records name and the configuration lacks.
    told: Mutex<BTreeSet<String>>,
}

/// What a session holds of its gates. Given back when dropped.
#[derive(Debug)]
pub struct Places {
    _mailbox: Place,
    _mailbox_for_class: Option<Place>,
    _class: Option<Place>,
}

impl Passages {
    /// Logins that wait at any of the gates.
    pub(super) fn waiting(&self) -> usize {
        self.gates.waiting()
    }

    /// Waits at each gate, for `options.gate_timeout` in all.
    pub(super) async fn enter(
        &self,
        lease: &Lease,
        attempt: &Attempt<'_>,
        options: &Options,
        until: Instant,
    ) -> Result<Places, UpstreamError> {
        let late = |detail: String| attempt.failed("gate", Cause::Unavailable.into(), detail);
        let (upstream, identity) = (lease.upstream(), lease.credentials().identity.as_str());
        let mailbox = Mailbox { upstream, identity, protocol: lease.protocol() };
        let (mut of_class, mut of_both) = (None, None);
        if let Some((name, class)) = self.class_of(lease, options) {
            if let Some(places) = class.sessions_max {
                let entered = timeout_at(until, self.gates.enter_class(name, places)).await;
                of_class =
                    Some(entered.map_err(|_| late(format!("all {places} places of the class {name} stayed taken")))?);
            }
            // Where the mailbox has no more than these anyway, its own gate says all.
            let places = class.sessions_per_mailbox_max.filter(|places| *places < lease.endpoint().sessions_max);
            if let Some(places) = places {
                let entered = timeout_at(until, self.gates.enter_as(name, mailbox, places)).await;
                let taken = |_| late(format!("all {places} places of the mailbox for the class {name} stayed taken"));
                of_both = Some(entered.map_err(taken)?);
            }
        }
        let places = lease.endpoint().sessions_max;
        let entered = timeout_at(until, self.gates.enter(mailbox, places)).await;
        let place = entered.map_err(|_| late(format!("all {places} places of the mailbox stayed taken")))?;
        Ok(Places { _mailbox: place, _mailbox_for_class: of_both, _class: of_class })
    }

    /// The class that a lease is in, if the configuration has it. One that it lacks bounds nothing: a node whose
    /// configuration is behind must not lock out whom another one lets in.
    fn class_of<'a>(&self, lease: &Lease, options: &'a Options) -> Option<(&'a str, &'a ClassOptions)> {
        let name = lease.terms().class.as_deref()?;
        let known = options.classes.get_key_value(name).map(|(name, class)| (name.as_str(), class));
        if known.is_none() && self.is_to_be_told(name) {
            tracing::warn!(
                login = lease.login(),
                class = name,
                "a client is in a class of quota that the configuration lacks; it is let in without: add \
                 [limits.class.{name}], or take it out with `locum client set`"
            );
        }
        known
    }

    fn is_to_be_told(&self, name: &str) -> bool {
        let mut told = self.told.lock().expect("nothing panics while it holds this lock");
        told.len() < TOLD_MAX && told.insert(name.to_owned())
    }
}
