//! The conditions of a login, and which account it is for. Pure: the client's record and the circumstances in, a verdict
//! out.

use crate::audit::Origin;
use crate::model::Client;

use super::Reason;

/// The login name presented, if it can be one at all: text without control characters.
pub(super) fn login_name(authcid: &[u8]) -> Option<&str> {
    std::str::from_utf8(authcid).ok().filter(|name| !name.chars().any(char::is_control))
}

/// Whether the proven client may log in here and now.
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
    use std::net::IpAddr;

    use super::*;
    use crate::model::{Binding, Policy, Protocol};

    fn client(accounts: &[&str], policy: Policy) -> Client {
        let bindings = accounts.iter().map(|&name| Binding::Account(name.into())).collect();
        Client { login: "Scanner-3F".into(), secrets: Vec::new(), bindings, policy }
    }

    fn origin() -> Origin {
        let peer = IpAddr::from([10, 3, 0, 9]);
        Origin {
            session: 1,
            listener: "smtp".into(),
            protocol: Protocol::Submission,
            peer,
            via: vec![],
            tls: true,
            tls_version: None,
        }
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
    fn control_characters_are_in_no_login_name() {
        assert_eq!(login_name(b"scan\r\nner"), None);
        assert_eq!(login_name(b"scan\x7f"), None);
        assert_eq!(login_name("sc\u{e4}n".as_bytes()), Some("scän"));
    }
}
