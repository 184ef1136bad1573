//! Keeps sessions true to what they were let in by: those whose client, secret, right or time is gone end at once. It must
//! never end one because the store does not answer, nor ask it more at once than it can bear beside logins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Listener, Sessions};
use crate::audit::Origin;
use crate::broker::{Terms, Way};
use crate::model::{Recognition, UnknownLogins, normalise};

/// Records that are read at once. The store is for logins first; a thousand of these take a second or so from a server.
const READS_MAX: usize = 8;

/// Pause before a store that did not answer is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// All clients that have sessions are looked at this often, whatever was heard: a writer may die before it tells, and some
/// write without telling. Ten thousand take some ten seconds then; whoever is heard of meanwhile goes before them.
const LOOK_AT_ALL: Duration = Duration::from_secs(5 * 60);

/// The clock of the host may be set while the next end is waited for.
const NAP_MAX: Duration = Duration::from_secs(30);

impl Sessions {
    /// Something was written: sessions of the clients that `concerns` says, by their normalised logins, are looked at again.
    pub fn doubt(&self, concerns: impl Fn(&str) -> bool) {
        self.live.doubt(concerns);
    }

    /// Ends sessions that may not go on, for as long as it runs.
    pub async fn keep_true(&self) {
        tokio::join!(self.keep_looking(), self.keep_time());
    }

    /// The same, where it is not known of whom something was written.
    pub fn doubt_all(&self) {
        self.live.doubt_all();
    }

    /// These are the listeners now. Who was let in without a secret by what they do not let in by any more is out.
    pub fn hold_to(&self, listeners: &[Arc<Listener>]) {
        self.live.hold_to(|login, terms, origin| may_go_on(listeners, login, terms, origin));
    }

    /// One timer for all.
    async fn keep_time(&self) {
        loop {
            let now = Timestamp::now();
            let nap = self.live.end_overdue(now).map(|next| now.duration_until(next).unsigned_abs().min(NAP_MAX));
            // A moment more than is left: timers round down, and a nap of nothing would spin.
            let nap = nap.map_or(NAP_MAX, |nap| nap + Duration::from_millis(1));
            let _ = timeout(nap, self.live.new_end()).await;
        }
    }

    async fn keep_looking(&self) {
        let mut looks = FuturesUnordered::new();
        let mut under_way: BTreeSet<String> = BTreeSet::new();
        let (mut look_at_all, mut rests_until) = (Instant::now() + LOOK_AT_ALL, Instant::now());
        loop {
            let (has_room, rests) = (looks.len() < READS_MAX, rests_until > Instant::now());
            tokio::select! {
                Some(look) = looks.next(), if !looks.is_empty() => {
                    let (login, is_known): (String, bool) = look;
                    under_way.remove(&login);
                    if !is_known {
                        rests_until = Instant::now() + AGAIN_AFTER;
                        self.live.doubt_still(login);
                    }
                }
                login = self.live.doubted(&under_way), if has_room && !rests => {
                    under_way.insert(login.clone());
                    looks.push(self.look_at(login));
                }
                () = sleep_until(rests_until), if rests => {}
                () = sleep_until(look_at_all) => {
                    look_at_all = Instant::now() + LOOK_AT_ALL;
                    self.live.doubt_all();
                }
            }
        }
    }

    /// Looks at one client; whether there is no more to be learnt of it now.
    async fn look_at(&self, login: String) -> (String, bool) {
        match self.broker.standing(&login).await {
            Ok(standing) => {
                let now = Timestamp::now();
                self.live.judge(&login, |account, terms, origin| standing.of_session(account, terms, origin, now));
                (login, true)
            }
            Err(error) if error.is_transient() => {
                tracing::debug!(login, %error, "whether its sessions may go on is not known; they do");
                (login, false)
            }
            Err(error) => {
                tracing::warn!(login, %error, "whether its sessions may go on cannot be known; they do");
                (login, true)
            }
        }
    }
}

/// Whether a session that no secret proved would be let in again. Those of clients live by their records.
fn may_go_on(listeners: &[Arc<Listener>], login: &str, terms: &Terms, origin: &Origin) -> bool {
    if terms.recognised.is_none() && terms.way.is_none() {
        return true;
    }
    let listener = listeners.iter().find(|listener| *listener.options.name == *origin.listener);
    let Some(entrance) = listener.map(|listener| &listener.options.entrance) else { return false };
    if let Some(mark) = &terms.recognised {
        let is_it = |known: &Recognition| known.mark == *mark && normalise(&known.client) == login;
        return entrance.recognitions.iter().any(is_it);
    }
    match terms.way {
        Some(Way::Passthrough) => match &entrance.unknown_logins {
            UnknownLogins::Passthrough { networks, .. } => networks.iter().any(|it| it.contains(&origin.peer)),
            UnknownLogins::Reject => false,
        },
        // A window that closes by itself ends no session, and one that was taken out does.
        Some(Way::Learn | Way::FirstLogin) | None => entrance.enrolment.is_some(),
    }
}
