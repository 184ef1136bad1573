//! Connections that are made ahead of logins while many come: who finds one is let in sooner, and none is let in worse.

use std::sync::Arc;

use futures::FutureExt;
use locum::config::Config;
use locum::model::Protocol;
use locum::sandbox::Start;
use tokio::sync::Notify;

use crate::support::{Actor, Fake, Identity, Lab, Plan, Step};

/// So many logins have one more connection made.
const LOGINS: usize = 4;

const GREETING: Step = Step::Say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n");
const ASKED: Step = Step::Hear("AUTHENTICATE");
const IN: [Step; 2] = [Step::Say("L1 OK [CAPABILITY IMAP4rev1] in\r\n"), Step::Silence];

/// A provider whose fifth connection is one that waits for a login, and a client.
struct Stage {
    lab: Lab,
    fake: Fake,
    actor: Actor,
}

impl Stage {
    /// That connection goes on so, behind the greeting.
    async fn with(waiting: &[Step]) -> Self {
        let identity = Identity::of("localhost");
        let greeted = || vec![Step::Tls(Arc::clone(&identity.server)), GREETING];
        let usual = || [greeted(), vec![ASKED], IN.to_vec()].concat();
        let mut scripts: Vec<_> = (0..LOGINS).map(|_| usual()).collect();
        scripts.push([greeted(), waiting.to_vec()].concat());
        scripts.push(usual());
        let fake = Fake::play_all("own", Protocol::Imap, Start::Implicit, scripts).await;
        let lab = Plan::new().trust(&identity).fake(&fake).start().await;
        let actor = lab.enrol("busy", "own", "app-password").await;
        Self { lab, fake, actor }
    }

    /// What the logins are told, one after the other, until that has happened.
    async fn log_in_until(&self, met: &Notify) -> Vec<String> {
        let mut answers = Vec::new();
        while met.notified().now_or_never().is_none() {
            assert!(answers.len() < 100, "none is made ahead");
            answers.push(self.lab.present(Protocol::Imap, &self.actor.login, &self.actor.secret).await.1);
            if answers.len() == LOGINS {
                // Nobody logs in meanwhile: the next connection is the one that is made ahead.
                crate::keeper::until("one is made", async || self.fake.connections() > LOGINS).await;
            }
        }
        assert!(answers.len() > LOGINS);
        answers
    }

    /// Logins at the provider that the audit tells of, by their outcome.
    fn audited(&self, outcome: &str) -> usize {
        let events = self.lab.audit();
        events.iter().filter(|event| event["event"] == "upstream" && event["outcome"] == outcome).count()
    }
}

fn is_in(answer: &str) -> bool {
    answer.contains(" OK ")
}

#[tokio::test]
async fn a_login_is_on_the_connection_that_is_there() {
    let met = Arc::new(Notify::new());
    let stage = Stage::with(&[vec![ASKED, Step::Tell(Arc::clone(&met))], IN.to_vec()].concat()).await;
    let answers = stage.log_in_until(&met).await;
    assert!(answers.iter().all(|it| is_in(it)), "{answers:?}");
}

#[tokio::test]
async fn what_is_said_there_counts_and_the_credential_is_shown_once() {
    for no in ["L1 NO [AUTHENTICATIONFAILED] no\r\n", "* BYE too many connections\r\n"] {
        let met = Arc::new(Notify::new());
        let stage = Stage::with(&[ASKED, Step::Tell(Arc::clone(&met)), Step::Say(no), Step::Silence]).await;
        let mut answers = stage.log_in_until(&met).await;
        let last = answers.pop().unwrap();
        assert!(last.contains(" NO "), "{last}");
        assert!(answers.iter().all(|it| is_in(it)), "{answers:?}");
        crate::keeper::until("the audit tells of it", async || stage.audited("failed") == 1).await;
        assert_eq!(stage.audited("accepted"), answers.len());
    }
}

#[tokio::test]
async fn who_hangs_up_there_without_a_word_is_dialled_anew() {
    let met = Arc::new(Notify::new());
    let stage = Stage::with(&[ASKED, Step::Tell(Arc::clone(&met))]).await;
    let answers = stage.log_in_until(&met).await;
    assert!(answers.iter().all(|it| is_in(it)), "{answers:?}");
    crate::keeper::until("the audit tells of all", async || stage.audited("accepted") == answers.len()).await;
    assert_eq!(stage.audited("failed"), 0);
}

#[tokio::test]
async fn where_none_may_be_made_none_is() {
    let identity = Identity::of("localhost");
    let script = [vec![Step::Tls(Arc::clone(&identity.server)), GREETING, ASKED], IN.to_vec()].concat();
    let fake = Fake::play("own", Protocol::Imap, Start::Implicit, &script).await;
    let none = |config: &mut Config| {
        let profile = Arc::make_mut(config.upstreams.get_mut("own").unwrap());
        profile.endpoints.get_mut(&Protocol::Imap).unwrap().warm_max = 0;
    };
    let lab = Plan::new().trust(&identity).fake(&fake).tune(none).start().await;
    let actor = lab.enrol("busy", "own", "app-password").await;
    for _ in 0..3 * LOGINS {
        assert!(is_in(&lab.present(Protocol::Imap, &actor.login, &actor.secret).await.1));
    }
    assert_eq!(fake.connections(), 3 * LOGINS);
}
