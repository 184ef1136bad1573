//! A client that may name one sender alone, with real clients before Locum and a real Postfix behind it: what is its own
//! arrives as it was sent, and nothing else arrives.

use locum::model::Protocol;

use crate::clients::swaks;
use crate::endpoint::Tls;
use crate::lab::{Lab, Route};
use crate::locum::Locum;
use crate::scenarios::submission;

#[test]
fn what_is_the_clients_own_arrives_byte_for_byte_and_another_sender_is_refused() {
    let locum = Locum::start(Lab::start(), Tls::Implicit);
    for tls in Tls::ALL {
        let mailbox = locum.lab().mailbox(tls);
        let endpoint = locum.endpoint(Protocol::Submission, tls, mailbox);
        locum.operator(&["client", "set", &endpoint.user, "--sender", &mailbox.address]);
        submission::with_swaks(&endpoint, mailbox);
        submission::with_msmtp(&endpoint, mailbox);
        let before = mailbox.stored("INBOX").len();
        let refusal = swaks::refused_sender(&endpoint, "boss@example.test", &mailbox.address);
        assert_eq!(refusal, "550 5.7.1 This login may not send as that address");
        submission::with_smtplib(&endpoint, mailbox);
        assert_eq!(mailbox.stored("INBOX").len(), before + 3, "of what was refused nothing arrives");
    }
    locum.check_logs();
}
