//! What was written to the store, handed to the sessions that may live by it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::model::{RecordId, RecordKind};
use crate::session::Sessions;
use crate::store::{Heard, News};

/// Has sessions end that may not go on, until `stop`.
pub(super) async fn watch(sessions: Arc<Sessions>, news: News, stop: CancellationToken) {
    let hearing = async {
        loop {
            match news.next().await {
                Heard::Anything => sessions.doubt_all(),
                Heard::Records(ids) => {
                    sessions.doubt(|login| ids.contains(&RecordId::new(RecordKind::Client, login)));
                }
            }
        }
    };
    let watching = async { tokio::join!(hearing, sessions.keep_true()) };
    let _: Option<((), ())> = stop.run_until_cancelled(watching).await;
}
