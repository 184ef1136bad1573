//! What is measured.

mod crowd;
mod idle;
mod logins;
mod records;
mod relay;
mod roundtrip;
mod submission;

pub(crate) use records::RECORDS;

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::drive::{CLIENTS, drive};
use crate::load::Key;
use crate::load::clients::{Caller, Failure, Line, Way};
use crate::sheet::Sheet;
use crate::subject::{Ground, Running, Subject};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Logins,
    Submission,
    Relay,
    Idle,
    RoundTrip,
    Crowd,
    Records,
}

/// Where it is measured.
pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    pub(crate) ground: Ground,
    pub(crate) sheet: Sheet,
    pub(crate) round: usize,
}

impl Measure {
    pub(crate) const ALL: [Self; 7] =
        [Self::Logins, Self::Submission, Self::Relay, Self::Idle, Self::RoundTrip, Self::Crowd, Self::Records];

    /// What it is called behind `--`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Logins => "logins",
            Self::Submission => "submission",
            Self::Relay => "relay",
            Self::Idle => "idle",
            Self::RoundTrip => "roundtrip",
            Self::Crowd => "crowd",
            Self::Records => "records",
        }
    }

    /// Once, of that subject.
    pub(crate) fn take(self, bench: &mut Bench, subject: Subject) {
        match self {
            Self::Logins => logins::take(bench, subject),
            Self::Submission => submission::take(bench, subject),
            Self::Relay => relay::take(bench, subject),
            Self::Idle => idle::take(bench, subject),
            Self::RoundTrip => roundtrip::take(bench, subject),
            Self::Crowd => crowd::take(bench, subject),
            Self::Records => records::take(bench, subject),
        }
    }
}

impl Bench {
    /// One that has seen each of its clients once, which is what costs more than it does ever after.
    fn start_warm(&mut self, subject: Subject) -> Running {
        let running = self.ground.start(subject);
        self.warm(&running);
        running
    }

    fn warm(&mut self, running: &Running) {
        let caller = running.caller();
        let warm = drive(&self.runtime, &mut self.ground.upstream, running, (CLIENTS, Duration::ZERO), |client, _| {
            let (caller, keys) = (&caller, running.keys.iter().skip(client).step_by(CLIENTS));
            async move {
                for key in keys {
                    log_in_and_out(caller, Way::Imap, key).await?;
                }
                Ok(())
            }
        });
        warm.check(&mut self.sheet, running);
    }
}

/// A whole session that does nothing.
async fn log_in_and_out(caller: &Caller, way: Way, key: &Key) -> Result<(), Failure> {
    log_out(caller.log_in(way, key).await?, way).await
}

/// Ends a session as clients do that mean well.
async fn log_out(mut line: Line, way: Way) -> Result<(), Failure> {
    match way {
        Way::Imap => line.ask("z LOGOUT", "* BYE").await?,
        Way::Pop3 => line.ask("QUIT", "+OK").await?,
        Way::Submission | Way::Submissions => line.ask("QUIT", "221").await?,
    }
    line.end().await
}
