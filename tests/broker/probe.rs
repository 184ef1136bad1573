//! A look into mailboxes: what opens is counted and left as it was; what does not is told with cause and remedy, whatever
//! the provider's words were.

use std::sync::Arc;
use std::time::Duration;

use locum::audit::Audit;
use locum::broker::{Broker, Choice, Directory, Reason, tokens};
use locum::model::Protocol;
use locum::net::{HttpOptions, Https, tls};
use locum::sandbox::{Behaviour, Face, Start};
use locum::upstream::{Cause, Mailbox, UpstreamError, Upstreams};

use crate::support::{Fake, Identity, Lab, Plan, Provider, Step};

const APP_PASSWORD: &str = "ytrewqlkjhgfdsam";

/// What an operator's command has.
struct Prober {
    broker: Broker,
    upstreams: Upstreams,
}

impl Prober {
    fn new(lab: &Lab) -> Self {
        let config = lab.config().clone();
        let directory = Directory::new(Arc::clone(&lab.store));
        let tls = tls::client_config(&config.tls).unwrap();
        let https = Https::new(&tls, HttpOptions::default()).unwrap();
        let tokens = Arc::new(tokens(directory.clone(), https, config.tokens));
        let broker = Broker::new(directory, tokens, config.upstreams, Audit::default(), config.broker);
        Self { broker, upstreams: Upstreams::new(tls, config.upstream) }
    }

    async fn probe(&self, account: &str, protocol: Protocol) -> Result<Mailbox, UpstreamError> {
        self.upstreams.probe_mailbox(&self.broker.lease_for(account, protocol, Choice::default()).await.unwrap()).await
    }
}

/// A lab with a provider that takes passwords everywhere, as Exchange on premises does; nothing waits there.
async fn exchange() -> (Lab, Provider) {
    let provider = Provider::serve("exchange", Face::ExchangeWithPasswords, Start::Implicit).await;
    let plan = Plan::new().provider(&provider);
    let plan = plan.tune(|config| config.upstream.not_connected_waits = [Duration::ZERO; 2]);
    (plan.start().await, provider)
}

#[tokio::test]
async fn a_mailbox_that_opens_is_counted() {
    let lab = Lab::start().await;
    let prober = Prober::new(&lab);
    lab.gmail.sandbox.deliver(&lab.alice.address, b"Subject: Again\r\n\r\nStill good.\r\n");
    for _ in 0..2 {
        for (protocol, messages) in [(Protocol::Imap, Some(2)), (Protocol::Pop3, Some(2)), (Protocol::Submission, None)]
        {
            assert_eq!(prober.probe(&lab.alice.address, protocol).await.unwrap(), Mailbox { messages }, "{protocol}");
        }
    }
    assert_eq!(lab.gmail.logins().len(), 6);
    assert!(lab.audit().is_empty(), "nobody was let in");
}

#[tokio::test]
async fn a_look_does_not_wait_as_long_as_a_message() {
    let plan = Plan::new().tune(|config| {
        config.upstream.gate_timeout = Duration::from_millis(50);
        assert!(config.upstream.pace_timeout > Duration::from_secs(60));
        for profile in config.upstreams.values_mut() {
            let endpoint = Arc::make_mut(profile).endpoints.get_mut(&Protocol::Submission).unwrap();
            (endpoint.sessions_max, endpoint.messages_per_minute) = (1, Some(1));
        }
    });
    let lab = plan.start().await;
    let prober = Prober::new(&lab);
    // Another look: sessions of another process are not known here.
    let lease = prober.broker.lease_for(&lab.alice.address, Protocol::Submission, Choice::default()).await.unwrap();
    let _inside = prober.upstreams.log_in(&lease).await.unwrap();
    let looking = prober.probe(&lab.alice.address, Protocol::Submission);
    let error = tokio::time::timeout(Duration::from_secs(10), looking).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("all 1 places of the mailbox stayed taken"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_remedy() {
    use Behaviour::*;
    use Protocol::*;
    let (lab, provider) = exchange().await;
    let cases = [
        (Imap, Normal, "other-password", Cause::AuthBad, "make a new app password and store it"),
        (Pop3, Normal, "other-password", Cause::AuthBad, "make a new app password and store it"),
        (Submission, Normal, "other-password", Cause::AuthBad, "make a new app password and store it"),
        (Imap, NotConnected, APP_PASSWORD, Cause::MailboxMap, "Set-CASMailbox <mailbox> -ImapEnabled $true"),
        (Submission, SmtpAuthDisabledForTenant, APP_PASSWORD, Cause::ProtocolOff, "Set-TransportConfig"),
        (Submission, SmtpAuthDisabledForMailbox, APP_PASSWORD, Cause::ProtocolOff, "Set-CASMailbox"),
        (Imap, BasicAuthDisabled, APP_PASSWORD, Cause::AuthPolicy, "OAuth2"),
        (Pop3, BasicAuthDisabled, APP_PASSWORD, Cause::AuthPolicy, "OAuth2"),
        (Imap, Throttled, APP_PASSWORD, Cause::Limited, "sessions-max"),
        (Imap, ServerUnavailable, APP_PASSWORD, Cause::Unavailable, "a fault at Microsoft"),
    ];
    let prober = Prober::new(&lab);
    for (number, (protocol, behaviour, password, cause, remedy)) in cases.into_iter().enumerate() {
        let actor = lab.enrol(&format!("p{number}"), provider.name, APP_PASSWORD).await;
        provider.add_mailbox(&actor.address, password, behaviour);
        let error = prober.probe(&actor.address, protocol).await.unwrap_err();
        assert_eq!(error.cause(), cause, "{error}");
        assert!(error.remedy().contains(remedy) && error.to_string().contains(error.plain()), "{error}");
        assert!(!error.to_string().contains(APP_PASSWORD), "{error}");
    }
}

#[tokio::test]
async fn a_provider_s_trailer_is_kept_for_its_support() {
    let (lab, provider) = exchange().await;
    let actor = lab.enrol("p", provider.name, APP_PASSWORD).await;
    provider.add_mailbox(&actor.address, APP_PASSWORD, Behaviour::AccountLocked);
    let error = Prober::new(&lab).probe(&actor.address, Protocol::Submission).await.unwrap_err();
    let (_, trailer) = error.detail().rsplit_once('[').unwrap();
    assert!(trailer.ends_with(']') && error.to_string().contains(trailer), "{error}");
}

#[tokio::test]
async fn a_protocol_that_takes_no_password_and_an_account_that_is_not_there_have_no_lease() {
    let lab = Lab::start().await;
    let prober = Prober::new(&lab);
    let lease = prober.broker.lease_for(&lab.scanner.address, Protocol::Imap, Choice::default()).await;
    assert!(matches!(lease.unwrap_err(), Reason::Credential(_)));
    let lease = prober.broker.lease_for("nobody@contoso.test", Protocol::Imap, Choice::default()).await;
    assert!(matches!(lease.unwrap_err(), Reason::AccountMissing { .. }));
    assert!(lab.exchange.logins().is_empty());
}

/// A throttled mailbox is left alone for as long as it was asked for, by whoever has that credential.
#[tokio::test]
async fn a_provider_is_left_alone_for_as_long_as_it_asks() {
    let (lab, provider) = exchange().await;
    let actor = lab.enrol("p", provider.name, APP_PASSWORD).await;
    provider.add_mailbox(&actor.address, APP_PASSWORD, Behaviour::Throttled);
    let prober = Prober::new(&lab);
    prober.probe(&actor.address, Protocol::Imap).await.unwrap_err();
    let error = prober.probe(&actor.address, Protocol::Imap).await.unwrap_err();
    assert!(error.detail().starts_with("not tried for another 9"), "{error}");
    assert!(error.remedy().contains("sessions-max"), "the remedy stays: {error}");
    assert_eq!(provider.logins().len(), 1);
}

/// IMAP under TLS, logged in by LOGIN; what follows is the script's.
fn imap(identity: &Identity, capabilities: &'static str, rest: &[Step]) -> Vec<Step> {
    let mut script = vec![
        Step::Tls(Arc::clone(&identity.server)),
        Step::Say("* OK [CAPABILITY IMAP4rev1] ready\r\n"),
        Step::Hear("L1 LOGIN"),
        Step::Say(capabilities),
    ];
    script.extend_from_slice(rest);
    script
}

const OPEN: &str = "L1 OK [CAPABILITY IMAP4rev1 UNSELECT] in\r\n";

async fn fake_lab(identity: &Identity, fakes: &[&Fake]) -> Lab {
    let mut plan = Plan::new().trust(identity);
    plan = plan.tune(|config| {
        config.upstream.not_connected_waits = [Duration::ZERO; 2];
        config.upstream.login_timeout = Duration::from_secs(20);
    });
    for fake in fakes {
        plan = plan.fake(fake);
    }
    plan.start().await
}

#[tokio::test]
async fn imap_is_examined_and_left_politely() {
    let identity = Identity::of("localhost");
    let (start, protocol) = (Start::Implicit, Protocol::Imap);
    let answer = "* FLAGS (\\Seen)\r\n* 0 RECENT\r\n* 17 EXISTS\r\nP1 OK [READ-ONLY] done\r\n";
    let with = imap(
        &identity,
        OPEN,
        &[
            Step::Hear("P1 EXAMINE INBOX"),
            Step::Say(answer),
            Step::Hear("P2 UNSELECT"),
            Step::Say("P2 OK done\r\n"),
            Step::Hear("P3 LOGOUT"),
            Step::Say("* BYE\r\nP3 OK\r\n"),
        ],
    );
    let without = imap(
        &identity,
        "L1 OK [CAPABILITY IMAP4rev1] in\r\n",
        &[Step::Hear("P1 EXAMINE INBOX"), Step::Say(answer), Step::Hear("P3 LOGOUT"), Step::Say("P3 OK\r\n")],
    );
    let with = Fake::play("with", protocol, start, &with).await;
    let without = Fake::play("without", protocol, start, &without).await;
    let lab = fake_lab(&identity, &[&with, &without]).await;
    let prober = Prober::new(&lab);
    for fake in [&with, &without] {
        let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
        let mailbox = prober.probe(&actor.address, protocol).await.unwrap();
        assert_eq!(mailbox.messages, Some(17), "{}", fake.name);
        fake.all_closed().await;
        assert!(fake.has_heard("P3 LOGOUT") && !fake.has_heard("NOOP"), "{}", fake.name);
    }
    assert!(with.has_heard("UNSELECT") && !without.has_heard("UNSELECT"));
}

#[tokio::test]
async fn a_login_that_opens_no_mailbox_is_tried_again_before_it_counts() {
    let identity = Identity::of("localhost");
    let not_connected = "L1 BAD User is authenticated but not connected.\r\n* BYE Connection closed. 14\r\n";
    let closed = imap(&identity, not_connected, &[]);
    let open = imap(
        &identity,
        OPEN,
        &[Step::Hear("P1"), Step::Say("* 3 EXISTS\r\nP1 OK\r\n"), Step::Hear("P2"), Step::Say("P2 OK\r\n")],
    );
    let scripts = vec![closed.clone(), closed.clone(), open, closed];
    let fake = Fake::play_all("churn", Protocol::Imap, Start::Implicit, scripts).await;
    let lab = fake_lab(&identity, &[&fake]).await;
    let actor = lab.enrol("churn", "churn", APP_PASSWORD).await;
    let prober = Prober::new(&lab);
    assert_eq!(prober.probe(&actor.address, Protocol::Imap).await.unwrap().messages, Some(3));
    assert_eq!(fake.connections(), 3);
    let error = prober.probe(&actor.address, Protocol::Imap).await.unwrap_err();
    assert_eq!((error.cause(), fake.connections()), (Cause::MailboxMap, 6));
}

#[tokio::test]
async fn whatever_follows_the_login_is_told_and_bounded() {
    let identity = Identity::of("localhost");
    let after = |rest: &[Step]| imap(&identity, OPEN, rest);
    let (hear, say) = (Step::Hear("P1 EXAMINE"), Step::Say);
    let cases = [
        (
            "refused",
            after(&[hear.clone(), say("P1 BAD User is authenticated but not connected.\r\n")]),
            Cause::MailboxMap,
        ),
        // It took the password a moment ago, whatever it says now.
        ("denied", after(&[hear.clone(), say("P1 NO [AUTHENTICATIONFAILED] not yours\r\n")]), Cause::Refused),
        ("missing", after(&[hear.clone(), say("P1 NO no such folder\r\n")]), Cause::Refused),
        ("ended", after(&[hear.clone(), say("* BYE Session invalidated - AccessTokenExpired\r\n")]), Cause::Token),
        ("hung-up", after(std::slice::from_ref(&hear)), Cause::Unavailable),
        ("unnumbered", after(&[hear.clone(), say("P1 OK\r\n")]), Cause::Unavailable),
        ("lines", after(&[hear.clone(), Step::Flood("* 1 RECENT\r\n")]), Cause::Unavailable),
        ("line", after(&[hear.clone(), Step::Flood("* 1 RECENT ")]), Cause::Unavailable),
    ];
    let mut fakes = Vec::new();
    for (name, script, cause) in &cases {
        fakes.push((Fake::play(name, Protocol::Imap, Start::Implicit, script).await, *cause));
    }
    let lab = fake_lab(&identity, &fakes.iter().map(|(fake, _)| fake).collect::<Vec<_>>()).await;
    let prober = Prober::new(&lab);
    for (fake, cause) in &fakes {
        let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
        let error = prober.probe(&actor.address, Protocol::Imap).await.unwrap_err();
        assert_eq!((error.cause(), error.state()), (*cause, "EXAMINE INBOX"), "{}: {error}", fake.name);
        fake.all_closed().await;
    }
}

#[tokio::test]
async fn a_secret_that_comes_back_after_the_login_is_masked() {
    let identity = Identity::of("localhost");
    let quote = [Step::Hear("P1"), Step::Say("P1 NO what is ytrewqlkjhgfdsam\r\n")];
    let fake = Fake::play("quote", Protocol::Imap, Start::Implicit, &imap(&identity, OPEN, &quote)).await;
    let lab = fake_lab(&identity, &[&fake]).await;
    let actor = lab.enrol("quote", "quote", APP_PASSWORD).await;
    let error = Prober::new(&lab).probe(&actor.address, Protocol::Imap).await.unwrap_err();
    assert_eq!(error.detail(), format!("refused: NO what is {}", "*".repeat(APP_PASSWORD.len())));
}

#[tokio::test]
async fn pop3_and_submission_are_looked_into_as_well() {
    let identity = Identity::of("localhost");
    let pop3 = [
        Step::Tls(Arc::clone(&identity.server)),
        Step::Say("+OK ready\r\n"),
        Step::Hear("CAPA"),
        Step::Say("+OK\r\nUSER\r\n.\r\n"),
        Step::Hear("USER"),
        Step::Say("+OK\r\n"),
        Step::Hear("PASS"),
        Step::Say("+OK in\r\n"),
        Step::Hear("STAT"),
    ];
    let submission = [
        Step::Tls(Arc::clone(&identity.server)),
        Step::Say("220 ready\r\n"),
        Step::Hear("EHLO"),
        Step::Say("250-mx\r\n250 AUTH PLAIN\r\n"),
        Step::Hear("AUTH PLAIN"),
        Step::Say("235 2.7.0 in\r\n"),
        Step::Hear("NOOP"),
    ];
    let cases = [
        (Protocol::Pop3, "+OK 5 1234\r\n", Ok(Some(5))),
        (Protocol::Pop3, "+OK many\r\n", Err(Cause::Unavailable)),
        (Protocol::Pop3, "-ERR [IN-USE] another session has it\r\n", Err(Cause::Limited)),
        (Protocol::Submission, "250 2.0.0 OK\r\n", Ok(None)),
        (Protocol::Submission, "421 4.3.2 Service not available\r\n", Err(Cause::Unavailable)),
        (Protocol::Submission, "530 5.7.57 Client not authenticated to send mail.\r\n", Err(Cause::AuthPolicy)),
    ];
    let mut fakes = Vec::new();
    for (number, (protocol, answer, expected)) in cases.into_iter().enumerate() {
        let begin = if protocol == Protocol::Pop3 { &pop3[..] } else { &submission[..] };
        let script = [begin, &[Step::Say(answer), Step::Hear("QUIT")]].concat();
        fakes.push((Fake::play(&format!("f{number}"), protocol, Start::Implicit, &script).await, protocol, expected));
    }
    let lab = fake_lab(&identity, &fakes.iter().map(|(fake, ..)| fake).collect::<Vec<_>>()).await;
    let prober = Prober::new(&lab);
    for (fake, protocol, expected) in &fakes {
        let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
        let probed = prober.probe(&actor.address, *protocol).await;
        let found = probed.as_ref().map(|mailbox| mailbox.messages).map_err(UpstreamError::cause);
        assert_eq!(found, *expected, "{}: {probed:?}", fake.name);
        fake.all_closed().await;
    }
}

/// A sentence of `tests/sentences`, and a provider that says it.
struct Case {
    sentence: &'static str,
    cause: &'static str,
    protocol: Protocol,
    fake: Fake,
}

/// Every sentence over a real wire; those about tokens are held against their table where no credential is needed.
#[tokio::test]
async fn each_sentence_about_an_app_password_is_told_with_cause_and_remedy() {
    const SENTENCES: [&str; 2] =
        [include_str!("../sentences/exchange-online.txt"), include_str!("../sentences/others.txt")];
    let identity = Identity::of("localhost");
    let mut cases = Vec::new();
    let lines = SENTENCES.into_iter().flat_map(str::lines).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for (number, line) in lines.enumerate() {
        let columns: Vec<&'static str> = line.splitn(5, '|').map(str::trim).collect();
        let [_, protocol, kind, cause, sentence] = columns[..] else { panic!("five columns: {line}") };
        if kind == "oauth2" {
            continue;
        }
        let protocol = protocol.parse().unwrap_or(Protocol::Imap);
        let script = refusing(&identity, protocol, sentence);
        let fake = Fake::play(&format!("s{number}"), protocol, Start::Implicit, &script).await;
        cases.push(Case { sentence, cause, protocol, fake });
    }
    assert!(cases.len() > 60, "the sentences are gone");
    let lab = fake_lab(&identity, &cases.iter().map(|case| &case.fake).collect::<Vec<_>>()).await;
    let prober = Prober::new(&lab);
    for Case { sentence, cause, protocol, fake } in &cases {
        let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
        let error = prober.probe(&actor.address, *protocol).await.unwrap_err();
        assert_eq!(error.cause().name(), *cause, "{sentence}: {error}");
        let told = error.to_string();
        assert!(told.contains(sentence) && told.contains(error.plain()) && told.contains(error.remedy()), "{told}");
        assert!(error.remedy().len() > 8, "{told}");
    }
}

/// A provider that says this to a login.
fn refusing(identity: &Identity, protocol: Protocol, sentence: &str) -> Vec<Step> {
    let said: &'static str = match protocol {
        Protocol::Imap if sentence.starts_with("BYE") => format!("* {sentence}\r\n").leak(),
        Protocol::Imap => format!("L1 {sentence}\r\n").leak(),
        Protocol::Pop3 | Protocol::Submission => format!("{sentence}\r\n").leak(),
    };
    let (greeting, question, offer, login) = match protocol {
        Protocol::Imap => return imap(identity, said, &[]),
        Protocol::Pop3 => ("+OK ready\r\n", "CAPA", "+OK\r\nSASL PLAIN\r\n.\r\n", "AUTH PLAIN"),
        Protocol::Submission => ("220 ready\r\n", "EHLO", "250-mx\r\n250 AUTH PLAIN\r\n", "AUTH PLAIN"),
    };
    let tls = Step::Tls(Arc::clone(&identity.server));
    let mut script = vec![tls, Step::Say(greeting), Step::Hear(question), Step::Say(offer), Step::Hear(login)];
    if protocol == Protocol::Pop3 {
        // POP3 asks for the response by itself.
        script.extend([Step::Say("+ \r\n"), Step::Hear("")]);
    }
    script.push(Step::Say(said));
    script
}
