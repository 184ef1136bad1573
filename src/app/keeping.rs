//! What looks after credentials in the background, and who tells of it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Webhook;
use crate::audit::Audit;
use crate::net::Https;
use crate::rotation::{Alerts, Keeper, Messenger, Rotation, WebhookOptions};
use crate::usage::Ledger;

/// Ready to run.
#[derive(Debug)]
pub(super) struct Keeping {
    keeper: Keeper,
    messenger: Option<Messenger>,
}

impl Keeping {
    /// `name` is what this Locum calls itself in messages to the webhook, if there is one.
    pub(super) fn new(
        rotation: Rotation,
        ledger: Ledger,
        audit: Audit,
        webhook: Option<(Https, WebhookOptions)>,
        name: &str,
    ) -> Self {
        let (alerts, messenger) = match webhook {
            Some((https, options)) => {
                let courier = Arc::new(Webhook::new(https, options));
                let (alerts, messenger) = Alerts::with_courier(audit, courier, name);
                (alerts, Some(messenger))
            }
            None => (Alerts::new(audit), None),
        };
        Self { keeper: Keeper::new(rotation, ledger, alerts), messenger }
    }

    /// Nothing is begun any more once clients are sent away; what was found until then is told.
    pub(super) fn spawn(self, tasks: &TaskTracker, drain: &CancellationToken, kill: &CancellationToken) {
        tasks.spawn(self.keeper.run(drain.clone()));
        if let Some(messenger) = self.messenger {
            tasks.spawn(messenger.run(kill.clone()));
        }
    }
}
