//! What clients are told (design: the table of answers), written down a second time so that the code cannot be its own
//! judge.

use locum::model::{Protocol, Refusal};

/// The answer to a refused login; the IMAP tag is `a`.
pub(crate) fn refused(protocol: Protocol, refusal: Refusal) -> &'static str {
    match (protocol, refusal) {
        (Protocol::Imap, Refusal::WrongCredentials) => "a NO [AUTHENTICATIONFAILED] Login or password is wrong",
        (Protocol::Imap, Refusal::NotPermitted) => "a NO [AUTHORIZATIONFAILED] This login is not permitted here",
        (Protocol::Imap, Refusal::Unavailable) => "a NO [UNAVAILABLE] Mail is out of reach for now, try again later",
        (Protocol::Imap, Refusal::ContactAdmin) => {
            "a NO [CONTACTADMIN] The mail provider needs your administrator's attention"
        }
        (Protocol::Imap, Refusal::LimitReached) => "a NO [LIMIT] Too many sessions or logins, try again later",
        (Protocol::Pop3, Refusal::WrongCredentials | Refusal::NotPermitted) => "-ERR [AUTH] Invalid login or password",
        (Protocol::Pop3, Refusal::Unavailable) => "-ERR [SYS/TEMP] Temporary failure, try again later",
        (Protocol::Pop3, Refusal::ContactAdmin) => "-ERR [SYS/TEMP] Temporary failure, contact your administrator",
        (Protocol::Pop3, Refusal::LimitReached) => "-ERR [IN-USE] Too many connections or attempts, try again later",
        (Protocol::Submission, Refusal::WrongCredentials | Refusal::NotPermitted) => {
            "535 5.7.8 Authentication credentials invalid"
        }
        (Protocol::Submission, Refusal::Unavailable) => "454 4.7.0 Temporary authentication failure, try again later",
        (Protocol::Submission, Refusal::ContactAdmin) => {
            "454 4.7.0 Temporary authentication failure, contact your administrator"
        }
        (Protocol::Submission, Refusal::LimitReached) => "421 4.7.0 Too many connections or attempts, try again later",
    }
}

/// The answer to a login at the look-alike of Gmail; the IMAP tag is `a`.
pub(crate) fn accepted(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => {
            "a OK [CAPABILITY IMAP4rev1 UNSELECT IDLE NAMESPACE ID CHILDREN UIDPLUS MOVE LITERAL- SPECIAL-USE] Logged in"
        }
        Protocol::Pop3 => "+OK Logged in",
        Protocol::Submission => "235 2.7.0 Authentication succeeded",
    }
}
