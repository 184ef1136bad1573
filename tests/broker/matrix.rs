//! Every protocol by every way of TLS, every form of login, and every way of TLS at the provider: the client's secret
//! stays here, the app password goes there, and the mailbox is the right one.

use locum::model::Protocol;
use locum::sandbox::{Login, Outcome, Start};

use crate::answers::accepted;
use crate::support::{Actor, Door, Lab, Plan, Wire, base64, plain};

/// What the client writes, and the answer.
type Exchange = (String, &'static str);

#[tokio::test]
async fn every_form_of_login_at_a_provider_with_implicit_tls() {
    every_form_of_login(Start::Implicit).await;
}

#[tokio::test]
async fn every_form_of_login_at_a_provider_with_starttls() {
    every_form_of_login(Start::StartTls).await;
}

async fn every_form_of_login(start: Start) {
    let lab = Plan::new().gmail_by(start).start().await;
    for protocol in Protocol::ALL {
        let forms = forms(protocol, &lab.alice);
        for door in Door::ALL {
            for (form, exchanges) in &forms {
                let what = format!("{form} by {protocol}, {door:?}");
                let before = lab.gmail.logins().len();
                let mut wire = lab.connect(protocol, door).await;
                for (said, answer) in exchanges {
                    wire.write(said).await;
                    assert_eq!(&last_line(&mut wire, said).await, answer, "{what}, after {said:?}");
                }
                see_the_mailbox(&mut wire, protocol, &lab.alice.address).await;

                let logins = lab.gmail.logins();
                assert_eq!(logins.len(), before + 1, "{what}");
                let expected = Login {
                    protocol,
                    identity: lab.alice.address.clone(),
                    mechanism: if protocol == Protocol::Imap { "AUTHENTICATE PLAIN" } else { "AUTH PLAIN" },
                    outcome: Outcome::Accepted,
                };
                assert_eq!(logins.last(), Some(&expected), "{what}");
            }
        }
    }
    assert!(lab.gmail.has_seen(&lab.alice.app_password));
    assert!(!lab.gmail.has_seen(&lab.alice.secret));
}

#[tokio::test]
async fn exchange_online_is_sent_to_by_auth_login_whatever_the_client_speaks() {
    let lab = Lab::start().await;
    for door in Door::ALL {
        for (form, exchanges) in forms(Protocol::Submission, &lab.scanner) {
            let mut wire = lab.connect(Protocol::Submission, door).await;
            for (said, answer) in exchanges {
                wire.write(&said).await;
                assert_eq!(last_line(&mut wire, &said).await, answer, "{form}, {door:?}, after {said:?}");
            }
            assert_eq!(wire.ask("MAIL FROM:<scans@contoso.test>").await, "250 2.1.0 Sender OK");
        }
    }
    let logins = lab.exchange.logins();
    assert_eq!(logins.len(), 3 * 5);
    for login in logins {
        assert_eq!((login.mechanism, login.outcome), ("AUTH LOGIN", Outcome::Accepted));
    }
    assert!(!lab.exchange.has_seen(&lab.scanner.secret));
}

/// The line that an exchange ends with: EHLO alone is answered with several.
async fn last_line(wire: &mut Wire, said: &str) -> String {
    if said.starts_with("EHLO") { wire.until("250 ").await.pop().unwrap() } else { wire.line().await }
}

async fn see_the_mailbox(wire: &mut Wire, protocol: Protocol, address: &str) {
    match protocol {
        Protocol::Imap => {
            wire.write("b SELECT INBOX\r\n").await;
            let answer = wire.until("b ").await;
            assert!(answer.contains(&"* 1 EXISTS".to_owned()), "{answer:?}");
        }
        Protocol::Pop3 => assert_eq!(wire.ask("STAT").await, "+OK 1 38"),
        Protocol::Submission => {
            assert_eq!(wire.ask(&format!("MAIL FROM:<{address}>")).await, "250 2.1.0 Sender OK");
        }
    }
}

fn forms(protocol: Protocol, actor: &Actor) -> Vec<(&'static str, Vec<Exchange>)> {
    match protocol {
        Protocol::Imap => imap_forms(actor),
        Protocol::Pop3 => pop3_forms(actor),
        Protocol::Submission => submission_forms(actor),
    }
}

fn imap_forms(Actor { login, secret, .. }: &Actor) -> Vec<(&'static str, Vec<Exchange>)> {
    let done = accepted(Protocol::Imap);
    let (name_bytes, secret_bytes) = (login.len(), secret.len());
    let response = plain("", login, secret);
    vec![
        ("LOGIN with atoms", vec![(format!("a LOGIN {login} {secret}\r\n"), done)]),
        ("LOGIN with quoted strings", vec![(format!("a login \"{login}\" \"{secret}\"\r\n"), done)]),
        (
            "LOGIN with literals",
            vec![
                (format!("a LOGIN {{{name_bytes}}}\r\n"), "+ Go ahead"),
                (format!("{login} {{{secret_bytes}}}\r\n"), "+ Go ahead"),
                (format!("{secret}\r\n"), done),
            ],
        ),
        (
            "LOGIN with literals that do not wait",
            vec![(format!("a LOGIN {{{name_bytes}+}}\r\n{login} {{{secret_bytes}+}}\r\n{secret}\r\n"), done)],
        ),
        ("AUTHENTICATE PLAIN", vec![("a AUTHENTICATE PLAIN\r\n".into(), "+ "), (format!("{response}\r\n"), done)]),
        ("AUTHENTICATE PLAIN with an initial response", vec![(format!("a AUTHENTICATE PLAIN {response}\r\n"), done)]),
        (
            "AUTHENTICATE LOGIN",
            vec![
                ("a AUTHENTICATE LOGIN\r\n".into(), "+ VXNlcm5hbWU6"),
                (base64(login) + "\r\n", "+ UGFzc3dvcmQ6"),
                (base64(secret) + "\r\n", done),
            ],
        ),
    ]
}

fn pop3_forms(Actor { login, secret, .. }: &Actor) -> Vec<(&'static str, Vec<Exchange>)> {
    let done = accepted(Protocol::Pop3);
    let response = plain("", login, secret);
    vec![
        (
            "USER and PASS",
            vec![(format!("USER {login}\r\n"), "+OK Send the password"), (format!("PASS {secret}\r\n"), done)],
        ),
        ("AUTH PLAIN", vec![("AUTH PLAIN\r\n".into(), "+ "), (format!("{response}\r\n"), done)]),
        ("AUTH PLAIN with an initial response", vec![(format!("AUTH PLAIN {response}\r\n"), done)]),
        (
            "AUTH LOGIN",
            vec![
                ("AUTH LOGIN\r\n".into(), "+ VXNlcm5hbWU6"),
                (base64(login) + "\r\n", "+ UGFzc3dvcmQ6"),
                (base64(secret) + "\r\n", done),
            ],
        ),
    ]
}

fn submission_forms(Actor { login, secret, .. }: &Actor) -> Vec<(&'static str, Vec<Exchange>)> {
    const ASKS_PASSWORD: &str = "334 UGFzc3dvcmQ6";
    let done = accepted(Protocol::Submission);
    let ehlo = || ("EHLO scanner-3f\r\n".to_owned(), "250 AUTH PLAIN LOGIN");
    let response = plain("", login, secret);
    let password = || (base64(secret) + "\r\n", done);
    vec![
        ("AUTH PLAIN", vec![ehlo(), ("AUTH PLAIN\r\n".into(), "334 "), (format!("{response}\r\n"), done)]),
        ("AUTH PLAIN with an initial response", vec![ehlo(), (format!("AUTH PLAIN {response}\r\n"), done)]),
        (
            "AUTH LOGIN",
            vec![
                ehlo(),
                ("AUTH LOGIN\r\n".into(), "334 VXNlcm5hbWU6"),
                (base64(login) + "\r\n", ASKS_PASSWORD),
                password(),
            ],
        ),
        (
            "AUTH LOGIN with the name inline",
            vec![ehlo(), (format!("AUTH LOGIN {}\r\n", base64(login)), ASKS_PASSWORD), password()],
        ),
        (
            "AUTH after HELO",
            vec![("HELO scanner\r\n".into(), "250 locum.test"), (format!("AUTH PLAIN {response}\r\n"), done)],
        ),
    ]
}
