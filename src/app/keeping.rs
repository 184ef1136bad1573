//! What looks after credentials in the background, and who tells of it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Webhook;
use crate::management::Desk;
use crate::rotation::{Alerts, Keeper};
use crate::usage::Ledger;

/// Looks after them as `desk` says, until `stop`; nothing is begun any more then, and what was found is told until `kill`.
/// `name` is what this Locum calls itself in messages to the webhook, if there is one.
pub(super) fn keep(
    desk: &Desk,
    ledger: &Ledger,
    name: &str,
    tasks: &TaskTracker,
    stop: &CancellationToken,
    kill: &CancellationToken,
) {
    let alerts = match desk.options.webhook.clone() {
        Some(options) => {
            let courier = Arc::new(Webhook::new(desk.https.clone(), options));
            let (alerts, messenger) = Alerts::with_courier(desk.audit.clone(), courier, name);
            tasks.spawn(messenger.run(kill.clone()));
            alerts
        }
        None => Alerts::new(desk.audit.clone()),
    };
    tasks.spawn(Keeper::new(desk.rotation(), ledger.clone(), alerts).run(stop.clone()));
}
