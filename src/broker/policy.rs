//! The conditions of a login, and which account it is for. Pure: the client's record and the circumstances in, a verdict
//! out.

use jiff::Timestamp;

use crate::audit::Origin;
use crate::model::Client;

use super::Reason;

/// The login name presented, if it can be one at all: text without control characters.
pub(super) fn login_name(authcid: &[u8]) -> Option<&str> {
    std::str::from_utf8(authcid).ok().filter(|name| !name.chars().any(char::is_control))
}

/// Whether the proven client may log in now. The hours are of no concern to a session that is open.
pub(super) fn check_time(client: &Client, now: Timestamp) -> Result<(), Reason> {
    let policy = &client.policy;
    if let Some(end) = policy.expires.filter(|end| *end <= now) {
        return Err(Reason::ClientExpired { end });
    }
    if !policy.hours.is_empty() && !policy.hours.iter().any(|hours| hours.include(now)) {
        return Err(Reason::HourNotAllowed);
    }
    Ok(())
}

/// Whether the proven client may be here.
pub(super) fn check(client: &Client, origin: &Origin) -> Result<(), Reason> {
    let policy = &client.policy;
    if !policy.protocols.is_empty() && !policy.protocols.contains(&origin.protocol) {
        return Err(Reason::ProtocolNotAllowed(origin.protocol));
    }
    if !policy.listeners.is_empty() && !policy.listeners.iter().any(|name| **name == *origin.listener) {
        return Err(Reason::ListenerNotAllowed(origin.listener.to_string()));
    }
    if !policy.networks.is_empty() && !policy.networks.iter().any(|network| network.contains(&origin.peer)) {
        return Err(Reason::NetworkNotAllowed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{Binding, Policy, Protocol};

    fn client(accounts: &[&str], policy: Policy) -> Client {
        let bindings = accounts.iter().map(|&name| Binding::Account(name.into())).collect();
        Client { login: "Scanner-3F".into(), secrets: Vec::new(), bindings, policy }
    }

    fn origin() -> Origin {
        super::super::tests::origin("smtp", Protocol::Submission, [10, 3, 0, 9].into())
    }

    fn verdict(policy: Policy) -> Result<(), Reason> {
        check(&client(&["a"], policy), &origin())
    }

    #[test]
    fn an_empty_policy_lets_in() {
        assert!(verdict(Policy::default()).is_ok());
    }

    #[test]
    fn each_condition_refuses_by_its_own_reason() {
        let base = Policy::default;
        assert!(matches!(
            verdict(Policy { protocols: vec![Protocol::Imap], ..base() }),
            Err(Reason::ProtocolNotAllowed(Protocol::Submission))
        ));
        assert!(matches!(
            verdict(Policy { listeners: vec!["imap".into()], ..base() }),
            Err(Reason::ListenerNotAllowed(_))
        ));
        assert!(matches!(
            verdict(Policy { networks: vec!["10.4.0.0/16".parse().unwrap()], ..base() }),
            Err(Reason::NetworkNotAllowed)
        ));
        assert!(verdict(Policy { networks: vec!["10.3.0.0/16".parse().unwrap()], ..base() }).is_ok());
    }

    #[test]
    fn a_client_has_its_end_and_its_hours() {
        let now: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap(); // a Monday
        let at = |policy| check_time(&client(&["a"], policy), now);
        let base = Policy::default;
        assert!(at(base()).is_ok());
        assert!(
            matches!(at(Policy { expires: Some(now), ..base() }), Err(Reason::ClientExpired { end }) if end == now)
        );
        assert!(at(Policy { expires: Some(now + jiff::SignedDuration::from_secs(1)), ..base() }).is_ok());
        let hours = |all: &[&str]| all.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let of = |all: &[&str]| at(Policy { hours: hours(all), ..base() });
        assert!(matches!(of(&["tue-sun 00:00-24:00 UTC"]), Err(Reason::HourNotAllowed)));
        assert!(matches!(of(&["mon 12:01-12:00 UTC"]), Err(Reason::HourNotAllowed)), "all but this minute");
        assert!(of(&["sat,sun 00:00-24:00 UTC", "mon-fri 12:00-12:01 UTC"]).is_ok(), "one of them is enough");
    }

    #[test]
    fn control_characters_are_in_no_login_name() {
        assert_eq!(login_name(b"scan\r\nner"), None);
        assert_eq!(login_name(b"scan\x7f"), None);
        assert_eq!(login_name("sc\u{e4}n".as_bytes()), Some("scän"));
    }
}
