//! Done when: three hundred devices whose passwords nobody knows come through Locum, the accounts behind them go from
//! passwords to OAuth2 in the store alone, all passwords die at the provider, and every device works at each stage as it was set
//! up long ago. Times are printed (`cargo test --test broker fleet -- --nocapture`).

#![expect(clippy::print_stdout, reason = "figures are for whoever looks on with --nocapture")]

use std::time::Instant;

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use locum::credential::oauth2::{Authentication, Grant, OAuth2};
use locum::model::CredentialKind::OAuth2 as Tokens;
use locum::model::{Enrolment, EnrolmentMode, Protocol, Secret, SecretSource, Slots, Tenant};
use locum::sandbox::{Application, ApplicationProof, Behaviour, Face, Login, Mailboxes, Outcome, Start};

use crate::support::{Lab, Plan, Provider, Wire};

const DEVICES: usize = 300;

/// Devices that log in at the same time.
const AT_ONCE: usize = 20;

/// Of so many devices one stays logged in through all stages.
const STAYS: usize = 15;

const CLIENT_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
const TENANT: &str = "contoso.onmicrosoft.com";
const APPLICATION_SECRET: &str = "Gk8Q~application-secret-of-the-fleet";

/// What nobody touches.
struct Device {
    protocol: Protocol,
    login: String,
    password: String,
    mailbox: String,
}

/// Some log in by the address of their mailbox, some by the name before the `@`.
fn devices() -> Vec<Device> {
    let device = |number: usize| {
        let mailbox = format!("device-{number}@contoso.test");
        let login = if number.is_multiple_of(2) { mailbox.clone() } else { format!("device-{number}") };
        Device {
            protocol: Protocol::ALL[number % 3],
            login,
            password: format!("Pw-{}-{number}", number * 7919),
            mailbox,
        }
    };
    (0..DEVICES).map(device).collect()
}

async fn stage(devices: &[Device]) -> (Lab, Provider) {
    let provider = Provider::serve("own", Face::ExchangeWithPasswords, Start::Implicit).await;
    provider.sandbox.register(Application {
        client_id: CLIENT_ID.to_owned(),
        tenant: TENANT.to_owned(),
        authentication: ApplicationProof::Secret(Secret::new(APPLICATION_SECRET)),
        may_act_as: Mailboxes::All,
        consented: true,
    });
    for device in devices {
        provider.add_mailbox(&device.mailbox, &device.password, Behaviour::Normal);
    }
    let plan = Plan::new().provider(&provider).tune(|config| {
        config.session.sessions_max = 1000;
        for listener in &mut config.listeners {
            listener.entrance.enrolment = Some(Enrolment {
                mode: EnrolmentMode::Learn { upstream: "own".into() },
                domain: Some("contoso.test".into()),
                networks: vec!["127.0.0.0/8".parse().unwrap()],
                from: None,
                until: Timestamp::now() + SignedDuration::from_hours(1),
            });
        }
    });
    (plan.start().await, provider)
}

/// All devices log in once. Those whose turn it is stay; refusals are the caller's to judge.
async fn all_log_in(lab: &Lab, devices: &[Device]) -> (Vec<(Protocol, Wire)>, Vec<String>) {
    let logins = devices.iter().enumerate().map(|(number, device)| async move {
        let (wire, answer) = lab.present(device.protocol, &device.login, &device.password).await;
        (number, device.protocol, wire, answer)
    });
    let done: Vec<_> = stream::iter(logins).buffer_unordered(AT_ONCE).collect().await;
    let (mut stay, mut refusals) = (Vec::new(), Vec::new());
    for (number, protocol, wire, answer) in done {
        if !["a OK ", "+OK ", "235 "].iter().any(|start| answer.starts_with(start)) {
            refusals.push(format!("{number} {protocol}: {answer}"));
        } else if number % STAYS == 0 {
            stay.push((protocol, wire));
        }
    }
    (stay, refusals)
}

async fn is_alive((protocol, wire): &mut (Protocol, Wire)) -> bool {
    let answer = match protocol {
        Protocol::Imap => wire.ask("n NOOP").await,
        Protocol::Pop3 | Protocol::Submission => wire.ask("NOOP").await,
    };
    ["n OK", "+OK", "250"].iter().any(|start| answer.starts_with(start))
}

fn by_token(login: &Login) -> bool {
    login.mechanism.ends_with("XOAUTH2") || login.mechanism.ends_with("OAUTHBEARER")
}

/// One write for the domain, one for each account, none for a client.
async fn flip(lab: &Lab, devices: &[Device]) {
    let application = OAuth2 {
        tenant: Some(TENANT.to_owned()),
        client_id: CLIENT_ID.to_owned(),
        authentication: Authentication::Secret { secret: Secret::new(APPLICATION_SECRET), expires: None },
        grant: Grant::ClientCredentials,
    };
    let stored = application.into_stored("t1".into(), "", Timestamp::now()).unwrap();
    let tenant = Tenant { domain: "contoso.test".into(), upstream: "own".into(), oauth2: Slots::of(stored) };
    lab.directory.put_tenant(&tenant, None).await.unwrap();
    for device in devices {
        let mut found = lab.directory.account(&device.mailbox).await.unwrap().unwrap();
        found.record.preference.all = vec![Tokens];
        lab.directory.put_account(&found.record, Some(found.version)).await.unwrap();
    }
}

/// The records of all clients, as they stand.
async fn clients(lab: &Lab, devices: &[Device]) -> Vec<String> {
    let mut all = Vec::new();
    for device in devices {
        let found = lab.directory.client(&device.login).await.unwrap().unwrap();
        let [secret] = &found.record.secrets[..] else { panic!("{} has one secret", device.login) };
        assert_eq!(secret.source, SecretSource::Learnt);
        all.push(serde_json::to_string(&found.record).unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn three_hundred_unknown_passwords_survive_the_end_of_passwords() {
    let devices = devices();
    let (lab, provider) = stage(&devices).await;
    let began = Instant::now();
    let (mut open, refusals) = all_log_in(&lab, &devices).await;
    assert_eq!(refusals, Vec::<String>::new(), "learnt");
    let learnt = provider.logins();
    assert_eq!(learnt.len(), DEVICES, "each password was shown once");
    assert!(learnt.iter().all(|login| login.outcome == Outcome::Accepted && !by_token(login)));
    let enrolled = lab.audit().into_iter().filter(|event| event["event"] == "enrolment").collect::<Vec<_>>();
    assert_eq!(enrolled.len(), DEVICES);
    assert!(enrolled.iter().all(|event| event["outcome"] == "enrolled"));
    let before = clients(&lab, &devices).await;
    println!("learnt {DEVICES} clients in {:.1?}", began.elapsed());

    flip(&lab, &devices).await;
    let (flipped, refusals) = all_log_in(&lab, &devices).await;
    assert_eq!(refusals, Vec::<String>::new(), "flipped");
    open.extend(flipped);
    assert_eq!(provider.logins().len(), 2 * DEVICES);
    assert!(provider.logins()[DEVICES..].iter().all(by_token));
    println!("flipped after {:.1?}", began.elapsed());

    provider.sandbox.switch_passwords_off();
    for device in &devices {
        provider.sandbox.remove_password(&device.mailbox, &Secret::new(device.password.as_str()));
    }
    let (dead, refusals) = all_log_in(&lab, &devices).await;
    assert_eq!(refusals, Vec::<String>::new(), "without passwords");
    open.extend(dead);
    assert_eq!(provider.logins().len(), 3 * DEVICES);
    assert!(provider.logins().iter().all(|login| login.outcome == Outcome::Accepted));
    assert_eq!(open.len(), 3 * DEVICES.div_ceil(STAYS));
    for session in &mut open {
        assert!(is_alive(session).await, "a session of an earlier stage goes on");
    }
    assert_eq!(clients(&lab, &devices).await, before, "no client was touched, and no client's record");
    println!("all of it in {:.1?}", began.elapsed());
}
