//! What dialogues tell a trace: enough to see what a client does, and not one byte of what it sent. However a secret comes in (each
//! mechanism, literals, wrong commands, the wrong order, all at once), and wherever its bytes are cut.

use data_encoding::BASE64;
use locum::model::{Protocol, Refusal};
use locum::proto::{self, ServerAction, ServerTls, Speaker, UpstreamReady};

use crate::script::server_options;

/// Stands for whatever must not be told: passwords, names, tags, tokens, addresses.
const CANARY: &str = "Zq7Xv9Kw";

/// All that is told of a client that sends this, cut at that place.
fn told(protocol: Protocol, sent: &[u8], cut: usize, lets_in: bool) -> Vec<(Speaker, String)> {
    let mut options = server_options(ServerTls::Active);
    options.takes_xclient = protocol == Protocol::Submission;
    options.limits.refusals_max = 100;
    options.limits.bad_commands_max = 100;
    let mut dialogue = proto::server(protocol, options);
    dialogue.be_traced();
    let mut rest = vec![&sent[cut..], &sent[..cut]];
    let mut told = Vec::new();
    // Each action consumes a line or a reply: far fewer than this.
    for _ in 0..1000 {
        let action = dialogue.next_action();
        told.extend(dialogue.remarks().into_iter().map(|remark| (remark.speaker, remark.text.into_owned())));
        match action {
            ServerAction::Wait => match rest.pop() {
                Some(bytes) => dialogue.receive(bytes),
                None => return told,
            },
            ServerAction::Send(_) => {}
            ServerAction::StartTls => dialogue.tls_started(),
            ServerAction::Authenticate(_) | ServerAction::Recognise if lets_in => {
                let keywords = vec!["IMAP4rev1".to_owned(), CANARY.to_owned()];
                dialogue.accept(&UpstreamReady { keywords, early: Vec::new() });
            }
            ServerAction::Authenticate(_) | ServerAction::Recognise => dialogue.refuse(Refusal::WrongCredentials),
            ServerAction::ChangePeer(_) => dialogue.peer_changed(true),
            ServerAction::Relay { .. } | ServerAction::Close => return told,
        }
    }
    panic!("no end: {told:?}");
}

/// Dialogues in which everything that is secret, or could be taken for it, is the canary.
fn dialogues(protocol: Protocol) -> Vec<Vec<u8>> {
    let plain = BASE64.encode(format!("\0{CANARY}\0{CANARY}").as_bytes());
    let word = BASE64.encode(CANARY.as_bytes());
    let bearer = BASE64.encode(format!("{CANARY}\x01{CANARY}\x01").as_bytes());
    let length = CANARY.len();
    let texts: Vec<String> = match protocol {
        Protocol::Imap => vec![
            format!("a LOGIN {CANARY} {CANARY}\r\nb NOOP\r\n"),
            format!("a LOGIN \"{CANARY}\" \"{CANARY}\"\r\n"),
            format!("a LOGIN {{{length}}}\r\n{CANARY} {{{length}+}}\r\n{CANARY}\r\nb NOOP\r\n"),
            format!("a LOGIN {{{length}+}}\r\n{CANARY} {CANARY} {CANARY}\r\n{CANARY}\r\n"),
            format!("a LOGIN {{9999+}}\r\n{CANARY}\r\n"),
            format!("a LOGIN {{9999}}\r\n{CANARY} {CANARY}\r\n"),
            format!("a LOGIN {CANARY}\r\n{CANARY}\r\nb LOGIN \"{CANARY}\r\n"),
            format!("{CANARY} LOGIN {CANARY} {CANARY}\r\n{CANARY} NOOP\r\n{CANARY} CAPABILITY\r\n"),
            format!("{CANARY}\r\nLOGIN {CANARY} {CANARY}\r\n{CANARY} {CANARY} {CANARY}\r\n"),
            format!("a LOGON {CANARY} {CANARY}\r\na {CANARY} {{{length}+}}\r\n{CANARY}\r\n"),
            format!("a ID (\"name\" \"{CANARY}\")\r\nb SELECT {CANARY}\r\n"),
            format!("a AUTHENTICATE PLAIN {plain}\r\n"),
            format!("a AUTHENTICATE PLAIN\r\n{plain}\r\n"),
            format!("a AUTHENTICATE LOGIN\r\n{word}\r\n{word}\r\n"),
            format!("a AUTHENTICATE LOGIN {word}\r\n{word}\r\n"),
            format!("a AUTHENTICATE {CANARY} {CANARY}\r\n{CANARY}\r\n{word}\r\n"),
            format!("a AUTHENTICATE XOAUTH2 {bearer}\r\n{bearer}\r\n"),
            format!("a AUTHENTICATE OAUTHBEARER\r\n{bearer}\r\n"),
            format!("a AUTHENTICATE CRAM-MD5\r\n{word}\r\n"),
            format!("a AUTHENTICATE PLAIN\r\n{CANARY}\r\n{CANARY}\r\n"),
            format!("a AUTHENTICATE PLAIN {plain} {CANARY}\r\n"),
            format!("a LOGIN {CANARY}\0 {CANARY}\r\nb LOGIN u {CANARY}\n"),
            format!("a AUTHENTICATE PLAIN\r\n*\r\na LOGOUT\r\n"),
        ],
        Protocol::Pop3 => vec![
            format!("USER {CANARY}\r\nPASS {CANARY}\r\nNOOP\r\n"),
            format!("PASS {CANARY}\r\n{CANARY}\r\nUSER\r\n{CANARY} {CANARY}\r\n"),
            format!("USER {CANARY}\r\n{CANARY}\r\nPASS {CANARY}\r\n"),
            format!("PAS {CANARY}\r\nAPOP {CANARY} {CANARY}\r\nRETR {CANARY}\r\n"),
            format!("AUTH PLAIN {plain}\r\nAUTH PLAIN\r\n{plain}\r\n"),
            format!("AUTH LOGIN\r\n{word}\r\n{word}\r\n"),
            format!("AUTH LOGIN {word}\r\n{word}\r\n"),
            format!("AUTH {CANARY} {CANARY}\r\n{CANARY}\r\n"),
            format!("AUTH XOAUTH2 {bearer}\r\nAUTH OAUTHBEARER\r\n{bearer}\r\n"),
            format!("AUTH PLAIN\r\n{CANARY}\r\nAUTH PLAIN\r\n*\r\n{CANARY}\0{CANARY}\r\n"),
        ],
        Protocol::Submission => vec![
            format!("EHLO {CANARY}\r\nAUTH PLAIN {plain}\r\nNOOP\r\n"),
            format!("EHLO x\r\nAUTH PLAIN\r\n{plain}\r\n"),
            format!("EHLO x\r\nAUTH LOGIN\r\n{word}\r\n{word}\r\n"),
            format!("EHLO x\r\nAUTH LOGIN {word}\r\n{word}\r\n"),
            format!("AUTH LOGIN\r\n{word}\r\n{word}\r\nAUTH PLAIN {plain}\r\n"),
            format!("EHLO x\r\nAUTH {CANARY} {CANARY}\r\n{CANARY}\r\n"),
            format!("EHLO x\r\nAUTH XOAUTH2 {bearer}\r\nAUTH OAUTHBEARER\r\n{bearer}\r\n"),
            format!("EHLO x\r\nAUTH PLAIN\r\n{CANARY}\r\nAUTH PLAIN\r\n*\r\n{CANARY}\0{CANARY}\r\n"),
            format!(
                "EHLO x\r\nXCLIENT ADDR={CANARY} LOGIN={CANARY}\r\nXCLIENT NAME={CANARY} ADDR=192.0.2.1\r\n{CANARY}\r\n"
            ),
            format!(
                "HELO {CANARY}\r\nMAIL FROM:<{CANARY}>\r\nRCPT TO:<{CANARY}>\r\nVRFY {CANARY}\r\nEXPN {CANARY}\r\n"
            ),
            format!("{CANARY}\r\nEHLO x\r\nAUTHPLAIN {plain}\r\n"),
        ],
    };
    texts.into_iter().map(String::into_bytes).collect()
}

/// Whether four characters in a row of what is secret are in what is told.
fn leaks(told: &str) -> bool {
    let forms = [
        CANARY.to_owned(),
        BASE64.encode(CANARY.as_bytes()),
        BASE64.encode(format!("\0{CANARY}\0{CANARY}").as_bytes()),
        BASE64.encode(format!("{CANARY}\x01{CANARY}\x01").as_bytes()),
    ];
    forms.iter().any(|form| form.as_bytes().windows(4).any(|part| told.as_bytes().windows(4).any(|it| it == part)))
}

#[test]
fn nothing_that_a_client_sends_is_told() {
    for protocol in Protocol::ALL {
        for sent in dialogues(protocol) {
            for (cut, lets_in) in (0..=sent.len()).flat_map(|cut| [(cut, false), (cut, true)]) {
                for (speaker, text) in told(protocol, &sent, cut, lets_in) {
                    assert!(!leaks(&text), "{protocol} {speaker:?}: {text:?} of {:?}", String::from_utf8_lossy(&sent));
                }
            }
        }
    }
}

#[test]
fn what_a_client_does_is_told() {
    let said = |protocol, sent: &str| {
        let told = told(protocol, sent.as_bytes(), 0, true);
        told.into_iter().map(|(speaker, text)| format!("{speaker:?}: {text}")).collect::<Vec<_>>().join("\n")
    };
    let imap = said(Protocol::Imap, "a AUTHENTICATE NTLM\r\nb LOGIN {1}\r\nu p\r\n");
    for line in [
        "Client: login by NTLM",
        "Locum: NO Mechanism is not supported",
        "Client: a literal (withheld)",
        "Locum: OK Logged in",
    ] {
        assert!(imap.contains(line), "{line}: {imap}");
    }
    let smtp = said(Protocol::Submission, "AUTH PLAIN x\r\nEHLO x\r\nAUTH LOGIN\r\n*\r\n");
    for line in [
        "Client: login by PLAIN, with a response (withheld)",
        "Locum: 503 5.5.1 Send EHLO first",
        "Client: EHLO (name withheld)",
        "Client: * (cancels the login)",
    ] {
        assert!(smtp.contains(line), "{line}: {smtp}");
    }
}

#[test]
fn who_is_not_traced_remembers_nothing() {
    for protocol in Protocol::ALL {
        let mut dialogue = proto::server(protocol, server_options(ServerTls::Active));
        dialogue.receive(b"a NOOP\r\n");
        while !matches!(dialogue.next_action(), ServerAction::Wait) {}
        assert!(dialogue.remarks().is_empty());
    }
}
