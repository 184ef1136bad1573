//! Clients that log in again and again, by every protocol, each on a connection of its own, until they are stopped. Every
//! answer is kept.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use locum::model::Protocol;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::openbao::eventually;
use crate::support::{Actor, Doors, Lab};

/// Between two logins of a client: what many of them make in a minute is seen in a second, and two cores bear it.
const PAUSE: Duration = Duration::from_millis(25);

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    LetIn,
    /// Try again later.
    Later,
    /// The name or the password is wrong.
    Wrong,
    /// Anything else, which is never right here.
    Odd,
}

impl Verdict {
    pub(crate) fn of(protocol: Protocol, answer: &str) -> Self {
        let [let_in, later, wrong] = match protocol {
            Protocol::Imap => ["a OK ", "a NO [UNAVAILABLE] ", "a NO [AUTHENTICATIONFAILED] "],
            Protocol::Pop3 => ["+OK ", "-ERR [SYS/TEMP] Temporary failure, try again later", "-ERR [AUTH] "],
            Protocol::Submission => {
                ["235 ", "454 4.7.0 Temporary authentication failure, try again later", "535 5.7.8 "]
            }
        };
        let meanings = [(let_in, Self::LetIn), (later, Self::Later), (wrong, Self::Wrong)];
        meanings.into_iter().find(|(start, _)| answer.starts_with(start)).map_or(Self::Odd, |(_, meaning)| meaning)
    }
}

/// One login.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) began: Instant,
    /// From the first byte of the connection to the answer.
    pub(crate) took: Duration,
    pub(crate) verdict: Verdict,
    client: usize,
    #[expect(dead_code, reason = "it is shown where it is not right")]
    text: String,
}

/// The clients, until they are stopped.
pub(crate) struct Traffic {
    clients: Vec<JoinHandle<()>>,
    answers: Arc<Mutex<Vec<Answer>>>,
    stop: CancellationToken,
}

impl Traffic {
    /// The known clients of a lab, at one of its nodes: alice by every protocol, and the scanner, whose provider takes
    /// passwords for submission alone.
    pub(crate) fn start(node: &Doors, lab: &Lab) -> Self {
        let (answers, stop) = (Arc::default(), CancellationToken::new());
        let pairs = Protocol::ALL.map(|protocol| (&lab.alice, protocol)).into_iter();
        let pairs = pairs.chain([(&lab.scanner, Protocol::Submission)]);
        let clients = pairs.enumerate().map(|(client, (actor, protocol))| {
            let (node, actor) = (node.clone(), actor.clone());
            let (answers, stop) = (Arc::clone(&answers), stop.clone());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    let answer = log_in(&node, client, &actor, protocol).await;
                    lock(&answers).push(answer);
                    stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                }
            })
        });
        Self { clients: clients.collect(), answers, stop }
    }

    /// Until each client has begun to log in after this, and was told that.
    pub(crate) async fn all(&self, told: Verdict) {
        let since = Instant::now();
        let what = format!("each client to be told {told:?}");
        eventually(&what, async || {
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a client got no answer");
            let answers = lock(&self.answers);
            let odd = answers.iter().find(|answer| answer.verdict == Verdict::Odd);
            assert!(odd.is_none(), "{odd:?}");
            let is_told = |client| {
                let own = answers.iter().rev().take_while(|answer| answer.began + answer.took > since);
                own.filter(|answer| answer.client == client)
                    .any(|answer| answer.began > since && answer.verdict == told)
            };
            (0..self.clients.len()).all(is_told).then_some(())
        })
        .await;
    }

    /// Stops the clients; everything that they were told.
    pub(crate) async fn end(self) -> Answers {
        self.stop.cancel();
        for client in self.clients {
            client.await.expect("a client that gets no answer panics");
        }
        Answers(std::mem::take(&mut lock(&self.answers)))
    }
}

/// What clients were told.
pub(crate) struct Answers(Vec<Answer>);

impl Answers {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Answer> {
        self.0.iter()
    }

    /// Panics unless each answer is one of these.
    pub(crate) fn are_all(&self, name: &str, right: &[Verdict]) {
        let wrong: Vec<_> = self.iter().filter(|answer| !right.contains(&answer.verdict)).collect();
        assert!(wrong.is_empty(), "{name}: {} of {} logins: {:#?}", wrong.len(), self.0.len(), wrong.first());
    }

    /// How long logins took that began in that time: how many there were, the median, and the longest.
    pub(crate) fn figures(&self, from: Instant, to: Instant) -> (usize, Duration, Duration) {
        let during = self.iter().filter(|answer| (from..to).contains(&answer.began));
        let mut times: Vec<_> = during.map(|answer| answer.took).collect();
        times.sort();
        let longest = times.last().copied().unwrap_or_default();
        (times.len(), times.get(times.len() / 2).copied().unwrap_or_default(), longest)
    }
}

async fn log_in(node: &Doors, client: usize, actor: &Actor, protocol: Protocol) -> Answer {
    let began = Instant::now();
    let (wire, text) = node.present(protocol, &actor.login, &actor.secret).await;
    let took = began.elapsed();
    drop(wire);
    Answer { began, took, client, verdict: Verdict::of(protocol, &text), text }
}

fn lock(answers: &Mutex<Vec<Answer>>) -> MutexGuard<'_, Vec<Answer>> {
    answers.lock().unwrap()
}
