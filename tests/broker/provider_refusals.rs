//! Providers that do not let Locum in, each in its own words: the client is never told that its password is wrong, nor
//! any of those words; the operator is.

use std::time::Duration;

use locum::config::Config;
use locum::model::{Protocol, Refusal};
use locum::sandbox::{Behaviour, Face, Start};

use crate::answers::refused;
use crate::support::{Lab, Plan, Provider};

const APP_PASSWORD: &str = "mnbvcxzlkjhgfdsa";

/// What is wrong at the provider, what the client is told, and what stands in the audit.
type Case = (Protocol, Behaviour, Refusal, &'static str);

/// Where a login is taken and no mailbox opened, it is tried again at once.
fn without_waiting(config: &mut Config) {
    config.upstream.not_connected_waits = [Duration::ZERO; 2];
}

async fn assert_told(lab: &Lab, provider: &Provider, cases: &[Case]) {
    for (number, &(protocol, behaviour, refusal, remedy)) in cases.iter().enumerate() {
        let actor = lab.enrol(&format!("c{number}"), provider.name, APP_PASSWORD).await;
        provider.add_mailbox(&actor.address, APP_PASSWORD, behaviour);
        let before = provider.logins().len();
        let (_wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
        assert_eq!(answer, refused(protocol, refusal), "{protocol} {behaviour:?}");
        let logins = if behaviour == Behaviour::NotConnected { 3 } else { 1 };
        assert_eq!(provider.logins().len(), before + logins, "{protocol} {behaviour:?}: that many logins, no more");
        let event = lab.audit().pop().unwrap();
        assert_eq!((&event["event"], &event["outcome"]), (&"upstream".into(), &"failed".into()));
        let reason = event["reason"].as_str().unwrap();
        assert!(reason.contains(remedy), "{protocol} {behaviour:?}: {reason}");
        assert!(!reason.contains(APP_PASSWORD), "{reason}");
    }
}

#[tokio::test]
async fn gmail() {
    use Behaviour::*;
    use Protocol::*;
    let lab = Lab::start().await;
    let app_password = "make an app password at myaccount.google.com/apppasswords";
    let browser = "log in there once as this account";
    let mut cases = vec![
        (Imap, TooManyConnections, Refusal::LimitReached, "lower sessions-max: Google allows 15 per account"),
        (Submission, TooManyLoginAttempts, Refusal::LimitReached, "Google will take logins again after a while"),
    ];
    for protocol in Protocol::ALL {
        cases.extend([
            (protocol, ApplicationPasswordRequired, Refusal::ContactAdmin, app_password),
            (protocol, WebLoginRequired, Refusal::ContactAdmin, browser),
            (protocol, ServerUnavailable, Refusal::Unavailable, "the provider is out of reach"),
        ]);
    }
    assert_told(&lab, &lab.gmail, &cases).await;
}

#[tokio::test]
async fn exchange_online_submission() {
    use Behaviour::*;
    let lab = Lab::start().await;
    let admin = Refusal::ContactAdmin;
    let cases = [
        (BasicAuthDisabled, admin, "passwords are switched off here: it needs OAuth2"),
        (BasicAuthRetired, admin, "passwords are gone here: it needs OAuth2"),
        (SmtpAuthDisabledForTenant, admin, "Set-TransportConfig -SmtpClientAuthenticationDisabled $false"),
        (SmtpAuthDisabledForMailbox, admin, "Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false"),
        (SecurityDefaults, admin, "security defaults block passwords for the whole tenant"),
        (ConditionalAccess, admin, "look at the sign-in log in Entra"),
        (AccountLocked, admin, "Entra locked the account"),
        (AccountHasIssue, admin, "the account is disabled or needs action"),
        (FederationUnreachable, Refusal::Unavailable, "the organisation's AD FS does not answer Microsoft"),
        (ServerUnavailable, Refusal::Unavailable, "the provider is out of reach"),
    ];
    let cases = cases.map(|(behaviour, refusal, remedy)| (Protocol::Submission, behaviour, refusal, remedy));
    assert_told(&lab, &lab.exchange, &cases).await;
}

#[tokio::test]
async fn exchange_with_passwords() {
    use Behaviour::*;
    use Protocol::*;
    let provider = Provider::serve("exchange", Face::ExchangeWithPasswords, Start::Implicit).await;
    let plan = Plan::new().provider(&provider).tune(without_waiting);
    let lab = plan.start().await;
    let admin = Refusal::ContactAdmin;
    let off = "passwords are switched off here: it needs OAuth2";
    let mut cases = vec![
        (Imap, NotConnected, admin, "IMAP may be off for the mailbox"),
        (Imap, Throttled, Refusal::LimitReached, "fewer sessions at once for this mailbox (sessions-max)"),
        (Imap, TooManyConnections, Refusal::LimitReached, "lower sessions-max for this upstream"),
        (Imap, ServerUnavailable, Refusal::Unavailable, "a fault at Microsoft"),
        (Pop3, ServerUnavailable, Refusal::Unavailable, "a fault at Microsoft"),
        (Imap, BasicAuthDisabled, admin, off),
        (Pop3, BasicAuthDisabled, admin, off),
    ];
    for protocol in [Imap, Pop3] {
        for behaviour in [SecurityDefaults, ConditionalAccess, AccountLocked, AccountHasIssue] {
            // It says no more than that the login failed.
            cases.push((protocol, behaviour, admin, "the provider refused the credential"));
        }
    }
    assert_told(&lab, &provider, &cases).await;
}

/// The login succeeds, and what goes wrong afterwards is between the client and its provider.
#[tokio::test]
async fn what_is_refused_after_login_is_the_provider_s_to_say() {
    let lab = Lab::start().await;
    lab.exchange.sandbox.set_behaviour(&lab.scanner.address, Behaviour::SendAsDenied);
    let mut wire = lab.log_in(Protocol::Submission, &lab.scanner).await;
    wire.write("MAIL FROM:<boss@contoso.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n").await;
    wire.until("354 ").await;
    let answer = wire.ask("Subject: x\r\n\r\nx\r\n.").await;
    assert!(answer.starts_with("554 5.2.252 SendAsDenied; scans@contoso.test not allowed to send as"), "{answer}");
}

#[tokio::test]
async fn a_wrong_app_password_is_not_the_client_s_wrong_password() {
    let lab = Lab::start().await;
    for protocol in Protocol::ALL {
        let actor = lab.enrol(&format!("wrong-{protocol}"), "gmail", APP_PASSWORD).await;
        lab.gmail.add_mailbox(&actor.address, "another-one", Behaviour::Normal);
        let (_wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::ContactAdmin));
        let reason = lab.audit().pop().unwrap()["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("make a new app password and store it"), "{reason}");
    }
}
