//! What a listener shows before login is what every provider behind it offers, as the probes saw it.

use locum::model::Protocol;
use locum::sandbox::{Face, Start};

use crate::support::{Door, Lab, Plan, Provider};

const TLS_WAYS: [Door; 2] = [Door::Implicit, Door::StartTls];

#[tokio::test]
async fn submission_shows_what_gmail_and_exchange_online_share() {
    let lab = Lab::start().await;
    for door in TLS_WAYS {
        let mut wire = lab.connect(Protocol::Submission, door).await;
        assert_eq!(
            wire.ehlo().await,
            [
                "SIZE 35882577",
                "PIPELINING",
                "8BITMIME",
                "SMTPUTF8",
                "ENHANCEDSTATUSCODES",
                "CHUNKING",
                "AUTH PLAIN LOGIN"
            ]
        );
    }
}

#[tokio::test]
async fn a_listener_for_one_provider_shows_all_that_this_one_offers() {
    let listener = "[[listener]]\nname = \"scans\"\nprotocol = \"submission\"\nbind = \"127.0.0.1:0\"\n\
                    tls = \"none\"\nplaintext-networks = \"127.0.0.0/8\"\nupstream = \"exchange-online\"\n";
    let lab = Plan::new().toml(listener).start().await;
    let mut wire = crate::support::Wire::connect(lab.address("scans")).await;
    assert_eq!(wire.line().await, "220 locum.test ESMTP Locum ready");
    assert_eq!(
        wire.ehlo().await,
        [
            "SIZE 157286400",
            "PIPELINING",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
            "BINARYMIME",
            "AUTH PLAIN LOGIN"
        ]
    );
}

#[tokio::test]
async fn pop3_shows_what_its_providers_share() {
    let lab = Lab::start().await;
    let mut wire = lab.open(Protocol::Pop3).await;
    wire.write("CAPA\r\n").await;
    let capabilities = wire.until(".").await;
    assert_eq!(
        capabilities,
        ["+OK Capabilities follow", "TOP", "UIDL", "USER", "SASL PLAIN LOGIN", "RESP-CODES", "AUTH-RESP-CODE", "."]
    );
}

#[tokio::test]
async fn without_tls_no_login_is_offered_where_tls_can_be_had() {
    let lab = Lab::start().await;
    let connect = |protocol| crate::support::Wire::connect(lab.address(&Door::StartTls.listener(protocol)));
    let mut imap = connect(Protocol::Imap).await;
    let greeting = imap.line().await;
    assert_eq!(greeting, "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID STARTTLS LOGINDISABLED] locum.test ready");
    let mut submission = connect(Protocol::Submission).await;
    submission.line().await;
    let keywords = submission.ehlo().await;
    assert!(keywords.contains(&"STARTTLS".to_owned()), "{keywords:?}");
    assert!(!keywords.iter().any(|keyword| keyword.starts_with("AUTH")), "{keywords:?}");
    let mut pop3 = connect(Protocol::Pop3).await;
    pop3.line().await;
    pop3.write("CAPA\r\n").await;
    let capabilities = pop3.until(".").await;
    assert!(capabilities.contains(&"STLS".to_owned()), "{capabilities:?}");
    assert!(!capabilities.iter().any(|word| word.starts_with("USER") || word.starts_with("SASL")), "{capabilities:?}");
}

#[tokio::test]
async fn a_provider_that_cannot_be_probed_is_offered_as_its_preset_says() {
    let dead = Provider::serve("gone", Face::Gmail, Start::Implicit).await;
    let plan = Plan::new().provider(&dead);
    dead.vanish().await;
    let lab = plan.start().await;
    let mut wire = lab.open(Protocol::Submission).await;
    // The preset of the one that is gone is Gmail's too.
    let keywords = wire.ehlo().await;
    assert_eq!(keywords[0], "SIZE 35882577");
    assert_eq!(keywords.len(), 7, "{keywords:?}");
}
