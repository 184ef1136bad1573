//! Tokens at the mailboxes' doors: which are taken, in which words the others are refused, and how a session ends with its
//! token.

use data_encoding::BASE64;
use locum::model::{CredentialKind, Mechanism, Protocol, Secret};
use locum::sandbox::{Application, ApplicationProof, AuthorityTrouble, Behaviour, Face, Mailboxes, Outcome};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::http::{Authority, field, query};
use crate::support::{ALICE, HOST, PASSWORD, Provider, Wire};

const BOB: &str = "bob@contoso.test";
const DAEMON: &str = "daemon";
const DESKTOP: &str = "desktop";
const SECRET: &str = "application secret";
const TOKEN: &str = "/contoso/oauth2/v2.0/token";
const NOT_CONNECTED: &str = "T BAD User is authenticated but not connected.";
const OVER: &str = "* BYE Session invalidated - AccessTokenExpired";

fn register(provider: &Provider, may_act_as: Mailboxes) {
    let application = |client_id: &str, authentication| {
        let (client_id, tenant, may_act_as) = (client_id.to_owned(), "contoso".to_owned(), may_act_as.clone());
        Application { client_id, tenant, authentication, may_act_as, consented: true }
    };
    provider.sandbox.register(application(DAEMON, ApplicationProof::Secret(Secret::new(SECRET))));
    provider.sandbox.register(application(DESKTOP, ApplicationProof::Secret(Secret::new(SECRET))));
}

async fn exchange() -> (Provider, Authority) {
    let provider = Provider::new(Face::ExchangeOnline);
    register(&provider, Mailboxes::All);
    let authority = provider.authority().await;
    (provider, authority)
}

/// A token of the application itself.
async fn token(authority: &Authority) -> String {
    let scope = "https://outlook.office365.com/.default";
    let form =
        [("grant_type", "client_credentials"), ("client_id", DAEMON), ("client_secret", SECRET), ("scope", scope)];
    authority.post(TOKEN, &form).await.token()
}

/// A token of a person.
async fn token_of(provider: &Provider, authority: &Authority, person: &str, scope: &str) -> String {
    let redirect = "http://localhost:1/";
    let (page, path) = match scope.starts_with("https://mail.google.com") {
        true => ("/o/oauth2/v2/auth", "/token"),
        false => ("/contoso/oauth2/v2.0/authorize", TOKEN),
    };
    let fields = [("client_id", DESKTOP), ("response_type", "code"), ("redirect_uri", redirect), ("scope", scope)];
    let url = provider.sandbox.consent(&format!("{}{page}?{}", authority.base, query(&fields)), person).unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", DESKTOP),
        ("client_secret", SECRET),
        ("code", &field(&url, "code")),
        ("redirect_uri", redirect),
    ];
    authority.post(path, &form).await.token()
}

const DELEGATED: &str = "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/POP.AccessAsUser.All https://outlook.office.com/SMTP.Send";

fn xoauth2(user: &str, token: &str) -> String {
    BASE64.encode(format!("user={user}\x01auth=Bearer {token}\x01\x01").as_bytes())
}

fn oauthbearer(user: &str, token: &str) -> String {
    let name = if user.is_empty() { String::new() } else { format!("a={user}") };
    BASE64.encode(format!("n,{name},\x01host=x\x01port=1\x01auth=Bearer {token}\x01\x01").as_bytes())
}

/// Logs in by IMAP; gives the tagged answer.
async fn imap(provider: &Provider, user: &str, token: &str) -> (Wire<TlsStream<TcpStream>>, String) {
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    let answer = wire.imap(&format!("AUTHENTICATE XOAUTH2 {}", xoauth2(user, token))).await.pop().unwrap();
    (wire, answer)
}

async fn pop3(provider: &Provider, user: &str, token: &str) -> String {
    let (mut wire, _) = provider.wire(Protocol::Pop3).await;
    assert_eq!(wire.ask("AUTH XOAUTH2").await, "+ ");
    wire.ask(&xoauth2(user, token)).await
}

async fn submission(provider: &Provider, user: &str, token: &str) -> String {
    let (mut wire, _) = provider.wire(Protocol::Submission).await;
    wire.smtp("EHLO device").await;
    assert_eq!(wire.ask("AUTH XOAUTH2").await, "334 ");
    wire.smtp(&xoauth2(user, token)).await[0].clone()
}

/// Whether a token logs in by IMAP, POP3 and submission; a refusal must be in the words for a token that is not good.
async fn doors(provider: &Provider, user: &str, token: &str) -> [bool; 3] {
    let answers = [
        imap(provider, user, token).await.1,
        pop3(provider, user, token).await,
        submission(provider, user, token).await,
    ];
    let good =
        ["T OK AUTHENTICATE completed.", "+OK User successfully authenticated.", "235 2.7.0 Authentication successful"];
    let bad = [
        "T NO AUTHENTICATE failed.",
        "-ERR Authentication failure: unknown user name or bad password.",
        "535 5.7.3 Authentication unsuccessful [",
    ];
    let mut taken = [false; 3];
    for (at, answer) in answers.iter().enumerate() {
        taken[at] = answer == good[at];
        assert!(taken[at] || answer.starts_with(bad[at]), "{answer}");
    }
    taken
}

#[tokio::test]
async fn a_good_token_opens_all_three_doors() {
    let (provider, authority) = exchange().await;
    let token = token(&authority).await;
    assert_eq!(doors(&provider, ALICE, &token).await, [true; 3]);
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    assert_eq!(wire.ask("T AUTHENTICATE XOAUTH2").await, "+ ", "without an initial response");
    assert_eq!(wire.ask(&xoauth2(ALICE, &token)).await, "T OK AUTHENTICATE completed.");
    assert!(wire.imap("SELECT INBOX").await.last().unwrap().starts_with("T OK "));
    let logins = provider.sandbox.logins();
    let seen: Vec<_> = logins.iter().map(|it| (it.protocol, it.sasl(), it.kind(), it.outcome)).collect();
    let by = |protocol| (protocol, Some(Mechanism::Xoauth2), CredentialKind::OAuth2, Outcome::Accepted);
    assert_eq!(seen, [by(Protocol::Imap), by(Protocol::Pop3), by(Protocol::Submission), by(Protocol::Imap)]);
    assert!(provider.sandbox.was_presented(&Secret::new(token)));
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    wire.imap(&format!("LOGIN {ALICE} {PASSWORD}")).await;
    let login = provider.sandbox.logins().pop().unwrap();
    assert_eq!((login.sasl(), login.kind()), (None, CredentialKind::AppPassword));
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_in_the_providers_words() {
    let (provider, authority) = exchange().await;
    assert_eq!(doors(&provider, ALICE, "made-up").await, [false; 3]);
    assert_eq!(doors(&provider, "nobody@contoso.test", &token(&authority).await).await, [false; 3]);
    provider.sandbox.set_authority_trouble(AuthorityTrouble::WrongAudience, Some(1));
    assert_eq!(doors(&provider, ALICE, &token(&authority).await).await, [false; 3]);
    let graph = token_of(&provider, &authority, ALICE, "https://graph.microsoft.com/Mail.Read").await;
    assert_eq!(doors(&provider, ALICE, &graph).await, [false; 3]);
    let over = token(&authority).await;
    provider.sandbox.end_access_tokens();
    assert_eq!(doors(&provider, ALICE, &over).await, [false; 3]);
    let good = token(&authority).await;
    register(&provider, Mailboxes::Of(vec![BOB.to_owned()]));
    assert_eq!(doors(&provider, ALICE, &good).await, [false; 3]);
    assert_eq!(doors(&provider, BOB, &good).await, [true; 3]);
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    let blob = oauthbearer(ALICE, &good);
    assert_eq!(
        wire.imap(&format!("AUTHENTICATE OAUTHBEARER {blob}")).await,
        ["T NO AUTHENTICATE failed."],
        "Exchange does not know it"
    );
}

#[tokio::test]
async fn a_persons_token_is_for_what_was_consented_and_for_mailboxes_that_were_shared() {
    let (provider, authority) = exchange().await;
    let alice = token_of(&provider, &authority, ALICE, DELEGATED).await;
    assert_eq!(doors(&provider, ALICE, &alice).await, [true; 3]);
    assert_eq!(doors(&provider, BOB, &alice).await, [false; 3]);
    provider.sandbox.grant_full_access(ALICE, BOB);
    assert_eq!(doors(&provider, BOB, &alice).await, [true, true, false], "mail is sent by Alice, in the name of Bob");
    let sends = token_of(&provider, &authority, ALICE, "https://outlook.office.com/SMTP.Send").await;
    assert_eq!(doors(&provider, ALICE, &sends).await, [false, false, true]);
}

#[tokio::test]
async fn a_login_may_find_no_mailbox_behind_it_for_a_while_or_for_strangers() {
    let (provider, authority) = exchange().await;
    let good = token(&authority).await;
    provider.sandbox.set_behaviour(ALICE, Behaviour::NotConnectedFor(2));
    for _ in 0..2 {
        let (mut wire, answer) = imap(&provider, ALICE, &good).await;
        assert_eq!(answer, "T OK AUTHENTICATE completed.");
        assert_eq!(wire.imap("CAPABILITY").await, [NOT_CONNECTED]);
        assert_eq!(wire.line().await, "* BYE Connection closed. 14");
        assert!(wire.is_closed().await);
    }
    let (mut wire, _) = imap(&provider, ALICE, &good).await;
    assert!(wire.imap("EXAMINE INBOX").await.last().unwrap().starts_with("T OK "));
    assert_eq!(doors(&provider, ALICE, &good).await, [true; 3]);

    let bob = token_of(&provider, &authority, BOB, DELEGATED).await;
    provider.sandbox.set_behaviour(ALICE, Behaviour::StrangersNotConnected);
    let (mut wire, answer) = imap(&provider, ALICE, &bob).await;
    assert_eq!(answer, "T OK AUTHENTICATE completed.");
    assert_eq!(wire.imap("EXAMINE INBOX").await, [NOT_CONNECTED]);
    assert_eq!(imap(&provider, ALICE, "made-up").await.1, "T NO AUTHENTICATE failed.", "it must be a good one");
    let (mut wire, _) = imap(&provider, ALICE, &good).await;
    assert!(wire.imap("EXAMINE INBOX").await.last().unwrap().starts_with("T OK "));
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let (provider, authority) = exchange().await;
    let open = async || {
        let (mut wire, answer) = imap(&provider, ALICE, &token(&authority).await).await;
        assert_eq!(answer, "T OK AUTHENTICATE completed.");
        wire.imap("SELECT INBOX").await;
        wire
    };
    let (mut idle, mut search, mut uid, mut noop) = (open().await, open().await, open().await, open().await);
    assert!(idle.ask("T IDLE").await.starts_with("+ "));
    provider.sandbox.end_access_tokens();
    assert_eq!(idle.line().await, OVER);
    assert!(idle.is_closed().await);
    let tagged = "T BAD Session invalidated - AccessTokenExpired";
    assert_eq!(search.imap("SEARCH ALL").await, [tagged]);
    assert!(search.is_closed().await);
    assert_eq!(uid.imap("UID SEARCH ALL").await, [tagged]);
    assert_eq!(noop.ask("T NOOP").await, OVER);
    assert!(noop.is_closed().await);

    // The same when its time comes by itself.
    provider.sandbox.set_token_life(std::time::Duration::from_millis(300));
    let mut idle = open().await;
    assert!(idle.ask("T IDLE").await.starts_with("+ "));
    assert_eq!(idle.line().await, OVER);
}

#[tokio::test]
async fn pop3_takes_a_token_on_a_line_of_its_own_and_none_that_is_too_long() {
    let (provider, authority) = exchange().await;
    let error = "-ERR Protocol error. Connection is closed. 10";
    let blob = xoauth2(ALICE, &token(&authority).await);
    let (mut wire, _) = provider.wire(Protocol::Pop3).await;
    assert_eq!(wire.ask(&format!("AUTH XOAUTH2 {blob}")).await, error);
    assert!(wire.is_closed().await);
    for (length, answer) in [(4096, "+OK User successfully authenticated."), (4097, error)] {
        provider.sandbox.set_token_length(length);
        let token = token(&authority).await;
        assert_eq!(pop3(&provider, ALICE, &token).await, answer, "{length}");
        assert_eq!(imap(&provider, ALICE, &token).await.1, "T OK AUTHENTICATE completed.", "IMAP does not mind");
    }
}

#[tokio::test]
async fn behaviours_hit_the_kind_that_they_are_about() {
    let (provider, authority) = exchange().await;
    let good = token(&authority).await;
    for (behaviour, text) in [
        (Behaviour::BasicAuthDisabled, "235 2.7.0 Authentication successful"),
        (Behaviour::SecurityDefaults, "235 2.7.0 Authentication successful"),
        (
            Behaviour::SmtpAuthDisabledForTenant,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. ",
        ),
        (
            Behaviour::SmtpAuthDisabledForMailbox,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. ",
        ),
        (Behaviour::TokenExpiresSoon, "535 5.7.142 Token will expire soon ["),
        (Behaviour::TokenExpired, "535 5.7.143 Expired token ["),
        (Behaviour::TokenNotPermitted, "535 5.7.144 XOAUTH2 authentication failed. Invalid API permissions ["),
        (Behaviour::TokenUnreadable, "501 5.5.124 Invalid XOAUTH2 auth data ["),
    ] {
        provider.sandbox.set_behaviour(ALICE, behaviour);
        let answer = submission(&provider, ALICE, &good).await;
        assert!(answer.starts_with(text), "{behaviour:?}: {answer}");
    }
    assert_eq!(by_password(&provider).await, "235 2.7.0 Authentication successful", "that was of tokens");
    for (behaviour, text) in [
        (Behaviour::ServerUnavailable, "T NO Server Unavailable. 15"),
        (Behaviour::Throttled, "T BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"),
    ] {
        provider.sandbox.set_behaviour(ALICE, behaviour);
        assert_eq!(imap(&provider, ALICE, &good).await.1, text);
    }
}

async fn by_password(provider: &Provider) -> String {
    let (mut wire, _) = provider.wire(Protocol::Submission).await;
    wire.smtp("EHLO device").await;
    wire.ask(&format!("AUTH LOGIN {}", BASE64.encode(ALICE.as_bytes()))).await;
    wire.ask(&BASE64.encode(PASSWORD.as_bytes())).await
}

#[tokio::test]
async fn passwords_are_switched_off_and_tokens_stay() {
    let (provider, authority) = exchange().await;
    let token = token(&authority).await;
    assert_eq!(by_password(&provider).await, "235 2.7.0 Authentication successful");
    provider.sandbox.switch_passwords_off();
    let refused = by_password(&provider).await;
    let text = format!("535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [{HOST} ");
    assert!(refused.starts_with(&text), "{refused}");
    assert_eq!(doors(&provider, ALICE, &token).await, [true; 3]);
}

#[tokio::test]
async fn gmail_takes_both_mechanisms_and_explains_a_refusal() {
    const MAIL: &str = "https://mail.google.com/";
    let provider = Provider::new(Face::Gmail);
    register(&provider, Mailboxes::All);
    let authority = provider.authority().await;
    let good = token_of(&provider, &authority, ALICE, MAIL).await;
    for (mechanism, blob) in [
        ("XOAUTH2", xoauth2(ALICE, &good)),
        ("OAUTHBEARER", oauthbearer(ALICE, &good)),
        ("OAUTHBEARER", oauthbearer("", &good)),
    ] {
        let (mut wire, _) = provider.wire(Protocol::Imap).await;
        let answer = wire.imap(&format!("AUTHENTICATE {mechanism} {blob}")).await.pop().unwrap();
        assert_eq!(answer, format!("T OK {ALICE} authenticated (Success)"));
        let (mut wire, _) = provider.wire(Protocol::Pop3).await;
        let answer = wire.ask(&format!("AUTH {mechanism} {blob}")).await;
        assert_eq!(answer, "+OK Welcome.", "in one line, too");
        let (mut wire, _) = provider.wire(Protocol::Submission).await;
        wire.smtp("EHLO device").await;
        assert_eq!(wire.ask(&format!("AUTH {mechanism}")).await, "334 ");
        assert_eq!(wire.ask(&blob).await, "235 2.7.0 Accepted");
    }
    let bad = [("XOAUTH2", xoauth2(BOB, &good), ""), ("OAUTHBEARER", oauthbearer(BOB, &good), "AQ==")];
    for (mechanism, blob, acknowledgement) in bad {
        let wrong = if acknowledgement.is_empty() { "AQ==" } else { "" };
        let (mut wire, _) = provider.wire(Protocol::Imap).await;
        assert!(wire.ask(&format!("T AUTHENTICATE {mechanism} {blob}")).await.starts_with("+ eyJ"));
        let refused = wire.ask(acknowledgement).await;
        assert_eq!(refused, "T NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)");
        assert!(wire.ask(&format!("T AUTHENTICATE {mechanism} {blob}")).await.starts_with("+ eyJ"));
        assert_eq!(wire.ask(wrong).await, "T BAD Could not parse command");
        let (mut wire, _) = provider.wire(Protocol::Pop3).await;
        assert_eq!(wire.ask(&format!("AUTH {mechanism}")).await, "+ ");
        assert!(wire.ask(&blob).await.starts_with("+ eyJ"));
        assert_eq!(wire.ask(acknowledgement).await, "-ERR [AUTH] Username and password not accepted.");
        let (mut wire, _) = provider.wire(Protocol::Submission).await;
        wire.smtp("EHLO device").await;
        assert_eq!(wire.ask(&format!("AUTH {mechanism}")).await, "334 ");
        assert!(wire.ask(&blob).await.starts_with("334 eyJ"));
        assert!(wire.smtp(acknowledgement).await[0].starts_with("535-5.7.8 Username and Password not accepted. "));
        wire.ask(&format!("AUTH {mechanism}")).await;
        wire.ask(&blob).await;
        assert_eq!(wire.ask(wrong).await, "501 5.5.2 Cannot decode the response");
    }
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    wire.imap(&format!("AUTHENTICATE XOAUTH2 {}", xoauth2(ALICE, &good))).await;
    assert!(wire.ask("T IDLE").await.starts_with("+ "));
    provider.sandbox.end_access_tokens();
    assert_eq!(wire.line().await, "* BYE Session expired, please login again");
}
