//! IMAP after login: mailboxes that behave, for `async-imap` and for raw lines.

use std::time::Duration;

use async_imap::extensions::idle::IdleResponse;
use async_imap::types::Flag;
use futures::TryStreamExt;
use locum::model::Protocol;
use locum::sandbox::Face;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::{ALICE, PASSWORD, Provider, Wire, message};

const MESSAGE: &[u8] = b"Date: Mon, 01 Jun 2026 10:00:00 +0000\r\nFrom: Bob <bob@contoso.test>\r\n\
    To: alice@contoso.test\r\nSubject: first\r\nMessage-ID: <1@contoso.test>\r\n\r\n.dot\r\nbody\r\n";

type Session = async_imap::Session<TlsStream<TcpStream>>;

async fn session(provider: &Provider) -> Session {
    let mut client = async_imap::Client::new(provider.tls_stream(Protocol::Imap).await);
    client.read_response().await.unwrap().unwrap();
    client.login(ALICE, PASSWORD).await.map_err(|(error, _)| error).unwrap()
}

/// Raw lines behind a login with INBOX selected.
async fn selected(provider: &Provider) -> Wire<TlsStream<TcpStream>> {
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    assert!(ok(&wire.imap(&format!("LOGIN {ALICE} {PASSWORD}")).await));
    assert!(ok(&wire.imap("SELECT INBOX").await));
    wire
}

fn ok(lines: &[String]) -> bool {
    lines.last().is_some_and(|line| line.starts_with("T OK"))
}

#[tokio::test]
async fn async_imap_reads_flags_copies_and_removes() {
    let provider = Provider::new(Face::ExchangeWithPasswords);
    provider.sandbox.deliver(ALICE, MESSAGE);
    let mut session = session(&provider).await;
    let mut names: Vec<String> = session
        .list(Some(""), Some("*"))
        .await
        .unwrap()
        .map_ok(|name| name.name().to_owned())
        .try_collect()
        .await
        .unwrap();
    names.sort();
    assert_eq!(names, ["Deleted Items", "Drafts", "INBOX", "Junk Email", "Sent Items"]);
    let inbox = session.select("INBOX").await.unwrap();
    assert_eq!((inbox.exists, inbox.recent, inbox.unseen, inbox.uid_next), (1, 1, Some(1), Some(2)));

    let fetched: Vec<_> = session
        .uid_fetch("1:*", "(FLAGS RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let [mail] = fetched.as_slice() else { panic!("one message, not {}", fetched.len()) };
    assert_eq!(mail.body().unwrap(), MESSAGE);
    assert_eq!((mail.uid, mail.size), (Some(1), Some(u32::try_from(MESSAGE.len()).unwrap())));
    assert_eq!(mail.flags().collect::<Vec<_>>(), [Flag::Recent], "PEEK marks nothing");
    let envelope = mail.envelope().unwrap();
    assert_eq!(envelope.subject.as_deref(), Some(b"first".as_slice()));
    let from = &envelope.from.as_ref().unwrap()[0];
    assert_eq!((from.name.as_deref(), from.mailbox.as_deref()), (Some(b"Bob".as_slice()), Some(b"bob".as_slice())));
    assert!(mail.bodystructure().is_some() && mail.internal_date().is_some());

    let stored: Vec<_> = session.uid_store("1", "+FLAGS (\\Flagged)").await.unwrap().try_collect().await.unwrap();
    assert!(stored[0].flags().any(|flag| flag == Flag::Flagged));
    session.create("Projects/2026").await.unwrap();
    session.uid_copy("1", "Projects/2026").await.unwrap();
    session.uid_mv("1", "Deleted Items").await.unwrap();
    assert!(provider.sandbox.messages(ALICE, "INBOX").is_empty());
    for folder in ["Projects/2026", "Deleted Items"] {
        assert_eq!(provider.sandbox.messages(ALICE, folder), [MESSAGE], "{folder}");
    }
    session.select("Deleted Items").await.unwrap();
    session.store("1", "+FLAGS.SILENT (\\Deleted)").await.unwrap().try_collect::<Vec<_>>().await.unwrap();
    let expunged: Vec<_> = session.expunge().await.unwrap().try_collect().await.unwrap();
    assert_eq!(expunged, [1]);
    assert!(provider.sandbox.messages(ALICE, "Deleted Items").is_empty());
    session.delete("Projects/2026").await.unwrap();
    session.logout().await.unwrap();
}

#[tokio::test]
async fn async_imap_appends_with_flags_and_date() {
    let provider = Provider::new(Face::Gmail);
    let mut session = session(&provider).await;
    let date = Some("\"17-Jul-1996 02:44:25 -0700\"");
    session.append("[Gmail]/Drafts", Some("(\\Draft \\Seen $Own)"), date, MESSAGE).await.unwrap();
    assert_eq!(provider.sandbox.messages(ALICE, "[Gmail]/Drafts"), [MESSAGE]);
    session.examine("[Gmail]/Drafts").await.unwrap();
    let fetched: Vec<_> = session.fetch("1", "(FLAGS INTERNALDATE)").await.unwrap().try_collect().await.unwrap();
    let mut flags: Vec<_> = fetched[0].flags().map(|flag| format!("{flag:?}")).collect();
    flags.sort();
    assert_eq!(flags, ["Custom(\"$Own\")", "Draft", "Recent", "Seen"]);
    assert_eq!(fetched[0].internal_date().unwrap().to_rfc3339(), "1996-07-17T09:44:25+00:00");
    assert!(session.append("Nowhere", None, None, MESSAGE).await.is_err());
}

#[tokio::test]
async fn a_large_message_comes_back_as_it_went() {
    let provider = Provider::new(Face::ExchangeWithPasswords);
    let large = message(16 * 1024 * 1024);
    let mut session = session(&provider).await;
    session.append("INBOX", None, None, &large).await.unwrap();
    // Not `assert_eq`: nobody wants to read 16 MiB of difference.
    assert!(provider.sandbox.messages(ALICE, "INBOX") == [large.as_slice()], "the way up");
    session.select("INBOX").await.unwrap();
    let fetched: Vec<_> = session.fetch("1", "BODY[]").await.unwrap().try_collect().await.unwrap();
    assert!(fetched[0].body().unwrap() == large, "the way down");
}

#[tokio::test]
async fn idle_tells_of_new_mail() {
    let provider = Provider::new(Face::Gmail);
    let mut session = session(&provider).await;
    session.select("INBOX").await.unwrap();
    let mut idle = session.idle();
    idle.init().await.unwrap();
    provider.sandbox.deliver(ALICE, MESSAGE);
    let (wait, _stop) = idle.wait_with_timeout(Duration::from_secs(20));
    let IdleResponse::NewData(data) = wait.await.unwrap() else { panic!("nothing was told") };
    assert!(format!("{:?}", data.parsed()).contains("Exists(1)"), "{:?}", data.parsed());
    let mut session = idle.done().await.unwrap();
    let fetched: Vec<_> = session.fetch("1", "RFC822").await.unwrap().try_collect().await.unwrap();
    assert_eq!(fetched.len(), 1);
}

#[tokio::test]
async fn sessions_see_the_changes_of_each_other() {
    let provider = Provider::new(Face::ExchangeWithPasswords);
    provider.sandbox.deliver(ALICE, MESSAGE);
    provider.sandbox.deliver(ALICE, MESSAGE);
    let (mut one, mut two) = (selected(&provider).await, selected(&provider).await);
    let stored = one.imap("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(stored, ["T OK STORE completed."], "silence is for the session that asked");
    assert_eq!(two.imap("NOOP").await, ["* 1 FETCH (UID 1 FLAGS (\\Deleted))", "T OK NOOP completed."]);
    assert_eq!(one.imap("EXPUNGE").await, ["* 1 EXPUNGE", "T OK EXPUNGE completed."]);
    provider.sandbox.deliver(ALICE, MESSAGE);
    // Its numbers must not change under a FETCH: message 2 is still message 2.
    let fetched = two.imap("FETCH 2 UID").await;
    assert_eq!(fetched, ["* 2 FETCH (UID 2)", "* 3 EXISTS", "* 1 RECENT", "T OK FETCH completed."]);
    assert_eq!(two.imap("NOOP").await, ["* 1 EXPUNGE", "T OK NOOP completed."]);
    assert_eq!(two.imap("SEARCH ALL").await, ["* SEARCH 1 2", "T OK SEARCH completed."]);
}

#[tokio::test]
async fn literals_come_asked_and_unasked() {
    let provider = Provider::new(Face::ExchangeWithPasswords);
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    assert_eq!(wire.ask(&format!("T LOGIN {{{}}}", ALICE.len())).await, "+ Ready for additional command text.");
    wire.write(format!("{ALICE} {{{}+}}\r\n{PASSWORD}\r\n", PASSWORD.len()).as_bytes()).await;
    assert_eq!(wire.line().await, "T OK LOGIN completed.");
    wire.write(b"T APPEND {5+}\r\nINBOX (\\Seen) {8+}\r\n\r\nsecond\r\nU NOOP\r\n").await;
    let appended = wire.line().await;
    assert!(appended.starts_with("T OK [APPENDUID ") && appended.contains(" 1] "), "{appended}");
    assert_eq!(wire.line().await, "U OK NOOP completed.", "what was sent behind it is not lost");
    assert_eq!(provider.sandbox.messages(ALICE, "INBOX"), [b"\r\nsecond"]);
    assert_eq!(
        wire.imap("APPEND INBOX {999999999}").await,
        ["T NO Maximum size of appendable message has been exceeded"]
    );
}

#[tokio::test]
async fn before_login_a_literal_is_short() {
    let provider = Provider::new(Face::ExchangeWithPasswords);
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    assert!(wire.imap("LOGIN {8193}").await[0].starts_with("T NO "));
    assert!(wire.imap("APPEND INBOX {8193}").await[0].starts_with("T NO "));
    wire.write(b"T LOGIN {8193+}\r\n").await;
    assert!(wire.line().await.starts_with("* BYE "));
    let gmail = Provider::new(Face::Gmail);
    let mut wire = selected(&gmail).await;
    wire.write(b"T APPEND INBOX {4097+}\r\n").await;
    assert!(wire.line().await.starts_with("* BYE "), "LITERAL- ends at 4,096");
}

#[tokio::test]
async fn parts_of_messages() {
    let provider = Provider::new(Face::Gmail);
    provider.sandbox.deliver(ALICE, MESSAGE);
    let mut wire = selected(&provider).await;
    let fetched = wire.imap("FETCH 1 (BODY.PEEK[HEADER.FIELDS (Subject To)] BODY.PEEK[TEXT]<1.3> FLAGS)").await;
    assert_eq!(
        fetched,
        [
            "* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT TO)] {42}",
            "To: alice@contoso.test",
            "Subject: first",
            "",
            " BODY[TEXT]<1> {3}",
            "dot FLAGS (\\Recent))",
            "T OK Success"
        ]
    );
    let seen = wire.imap("UID FETCH 1 BODY[2]").await;
    assert_eq!(seen[0], "* 1 FETCH (UID 1 BODY[2] NIL FLAGS (\\Seen \\Recent))");
    let macros = wire.imap("FETCH 1 FAST").await;
    assert!(macros[0].starts_with("* 1 FETCH (FLAGS (\\Seen \\Recent) INTERNALDATE \""), "{macros:?}");
    assert_eq!(wire.imap("FETCH 2 UID").await, ["T BAD Could not parse command"]);
    assert_eq!(wire.imap("UID FETCH 2:9 FLAGS").await, ["T OK Success"]);
    assert_eq!(wire.imap("UID FETCH 9:* FLAGS").await.len(), 2, "the last is always in it");
}

#[tokio::test]
async fn folders() {
    let provider = Provider::new(Face::Gmail);
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    wire.imap(&format!("LOGIN {ALICE} {PASSWORD}")).await;
    assert_eq!(
        wire.imap("LIST \"\" \"*\"").await,
        [
            "* LIST (\\HasNoChildren) \"/\" \"INBOX\"",
            "* LIST (\\Noselect \\HasChildren) \"/\" \"[Gmail]\"",
            "* LIST (\\HasNoChildren \\Drafts) \"/\" \"[Gmail]/Drafts\"",
            "* LIST (\\HasNoChildren \\Sent) \"/\" \"[Gmail]/Sent Mail\"",
            "* LIST (\\HasNoChildren \\Junk) \"/\" \"[Gmail]/Spam\"",
            "* LIST (\\HasNoChildren \\Trash) \"/\" \"[Gmail]/Trash\"",
            "T OK Success"
        ]
    );
    assert_eq!(wire.imap("LIST \"\" \"\"").await[0], "* LIST (\\Noselect) \"/\" \"\"");
    assert_eq!(wire.imap("LIST \"\" %").await.len(), 3);
    assert!(ok(&wire.imap("CREATE \"A \\\"q\\\"/B\"").await));
    assert_eq!(wire.imap("LIST B %/B").await.len(), 1, "the reference stands in front of the pattern");
    assert_eq!(wire.imap("LIST \"A \" %/B").await[0], "* LIST (\\HasNoChildren) \"/\" \"A \\\"q\\\"/B\"");
    assert!(ok(&wire.imap("RENAME \"A \\\"q\\\"/B\" C").await));
    assert!(ok(&wire.imap("UNSUBSCRIBE C").await));
    assert_eq!(wire.imap("LSUB \"\" C").await.len(), 1);
    assert_eq!(wire.imap("LIST \"\" C").await.len(), 2);
    let status = wire.imap("STATUS C (MESSAGES UNSEEN UIDNEXT RECENT)").await;
    assert_eq!(status[0], "* STATUS \"C\" (MESSAGES 0 UNSEEN 0 UIDNEXT 1 RECENT 0)");
    assert!(ok(&wire.imap("DELETE C").await));
    assert!(wire.imap("SELECT C").await[0].starts_with("T NO "));
    assert!(wire.imap("DELETE INBOX").await[0].starts_with("T NO "));
    assert!(wire.imap("FETCH 1 FLAGS").await[0].starts_with("T BAD "), "nothing is selected");
}

#[tokio::test]
async fn searches() {
    let provider = Provider::new(Face::Gmail);
    for number in 1..=4 {
        let text = format!("Date: Tue, 0{number} Jun 2026 10:00:00 +0000\r\nSubject: Nr {number}\r\n\r\nbody {number}");
        provider.sandbox.deliver(ALICE, text.as_bytes());
    }
    let mut wire = selected(&provider).await;
    wire.imap("STORE 2 FLAGS (\\Seen \\Deleted)").await;
    for (keys, hits) in [
        ("ALL", " 1 2 3 4"),
        ("UNSEEN", " 1 3 4"),
        ("DELETED SEEN", " 2"),
        ("UID 3:*", " 3 4"),
        ("NOT 2:3", " 1 4"),
        ("OR SUBJECT \"nr 1\" TEXT \"BODY 4\"", " 1 4"),
        ("(SENTSINCE 2-Jun-2026 SENTBEFORE 4-Jun-2026)", " 2 3"),
        ("CHARSET UTF-8 BODY {6+}\r\nbody 3", " 3"),
        ("SINCE 1-Jan-2020 HEADER subject 2", " 2"),
        ("LARGER 1000", ""),
    ] {
        assert_eq!(wire.imap(&format!("SEARCH {keys}")).await[0], format!("* SEARCH{hits}"), "{keys}");
    }
    assert!(wire.imap("SEARCH FUZZY x").await[0].starts_with("T BAD "));
    assert_eq!(wire.imap(&format!("SEARCH {}ALL", "NOT ".repeat(40))).await[0], "T BAD Could not parse command");
}

#[tokio::test]
async fn uid_plus_codes_tell_where_messages_went() {
    let provider = Provider::new(Face::ExchangeWithPasswords);
    for _ in 0..4 {
        provider.sandbox.deliver(ALICE, MESSAGE);
    }
    let mut wire = selected(&provider).await;
    let copied = wire.imap("COPY 1,3:4 \"Deleted Items\"").await;
    assert!(copied[0].starts_with("T OK [COPYUID ") && copied[0].contains(" 1,3:4 1:3] "), "{copied:?}");
    assert!(wire.imap("COPY 1 Nowhere").await[0].starts_with("T NO [TRYCREATE]"));
    let moved = wire.imap("UID MOVE 2 Drafts").await;
    assert!(moved[0].starts_with("* OK [COPYUID ") && moved[0].contains(" 2 1] "), "{moved:?}");
    assert_eq!(moved[1..], ["* 2 EXPUNGE", "T OK UID completed."]);
    wire.imap("STORE 1:3 FLAGS.SILENT \\Deleted").await;
    assert_eq!(wire.imap("UID EXPUNGE 3").await, ["* 2 EXPUNGE", "T OK UID completed."]);
    assert!(ok(&wire.imap("UNSELECT").await), "expunges nothing");
    assert_eq!(provider.sandbox.messages(ALICE, "INBOX").len(), 2);
    wire.imap("SELECT INBOX").await;
    assert!(ok(&wire.imap("CLOSE").await), "expunges all");
    assert!(provider.sandbox.messages(ALICE, "INBOX").is_empty());
    wire.imap("EXAMINE INBOX").await;
    assert!(wire.imap("EXPUNGE").await[0].starts_with("T NO "), "read-only");
}

#[tokio::test]
async fn ten_bad_commands_end_the_session() {
    let provider = Provider::new(Face::ExchangeOnline);
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    for _ in 0..10 {
        assert_eq!(wire.imap("NONSENSE").await, ["T BAD Command Argument Error. 11"]);
    }
    assert_eq!(wire.line().await, "* BYE Connection is closed. 14");
    assert!(wire.is_closed().await);
}
