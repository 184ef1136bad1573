//! Which account a proven client acts as: one that it is bound to, or a mailbox that a delegation lets it name. It must never
//! let out of a pattern what only looks like an address, for the name goes to the provider.

use std::net::IpAddr;

use jiff::Timestamp;

use super::Reason;
use super::login_form::Asked;
use crate::model::{Binding, Client, Delegation, normalise};

/// The longest mailbox: a local part of 64 octets and a domain of 255 (RFC 5321 section 4.5.3.1).
const MAILBOX_BYTES_MAX: usize = 320;

/// The account that a client acts as, and by which right.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ActsAs<'a> {
    /// The account's name.
    pub(super) account: String,
    /// The delegation, if the account is one of many that a pattern names.
    pub(super) delegation: Option<&'a Delegation>,
}

/// The account that `client` is to act as: the one it names, if it is bound to it or a delegation lets it; or else the only
/// one it is bound to. An account that is bound by its name goes before any pattern.
pub(super) fn acts_as<'a>(
    client: &'a Client,
    asked: &Asked,
    peer: IpAddr,
    now: Timestamp,
) -> Result<ActsAs<'a>, Reason> {
    let itself = normalise(&client.login);
    let (name, completed) = match asked {
        Asked::Unclear => return Err(Reason::AskedUnclearly),
        Asked::Itself => (&itself, None),
        Asked::Mailbox(name, completed) => (name, completed.as_ref()),
    };
    let bound = || client.bindings.iter().filter_map(Binding::account);
    let own = |account: &str| ActsAs { account: account.to_owned(), delegation: None };
    let is_named = |account: &&str| [Some(name), completed].contains(&Some(&normalise(account)));
    if let Some(account) = bound().find(is_named) {
        return Ok(own(account));
    }
    if *asked != Asked::Itself {
        return delegated(client, completed.unwrap_or(name), peer, now);
    }
    match (bound().next(), bound().count()) {
        (Some(sole), 1) => Ok(own(sole)),
        // Its own mailbox may be one of those that it was lent.
        (None, _) => delegated(client, &itself, peer, now).map_err(|_| Reason::NoSoleAccount { accounts: 0 }),
        (_, accounts) => Err(Reason::NoSoleAccount { accounts }),
    }
}

/// That mailbox, by the first delegation that includes it and holds here and now.
fn delegated<'a>(client: &'a Client, mailbox: &str, peer: IpAddr, now: Timestamp) -> Result<ActsAs<'a>, Reason> {
    let mut reason = Reason::NotBound;
    if !is_mailbox(mailbox) {
        return Err(reason);
    }
    let delegations = client.bindings.iter().filter_map(|binding| match binding {
        Binding::Delegation(delegation) => Some(delegation),
        Binding::Account(_) => None,
    });
    for delegation in delegations.filter(|delegation| delegation.pattern.matches(mailbox)) {
        let Delegation { pattern, expires, networks, .. } = delegation;
        if expires.is_some_and(|end| end <= now) {
            reason = Reason::DelegationExpired { pattern: pattern.to_string() };
        } else if !networks.is_empty() && !networks.iter().any(|network| network.contains(&peer)) {
            reason = Reason::DelegationNetwork { pattern: pattern.to_string() };
        } else {
            return Ok(ActsAs { account: mailbox.to_owned(), delegation: Some(delegation) });
        }
    }
    Err(reason)
}

/// Whether it is an address that means the same to everybody who reads it: none that is quoted (RFC 5321 section 4.1.2), and
/// none with a separator that a provider may read as a form of a login of its own.
fn is_mailbox(text: &str) -> bool {
    const SEPARATORS: &str = "*\\/%!\"(),:;<>[]";
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !SEPARATORS.contains(c);
    text.len() <= MAILBOX_BYTES_MAX && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::model::Policy;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn client(login: &str, bindings: Vec<Binding>) -> Client {
        Client { login: login.into(), secrets: Vec::new(), bindings, policy: Policy::default() }
    }

    fn accounts(names: &[&str]) -> Vec<Binding> {
        names.iter().map(|&name| Binding::Account(name.into())).collect()
    }

    fn delegation(pattern: &str) -> Delegation {
        Delegation { pattern: pattern.parse().unwrap(), expires: None, networks: Vec::new(), class: None }
    }

    fn all_of(pattern: &str) -> Binding {
        Binding::Delegation(delegation(pattern))
    }

    fn mailbox(name: &str) -> Asked {
        Asked::Mailbox(name.into(), None)
    }

    fn peer() -> IpAddr {
        IpAddr::from([192, 0, 2, 9])
    }

    /// The account, with `by delegation` behind it if it is by that.
    fn account_of(client: &Client, asked: &Asked) -> Result<String, Reason> {
        let ActsAs { account, delegation } = acts_as(client, asked, peer(), NOW)?;
        Ok(if delegation.is_some() { format!("{account} by delegation") } else { account })
    }

    #[test]
    fn the_account_is_the_sole_one_or_the_one_named() {
        let one = client("Scanner-3F", accounts(&["Mail@x.test"]));
        assert_eq!(account_of(&one, &Asked::Itself).unwrap(), "Mail@x.test");
        assert_eq!(account_of(&one, &mailbox("mail@x.test")).unwrap(), "Mail@x.test");
        assert!(matches!(account_of(&one, &mailbox("boss@x.test")), Err(Reason::NotBound)));
        assert!(matches!(account_of(&one, &Asked::Unclear), Err(Reason::AskedUnclearly)));
        let two = client("scanner", accounts(&["a", "b@x.test"]));
        assert!(matches!(account_of(&two, &Asked::Itself), Err(Reason::NoSoleAccount { accounts: 2 })));
        assert_eq!(account_of(&two, &mailbox("a")).unwrap(), "a");
        assert_eq!(account_of(&two, &Asked::Mailbox("b".into(), Some("b@x.test".into()))).unwrap(), "b@x.test");
        let both = client("Scanner-3F", accounts(&["scanner-3f", "b"]));
        assert_eq!(account_of(&both, &Asked::Itself).unwrap(), "scanner-3f", "an account of its own name");
        let none = client("scanner", Vec::new());
        assert!(matches!(account_of(&none, &Asked::Itself), Err(Reason::NoSoleAccount { accounts: 0 })));
    }

    #[test]
    fn a_pattern_lets_name_each_mailbox_in_it_and_no_other() {
        let admin = client("admin@contoso.test", vec![all_of("*@contoso.test")]);
        assert_eq!(account_of(&admin, &mailbox("alice@contoso.test")).unwrap(), "alice@contoso.test by delegation");
        let short = Asked::Mailbox("alice".into(), Some("alice@contoso.test".into()));
        assert_eq!(account_of(&admin, &short).unwrap(), "alice@contoso.test by delegation");
        let own = account_of(&admin, &Asked::Itself).unwrap();
        assert_eq!(own, "admin@contoso.test by delegation", "its own mailbox is in the pattern");
        for outside in ["alice@fabrikam.test", "alice", "contoso.test", "@contoso.test", "a@b@contoso.test"] {
            assert!(matches!(account_of(&admin, &mailbox(outside)), Err(Reason::NotBound)), "{outside}");
        }
        let migrator = client("migrator", vec![all_of("*@contoso.test")]);
        assert!(matches!(account_of(&migrator, &Asked::Itself), Err(Reason::NoSoleAccount { accounts: 0 })));
    }

    #[test]
    fn what_a_provider_may_read_in_another_way_is_no_mailbox() {
        let admin = client("admin", vec![all_of("*@contoso.test")]);
        for odd in [
            "alice*admin@contoso.test",
            "evil\\alice@contoso.test",
            "evil/alice@contoso.test",
            "alice%evil.test@contoso.test",
            "evil.test!alice@contoso.test",
            "\"alice\"@contoso.test",
            "al ice@contoso.test",
            "al\u{a0}ice@contoso.test",
            "al\u{85}ice@contoso.test",
            "<alice@contoso.test",
            "a,b@contoso.test",
        ] {
            assert!(matches!(account_of(&admin, &mailbox(odd)), Err(Reason::NotBound)), "{odd}");
        }
        let long = format!("{}@contoso.test", "a".repeat(MAILBOX_BYTES_MAX));
        assert!(matches!(account_of(&admin, &mailbox(&long)), Err(Reason::NotBound)));
        for fine in ["o'neil+news@contoso.test", "m\u{fc}ller_3#x@contoso.test"] {
            assert!(account_of(&admin, &mailbox(fine)).is_ok(), "{fine}");
        }
    }

    #[test]
    fn an_account_that_is_bound_goes_before_a_pattern() {
        let both = client("admin", [accounts(&["alice@contoso.test"]), vec![all_of("*@contoso.test")]].concat());
        assert_eq!(account_of(&both, &mailbox("alice@contoso.test")).unwrap(), "alice@contoso.test");
        assert_eq!(account_of(&both, &mailbox("bob@contoso.test")).unwrap(), "bob@contoso.test by delegation");
        assert_eq!(account_of(&both, &Asked::Itself).unwrap(), "alice@contoso.test", "the sole one it is bound to");
    }

    #[test]
    fn a_delegation_ends_and_holds_in_its_networks_alone() {
        let second = SignedDuration::from_secs(1);
        let with = |expires, networks: &[&str]| {
            let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
            Binding::Delegation(Delegation { expires, networks, ..delegation("*@contoso.test") })
        };
        let verdict = |bindings| account_of(&client("admin", bindings), &mailbox("alice@contoso.test"));
        assert!(verdict(vec![with(Some(NOW + second), &["192.0.2.0/24"])]).is_ok());
        for over in [NOW, NOW - second] {
            assert!(matches!(verdict(vec![with(Some(over), &[])]), Err(Reason::DelegationExpired { .. })));
        }
        let elsewhere = with(None, &["198.51.100.0/24", "2001:db8::/32"]);
        assert!(matches!(verdict(vec![elsewhere.clone()]), Err(Reason::DelegationNetwork { .. })));
        // One of several is enough.
        assert!(verdict(vec![with(Some(NOW), &[]), elsewhere, with(None, &[])]).is_ok());
    }
}
