//! Dialogues under the watch: what goes on, what does not, and in which order.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MAIL: &str = "MAIL FROM:<scans@contoso.com>\r\n";

/// Both sides of a watched session, and what reached them.
struct Pair {
    watch: Watch,
    up: String,
    down: String,
}

impl Pair {
    fn new(options: WatchOptions) -> Self {
        Self { watch: Watch::new(options), up: String::new(), down: String::new() }
    }

    /// With one sender, or any.
    fn pinned() -> Self {
        let senders = vec!["scans@contoso.com".parse().unwrap()];
        Self::new(WatchOptions { senders, paced: false, chunking: true })
    }

    fn settle(&mut self) {
        loop {
            let (up, down) = (self.watch.for_upstream(), self.watch.for_client());
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.up += std::str::from_utf8(&up).unwrap();
            self.down += std::str::from_utf8(&down).unwrap();
        }
    }

    fn client(&mut self, text: &str) -> &mut Self {
        self.watch.client_sent(text.as_bytes());
        self.settle();
        self
    }

    fn upstream(&mut self, text: &str) -> &mut Self {
        self.watch.upstream_sent(text.as_bytes());
        self.settle();
        self
    }

    /// What reached the two since this was asked last.
    fn took(&mut self) -> (String, String) {
        (mem::take(&mut self.up), mem::take(&mut self.down))
    }

    #[track_caller]
    fn expect(&mut self, up: &str, down: &str) -> &mut Self {
        assert_eq!(self.took(), (up.to_owned(), down.to_owned()));
        self
    }

    /// Up to the text of a message.
    fn in_message() -> Self {
        let mut pair = Self::pinned();
        pair.client(MAIL).upstream("250 ok\r\n").client("RCPT TO:<a@b>\r\n").upstream("250 ok\r\n").client("DATA\r\n");
        pair.upstream("354 go\r\n").took();
        pair
    }
}

fn refused(words: &str) -> String {
    format!("{words}\r\n")
}

#[test]
fn a_message_goes_on_and_is_counted_where_the_upstream_took_it() {
    let mut pair = Pair::pinned();
    for (reply, messages) in [("250 2.0.0 taken\r\n", 1), ("554 5.6.0 no\r\n", 1), ("250-a\r\n250 b\r\n", 2)] {
        pair.client(&format!("{MAIL}RCPT TO:<a@b>\r\nDATA\r\n"))
            .expect(&format!("{MAIL}RCPT TO:<a@b>\r\nDATA\r\n"), "");
        pair.upstream("250 ok\r\n250 ok\r\n354 go\r\n").took();
        pair.client("Subject: x\r\n\r\nMAIL FROM:<boss@contoso.com>\r\n..\r\nQUIT\r\n.\r\n");
        pair.expect("Subject: x\r\n\r\nMAIL FROM:<boss@contoso.com>\r\n..\r\nQUIT\r\n.\r\n", "");
        pair.upstream(reply).expect("", reply);
        assert_eq!(pair.watch.messages(), messages);
    }
}

#[test]
fn a_sender_outside_the_policy_is_answered_in_its_place_and_never_goes_on() {
    for line in [
        "MAIL FROM:<boss@contoso.com>",
        "mail from:<boss@contoso.com> SIZE=100",
        "Mail From:   boss@contoso.com",
        "MAIL FROM:<\"boss\"@contoso.com>",
        "MAIL FROM:<@contoso.com:boss@contoso.com>",
        "MAIL FROM:<@scans@contoso.com:boss@contoso.com>",
        "MAIL FROM:<\"scans@contoso.com\"@evil.test>",
        "MAIL FROM:<scans@contoso.com.evil.test>",
        "MAIL FROM:<scans@contoso.com> <boss@contoso.com>",
        "MAIL FROM:scans@contoso.com <boss@contoso.com>",
        "MAIL FROM:<b\u{f6}ss@contoso.com> SMTPUTF8",
        "MAIL FROM:<>",
        "MAIL FROM:",
        "MAIL\tFROM:<boss@contoso.com>",
        " MAIL FROM:<boss@contoso.com>",
        "MAILFROM:<boss@contoso.com>",
        "SEND FROM:<boss@contoso.com>",
        "SAML FROM:<boss@contoso.com>",
        "SOML FROM:<boss@contoso.com>",
        "NOOP\rMAIL FROM:<boss@contoso.com>",
        "NO\0OP",
        "MAIL FROM:<scans@contoso.com>\r",
    ] {
        let mut pair = Pair::pinned();
        pair.client(&format!("{line}\r\n"));
        let (up, down) = pair.took();
        assert!(up.is_empty(), "{line:?} {up:?}");
        assert!(
            ["550 5.7.1 ", "501 5.1.7 ", "500 5.5.2 "].iter().any(|code| down.starts_with(code)),
            "{line:?} {down:?}"
        );
        assert_eq!(down.lines().count(), 1);
    }
}

#[test]
fn a_pipelined_transaction_with_a_wrong_sender_gets_nowhere() {
    let mut pair = Pair::pinned();
    pair.client("RSET\r\nMAIL FROM:<boss@contoso.com>\r\nRCPT TO:<a@b>\r\nDATA\r\nRSET\r\n");
    pair.expect("RSET\r\n", "");
    pair.upstream("250 reset\r\n");
    pair.expect("RCPT TO:<a@b>\r\nDATA\r\n", &("250 reset\r\n".to_owned() + &refused(NOT_PERMITTED)));
    pair.upstream("503 first MAIL\r\n503 first").expect("", "503 first MAIL\r\n");
    pair.upstream(" MAIL\r\n").expect("RSET\r\n", "503 first MAIL\r\n");
    assert_eq!(pair.watch.messages(), 0);
}

#[test]
fn a_second_transaction_is_looked_at_like_the_first() {
    let mut pair = Pair::in_message();
    pair.client("x\r\n.\r\nMAIL FROM:<boss@contoso.com>\r\n").expect("x\r\n.\r\n", "");
    pair.upstream("250 taken\r\n").expect("", &("250 taken\r\n".to_owned() + &refused(NOT_PERMITTED)));
}

#[test]
fn answers_of_ours_keep_their_place() {
    let mut pair = Pair::pinned();
    pair.client("NOOP\r\nXYZZY\r\nVRFY a\r\nAUTH PLAIN AGEAYg==\r\nSTARTTLS\r\n").expect("NOOP\r\nVRFY a\r\n", "");
    pair.upstream("250-one\r\n250 two\r\n").expect("", &("250-one\r\n250 two\r\n".to_owned() + &refused(UNKNOWN)));
    let behind = refused(BEHIND_LOGIN);
    pair.upstream("252 a\r\n").expect("", &format!("252 a\r\n{behind}{behind}"));
}

#[test]
fn nothing_goes_on_behind_data_before_it_is_answered() {
    let mut pair = Pair::pinned();
    pair.client(&format!("{MAIL}RCPT TO:<a@b>\r\n")).upstream("250 ok\r\n550 no\r\n").took();
    pair.client("DATA\r\nMAIL FROM:<boss@contoso.com>\r\n.\r\n").expect("DATA\r\n", "");
    // Not taken for a message: then these are commands.
    let unknown = refused(UNKNOWN);
    pair.upstream("503 no recipient\r\n")
        .expect("", &format!("503 no recipient\r\n{}{unknown}", refused(NOT_PERMITTED)));
}

#[test]
fn a_line_without_cr_goes_on_alone() {
    let mut pair = Pair::pinned();
    pair.client("NOOP\nMAIL FROM:<scans@contoso.com>\nNOOP\r\n").expect("NOOP\n", "");
    pair.upstream("250 ok\r\n").expect("MAIL FROM:<scans@contoso.com>\n", "250 ok\r\n");
    pair.upstream("250 ok\r\n").expect("NOOP\r\n", "250 ok\r\n");
}

#[test]
fn smuggling_ends_the_session_before_it_reaches_the_upstream() {
    for dot in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\rX", "\r\n\0.\r\n", "\r\n.\0\r\n"] {
        let mut pair = Pair::in_message();
        pair.client("Subject: x\r\n").client(&format!("text{dot}MAIL FROM:<boss@contoso.com>\r\n"));
        let (up, down) = pair.took();
        assert!(!up.contains('.') && !up.contains("MAIL"), "{dot:?} {up:?}");
        assert!(down.starts_with("521 5.5.2 ") && down.lines().count() == 1, "{dot:?} {down:?}");
        assert!(pair.watch.over().unwrap().contains("single dot"));
        pair.client("\r\n.\r\n").upstream("250 taken\r\n").expect("", "");
        assert_eq!(pair.watch.messages(), 0);
    }
}

#[test]
fn chunks_are_counted_and_never_read() {
    let mut pair = Pair::pinned();
    pair.client(MAIL).upstream("250 ok\r\n").client("RCPT TO:<a@b>\r\n").upstream("250 ok\r\n").took();
    let first = "BDAT 30\r\nMAIL FROM:<boss@contoso.com>\r\n";
    pair.client(&format!("{first}bdat 3 last\r\n\n.\nRSET\r\n")).expect(first, "");
    pair.upstream("250 30\r\n").expect("bdat 3 last\r\n\n.\nRSET\r\n", "250 30\r\n");
    pair.upstream("250 taken\r\n250 reset\r\n").expect("", "250 taken\r\n250 reset\r\n");
    assert_eq!(pair.watch.messages(), 1);
    // There is no recipient any more: the octets are nobody's.
    pair.client("BDAT 30 LAST\r\nMAIL FROM:<boss@contoso.com>\r\nNOOP\r\n").expect("NOOP\r\n", &refused(NO_RECIPIENT));
}

#[test]
fn behind_a_refused_chunk_no_other_goes_on() {
    let mut pair = Pair::pinned();
    pair.client(MAIL).upstream("250 ok\r\n").client("RCPT TO:<a@b>\r\n").upstream("250 ok\r\n").took();
    pair.client("BDAT 1\r\nxBDAT 5 LAST\r\nRSET\nRSET\r\n").expect("BDAT 1\r\nx", "");
    pair.upstream("552 too much\r\n").expect("RSET\r\n", &("552 too much\r\n".to_owned() + &refused(NO_RECIPIENT)));
    assert_eq!(pair.watch.messages(), 0);
}

#[test]
fn no_chunk_goes_to_an_upstream_that_does_not_know_them() {
    let mut pair = Pair::new(WatchOptions { chunking: false, ..WatchOptions::default() });
    pair.client(MAIL).upstream("250 ok\r\n").client("RCPT TO:<a@b>\r\n").upstream("250 ok\r\n").took();
    pair.client("BDAT 6 LAST\r\nRSET\r\nNOOP\r\n").expect("NOOP\r\n", &refused(NO_CHUNKS));
    for size in ["", "x", "-1", "+1", "0x1", "1 LAST x", "1 FIRST", "99999999999999999999", "2147483648"] {
        let mut pair = Pair::pinned();
        pair.client(&format!("BDAT {size}\r\nMAIL FROM:<scans@contoso.com>\r\n"));
        assert!(pair.watch.over().is_some(), "{size}");
        assert!(pair.took().0.is_empty());
    }
}

#[test]
fn a_paced_message_waits_for_its_turn_and_replies_go_on_meanwhile() {
    let mut pair = Pair::new(WatchOptions { paced: true, ..WatchOptions::default() });
    pair.client(&format!("NOOP\r\n{MAIL}RCPT TO:<a@b>\r\n")).expect("NOOP\r\n", "");
    assert_eq!(pair.watch.next_notice(), None, "there is something before it");
    pair.upstream("250 ok\r\n").expect("", "250 ok\r\n");
    assert_eq!(pair.watch.next_notice(), Some(Notice::Turn));
    pair.watch.turn_came();
    pair.settle();
    pair.expect(&format!("{MAIL}RCPT TO:<a@b>\r\n"), "");
    pair.upstream("451 4.3.2 later\r\n503 no\r\n").took();
    let notices: Vec<_> = std::iter::from_fn(|| pair.watch.next_notice()).collect();
    assert_eq!(notices, [Notice::PutOff("451 4.3.2 later".into()), Notice::Reset]);
    pair.client(MAIL);
    pair.watch.turn_failed();
    pair.settle();
    pair.expect("", &refused(TOO_EARLY));
}

#[test]
fn who_hangs_up_before_its_message_needs_no_turn() {
    for (behind, is_of_use) in [
        ("", false),
        ("RCPT TO:<a@b>\r\nQUIT\r\nDAT", false),
        ("RCPT TO:<a@b>\r\nDATA\r\n", true),
        ("rcpt to:<a@b>\r\nbdat 2 last\r\nx\n", true),
    ] {
        let mut pair = Pair::new(WatchOptions { paced: true, chunking: true, ..WatchOptions::default() });
        pair.client(MAIL).client(behind).expect("", "");
        assert!(pair.watch.turn_is_of_use(), "it may still come");
        pair.watch.client_ended();
        assert_eq!(pair.watch.turn_is_of_use(), is_of_use, "{behind:?}");
        pair.watch.upstream_ended();
        assert!(!pair.watch.turn_is_of_use(), "there is nobody to take it");
    }
}

#[test]
fn a_second_mail_that_is_refused_leaves_the_first_its_turn() {
    let mut pair = Pair::new(WatchOptions { paced: true, ..WatchOptions::default() });
    let mut notices = |said: &str, reply: &str| {
        pair.client(said);
        pair.watch.turn_came();
        pair.settle();
        pair.upstream(reply);
        std::iter::from_fn(|| pair.watch.next_notice()).collect::<Vec<_>>()
    };
    assert_eq!(notices(MAIL, "250 ok\r\n"), [Notice::Turn]);
    assert_eq!(notices(MAIL, "503 nested\r\n"), [Notice::Turn], "its message may still come");
    assert_eq!(notices("DATA\r\n", "354 go\r\n"), [Notice::Begun]);
    assert_eq!(notices("x\r\n.\r\n", "250 taken\r\n"), [Notice::Taken]);
    assert_eq!(notices(MAIL, "550 no\r\n"), [Notice::Turn, Notice::Reset]);
    assert_eq!(notices(MAIL, "250 ok\r\n"), [Notice::Turn]);
    assert_eq!(notices("RSET\r\n", "250 ok\r\n"), [Notice::Reset]);
    assert_eq!(notices(MAIL, "550 no\r\n"), [Notice::Turn, Notice::Reset]);
}

#[test]
fn what_cannot_be_followed_ends_the_session() {
    for (said, reply) in [
        ("", "250 unasked\r\n"),
        ("NOOP\r\n", "354 go\r\n"),
        ("DATA\r\n", "350 go\r\n"),
        ("RSET\r\n", "334 \r\n"),
        ("NOOP\r\n", "hello\r\n"),
        ("NOOP\r\n", "250-a\r\n354 b\r\n"),
    ] {
        let mut pair = Pair::pinned();
        pair.client(said).upstream(reply);
        assert!(pair.took().1.ends_with("421 4.3.0 The upstream's replies cannot be followed\r\n"), "{reply}");
        assert!(pair.watch.over().is_some());
    }
    let mut pair = Pair::pinned();
    pair.client("NOOP\r\n").upstream("250 ok\r\n421 4.4.2 bye\r\n").expect("NOOP\r\n", "250 ok\r\n421 4.4.2 bye\r\n");
    assert_eq!(pair.watch.over(), None, "it may hang up on its own");
}

#[test]
fn lines_and_numbers_are_bounded() {
    let mut pair = Pair::pinned();
    pair.client(&"x".repeat(COMMAND_BYTES_MAX - 2)).client("\r\n").expect("", &refused(UNKNOWN));
    pair.client(&"x".repeat(COMMAND_BYTES_MAX - 1)).client("x").expect("", "500 5.5.2 Line too long\r\n");
    assert!(pair.watch.over().is_some() && !pair.watch.client_may_send());

    // One that neither reads nor is answered.
    let mut watch = Watch::new(WatchOptions::default());
    let (mut sent, noops) = (0, "NOOP\r\n".repeat(100));
    while watch.client_may_send() {
        watch.client_sent(noops.as_bytes());
        sent += noops.len();
        let _ = watch.for_upstream();
        assert!(sent < 3 * BUFFER_BYTES_MAX);
    }
    let mut watch = Watch::new(WatchOptions::default());
    while watch.client_may_send() {
        watch.client_sent("\r\n".repeat(100).as_bytes());
    }
    assert!(watch.for_client.len() < BUFFER_BYTES_MAX + 200);
}

#[test]
fn an_end_of_the_client_waits_for_what_is_held() {
    let mut pair = Pair::pinned();
    pair.client("NOOP\n");
    pair.client("QUIT\r\nMAI");
    pair.watch.client_ended();
    assert!(!pair.watch.is_done_up());
    pair.upstream("250 ok\r\n").expect("NOOP\nQUIT\r\n", "250 ok\r\n");
    assert!(pair.watch.is_done_up(), "half a command is none");
    let mut pair = Pair::pinned();
    pair.client("NOOP\nQUIT\r\n");
    pair.watch.client_ended();
    pair.watch.upstream_ended();
    assert!(pair.watch.is_done_up(), "nobody will answer");
}

/// One command or text of a session with allowed senders, and what an upstream says to it at its end.
fn element() -> impl Strategy<Value = (String, String)> {
    let reply = prop_oneof![
        Just("250 ok\r\n"),
        Just("250-a\r\n250 b\r\n"),
        Just("550 5.1.1 no\r\n"),
        Just("451 4.0.0 later\r\n")
    ];
    let command = prop_oneof![
        Just("NOOP\r\n".to_owned()),
        Just("RSET\n".to_owned()),
        Just("EHLO scanner\r\n".to_owned()),
        "VRFY [a-z]{1,9}\r\n",
        "RCPT TO:<[a-z]{1,9}@x\\.test>\r\n",
        Just("mail from: scans@contoso.com SIZE=7\r\n".to_owned()),
        Just(MAIL.to_owned()),
    ];
    let text = "([a-zA-Z .]{0,9}(\r\n|\r\n\\.\\.))*";
    let message = (text, reply.clone()).prop_map(|(text, reply)| {
        let text = if text.is_empty() || text.ends_with("\r\n") { text } else { format!("{text}\r\n") };
        // A dot that would be alone is stuffed.
        let lines: String = text
            .split_inclusive("\r\n")
            .map(|line| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() })
            .collect();
        (format!("{MAIL}RCPT TO:<a@b>\r\nDATA\r\n{lines}.\r\n"), format!("250 ok\r\n250 ok\r\n354 go\r\n{reply}"))
    });
    let chunk = ("[a-z\r\n.]{0,40}", reply.clone()).prop_map(|(text, reply)| {
        let count = text.len();
        (format!("{MAIL}RCPT TO:<a@b>\r\nBDAT {count} LAST\r\n{text}"), format!("250 ok\r\n250 ok\r\n{reply}"))
    });
    prop_oneof![(command, reply.prop_map(str::to_owned)), message, chunk]
}

proptest! {
    /// However both directions are cut: the upstream gets the client's bytes and the client the upstream's.
    #[test]
    fn allowed_sessions_pass_byte_for_byte(
        elements in vec(element(), 1..8),
        sizes in vec(1_usize..40, 1..20),
    ) {
        let sent: String = elements.iter().map(|(said, _)| said.as_str()).collect();
        let answers: String = elements.iter().map(|(_, reply)| reply.as_str()).collect();
        let mut pair = Pair::pinned();
        let mut sizes = sizes.iter().cycle();
        let mut cut = |rest: &str| rest.len().min(*sizes.next().unwrap());
        let (mut client, mut upstream) = (sent.as_str(), answers.as_str());
        // The upstream says nothing before it was asked: as many replies as commands that reached it.
        let mut model = Upstream;
        while !client.is_empty() || !upstream.is_empty() {
            if !client.is_empty() && pair.watch.client_may_send() {
                let (now, later) = client.split_at(cut(client));
                pair.client(now);
                client = later;
            }
            let may_say = model.may_say(&pair.up, &answers).saturating_sub(answers.len() - upstream.len());
            prop_assert!(may_say > 0 || !client.is_empty() || upstream.is_empty(), "stuck: {:?}", pair.up);
            let (now, later) = upstream.split_at(may_say.min(cut(upstream)));
            pair.upstream(now);
            upstream = later;
        }
        prop_assert_eq!(pair.watch.over(), None);
        prop_assert_eq!(&pair.up, &sent);
        prop_assert_eq!(&pair.down, &answers);
    }

    /// Whatever both sides say: no panic, nothing of a wrong sender, and bounded memory.
    #[test]
    fn anything_at_all_is_survived(
        pieces in vec((any::<bool>(), prop_oneof![
            Just("MAIL FROM:<boss@contoso.com>\r\n"), Just(MAIL), Just("RCPT TO:<a@b>\r\n"), Just("DATA\r\n"), Just("DATA\n"),
            Just(".\r\n"), Just("\n.\n"), Just("BDAT 9\r\n"), Just("BDAT 3 LAST\r\n"), Just("RSET\r\n"), Just("abc"), Just("\r"),
            Just("\n"), Just("250 ok\r\n"), Just("354 go\r\n"), Just("503 no\r\n"), Just("250-x\r\n"), Just("421 bye\r\n"),
        ]), 0..60),
    ) {
        let senders = vec!["scans@contoso.com".parse().unwrap()];
        let mut watch = Watch::new(WatchOptions { senders, paced: true, chunking: true });
        for (is_client, piece) in pieces {
            let is_text = matches!(watch.state, State::Content(_) | State::Chunk { .. }) || piece.starts_with("354");
            if is_client { watch.client_sent(piece.as_bytes()) } else { watch.upstream_sent(piece.as_bytes()) }
            while let Some(notice) = watch.next_notice() {
                if notice == Notice::Turn { watch.turn_came() }
            }
            let up = watch.for_upstream();
            prop_assert!(is_text || !String::from_utf8_lossy(&up).starts_with("MAIL FROM:<boss"), "{:?}", String::from_utf8_lossy(&up));
            let _ = watch.for_client();
        }
    }
}

/// Knows how many replies an upstream may have given for what reached it.
#[derive(Default)]
struct Upstream;

impl Upstream {
    /// How much of its answers it may have said: those to all commands that have come whole.
    fn may_say(&mut self, heard: &str, answers: &str) -> usize {
        let (mut rest, mut replies) = (heard, 0);
        while let Some(end) = rest.find('\n') {
            let line = &rest[..=end];
            rest = &rest[end + 1..];
            if line.starts_with("DATA") {
                replies += 1;
                let text = if rest.starts_with(".\r\n") { Some(3) } else { rest.find("\r\n.\r\n").map(|at| at + 5) };
                let Some(end) = text else { break };
                rest = &rest[end..];
            } else if let Some(size) = line.strip_prefix("BDAT ") {
                let size: usize = size.split(' ').next().unwrap().parse().unwrap();
                if rest.len() < size {
                    break;
                }
                rest = &rest[size..];
            }
            replies += 1;
        }
        let mut length = 0;
        for line in answers.split_inclusive('\n') {
            if replies == 0 {
                break;
            }
            length += line.len();
            if line.as_bytes()[3] != b'-' {
                replies -= 1;
            }
        }
        length
    }
}
