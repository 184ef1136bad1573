//! From an attempt that no client secret proves to an upstream that is logged in: what the broker leaves to the provider or to
//! the record to say. It must never come here for a login that is a client's.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::login::Login;
use super::meters::Denied;
use super::{Listener, Sessions};
use crate::audit::Origin;
use crate::broker::{Reason, Unproven, Way};
use crate::enrolment::{Enrolment, Learnt, Turn};
use crate::model::{Attempt, Entrance, Refusal, UnknownLogins};

/// What came in, and where.
#[derive(Clone, Copy)]
struct Coming<'a> {
    attempt: &'a Attempt,
    origin: &'a Origin,
    listener: &'a Listener,
    /// Cancelled once nobody waits for the answer.
    gone: &'a CancellationToken,
    began: Instant,
}

impl Sessions {
    /// Finds out about a login that nothing proves yet, one at a time, and lets it in if it is believed.
    pub(super) async fn enrol(
        &self,
        mut unproven: Box<Unproven>,
        attempt: &Attempt,
        origin: &Origin,
        listener: &Listener,
        gone: &CancellationToken,
    ) -> Result<Box<Login>, Denied> {
        let coming = Coming { attempt, origin, listener, gone, began: Instant::now() };
        let Some(enrolment) = &self.enrolment else { return Err(Denied::from(&Reason::Unproven(unproven))) };
        let turn = enrolment.begin(&unproven, origin).await?;
        if turn.has_waited() {
            // For others of the same name, as a rule: then it is a client's by now.
            let mut proven = None;
            let entrance = &listener.options.entrance;
            match self.broker.decide_telling(attempt, origin, entrance, &mut proven).await {
                Ok(lease) => {
                    drop(turn);
                    return self.enter_seen(lease, attempt.method, origin, gone).await;
                }
                Err(Reason::Unproven(still)) => unproven = still,
                Err(reason) => return Err(self.deny(&reason, proven, attempt, origin)),
            }
        }
        match unproven.way() {
            Way::Learn | Way::Passthrough => self.show(enrolment, turn, &unproven, coming).await,
            Way::FirstLogin => {
                let taken = enrolment.take_first(&unproven, origin).await;
                drop(turn);
                taken?;
                self.authenticate_as_known(coming).await
            }
        }
    }

    /// Shows the provider what was presented, and nobody else's credential.
    async fn show(
        &self,
        enrolment: &Enrolment,
        turn: Turn,
        unproven: &Unproven,
        coming: Coming<'_>,
    ) -> Result<Box<Login>, Denied> {
        let Coming { attempt, origin, began, .. } = coming;
        let shown = async {
            enrolment.check(&turn, unproven, origin)?;
            let lease = self
                .broker
                .lease_on_trial(unproven)
                .map_err(|reason| enrolment.failed(unproven, origin, reason.to_string(), reason.refusal()))?;
            let asked = Instant::now();
            let result = self.upstreams.log_in(&lease).await;
            self.record_upstream(origin, &lease, result.as_ref().err(), asked.elapsed());
            let logged_in = result.map_err(|error| enrolment.refused(&turn, unproven, origin, &error))?;
            Ok::<_, Refusal>((lease, logged_in))
        };
        let (lease, logged_in) = match shown.await {
            Ok(entered) => entered,
            Err(refusal) => {
                drop(turn);
                if refusal == Refusal::WrongCredentials {
                    self.broker.proved_wrong(attempt, origin, began).await;
                }
                return Err(refusal.into());
            }
        };
        if unproven.way() == Way::Passthrough {
            enrolment.passed_through(unproven);
            return Ok(self.entered(&lease, logged_in, origin));
        }
        let learnt = enrolment.learn(unproven, origin).await;
        drop(turn);
        match learnt {
            Learnt::Enrolled(made) => {
                let (client, secret) = *made;
                let lease = self.broker.lease_of_enrolled(lease, unproven, &client, &secret);
                Ok(self.entered(&lease, logged_in, origin))
            }
            Learnt::LetIn => Ok(self.entered(&self.broker.lease_of_let_in(lease, unproven), logged_in, origin)),
            Learnt::Overtaken => {
                drop(logged_in);
                self.authenticate_as_known(coming).await
            }
        }
    }

    /// Decides by what the record says now, and by nothing else.
    async fn authenticate_as_known(&self, coming: Coming<'_>) -> Result<Box<Login>, Denied> {
        let Coming { attempt, origin, listener, gone, .. } = coming;
        let usual = listener.options.entrance.clone();
        let entrance = Entrance { enrolment: None, unknown_logins: UnknownLogins::Reject, ..usual };
        let mut proven = None;
        match self.broker.decide_telling(attempt, origin, &entrance, &mut proven).await {
            Ok(lease) => self.enter_seen(lease, attempt.method, origin, gone).await,
            Err(reason) => Err(self.deny(&reason, proven, attempt, origin)),
        }
    }
}
