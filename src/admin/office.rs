//! What all that is asked over HTTP works with.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::caller::Caller;
use super::{Auth, Node, Reload, Watched};
use crate::management::overview::Overview;
use crate::management::{Desk, Operations};
use crate::session::Sessions;
use crate::telemetry::Metrics;

/// The parts of the process that the API and the console look at and work with.
pub struct Office {
    /// What operators work with, as of the last reload; each caller gets it [in their own name](Desk::by).
    pub desk: Arc<ArcSwap<Desk>>,
    /// Knows who is an operator.
    pub auth: Auth,
    /// Long work that operators asked for.
    pub operations: Operations,
    /// What this process is, as of its last reload.
    pub node: Arc<ArcSwap<Node>>,
    /// How things stand, over all records.
    pub overview: Arc<Overview>,
    /// The sessions that are open.
    pub sessions: Arc<Sessions>,
    /// Has the configuration read again.
    pub reload: Reload,
    /// What is looked at to say how the process is.
    pub watched: Watched,
    /// What was counted.
    pub metrics: Metrics,
}

impl Office {
    /// The desk, in the name of who asks.
    pub(super) fn desk_of(&self, caller: &Caller) -> Desk {
        self.desk.load().by(&caller.name)
    }
}

impl fmt::Debug for Office {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Office").finish_non_exhaustive()
    }
}
