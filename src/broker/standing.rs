//! Whether a session that was let in may go on: the client's record as it is now, and the terms of the session. Pure.
//! Hours are for logins, and the cap on sessions is; neither ends a session.

use std::fmt;

use jiff::Timestamp;

use super::terms::first_end;
use super::{Reason, Terms, policy};
use crate::audit::Origin;
use crate::model::{Binding, Client, Delegation, normalise};

/// A client's record as it is now. What is in it is the broker's affair.
#[derive(Debug)]
pub struct Standing(Option<Client>);

/// Why a session that was let in is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// The record is gone.
    ClientRemoved,
    /// The secret that proved it is gone.
    SecretRevoked,
    /// That secret came to its end.
    SecretExpired,
    /// The client did.
    ClientExpired,
    /// It was bound to the account, and is no more.
    BindingRemoved,
    /// No delegation names the mailbox any more, or none does from where the client is.
    DelegationRemoved,
    /// All that do came to their end.
    DelegationExpired,
    /// The policy does not let it speak this any more.
    ProtocolWithdrawn,
    /// The policy does not let it in there any more.
    ListenerWithdrawn,
    /// The policy does not let it in from there any more.
    NetworkWithdrawn,
    /// It may name other senders now, which are looked at from the login on.
    SendersChanged,
    /// The certificate that it was recognised by came to its end.
    CertificateExpired,
    /// The configuration was changed: its listener lets nobody in so any more.
    EntranceClosed,
    /// Its time is over.
    TimeOver,
    /// An operator closed it.
    ClosedByOperator,
}

impl Withdrawal {
    /// The name used in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ClientRemoved => "client-removed",
            Self::SecretRevoked => "secret-revoked",
            Self::SecretExpired => "secret-expired",
            Self::ClientExpired => "client-expired",
            Self::BindingRemoved => "binding-removed",
            Self::DelegationRemoved => "delegation-removed",
            Self::DelegationExpired => "delegation-expired",
            Self::ProtocolWithdrawn => "protocol-withdrawn",
            Self::ListenerWithdrawn => "listener-withdrawn",
            Self::NetworkWithdrawn => "network-withdrawn",
            Self::SendersChanged => "senders-changed",
            Self::CertificateExpired => "certificate-expired",
            Self::EntranceClosed => "entrance-closed",
            Self::TimeOver => "time-over",
            Self::ClosedByOperator => "closed-by-operator",
        }
    }
}

impl fmt::Display for Withdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientRemoved => "the client was removed",
            Self::SecretRevoked => "the client secret was revoked",
            Self::SecretExpired => "the client secret's time is over",
            Self::ClientExpired => "the client's time is over",
            Self::BindingRemoved => "the client is not bound to the account any more",
            Self::DelegationRemoved => "no delegation of the client names the mailbox any more",
            Self::DelegationExpired => "the delegation's time is over",
            Self::ProtocolWithdrawn => "the client's policy does not include the protocol any more",
            Self::ListenerWithdrawn => "the client's policy does not include the listener any more",
            Self::NetworkWithdrawn => "the client's policy does not include the network of its address any more",
            Self::SendersChanged => "the client's policy names other senders now",
            Self::CertificateExpired => "the certificate's time is over",
            Self::EntranceClosed => "its listener does not let it in without a secret any more",
            Self::TimeOver => "the session's time is over",
            Self::ClosedByOperator => "it was closed by an operator",
        })
    }
}

impl Standing {
    pub(super) fn new(client: Option<Client>) -> Self {
        Self(client)
    }

    /// Until when a session of this client with that account may go on, which was let in under `terms`, and what ends then;
    /// `None` for without end.
    ///
    /// # Errors
    /// Why it may not.
    pub fn of_session(
        &self,
        account: &str,
        terms: &Terms,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<(Timestamp, Withdrawal)>, Withdrawal> {
        let client = self.0.as_ref().ok_or(Withdrawal::ClientRemoved)?;
        let of_id = |id: &String| client.secrets.iter().find(|secret| secret.id == *id);
        let secret = match &terms.client_secret {
            Some(id) => Some(of_id(id).ok_or(Withdrawal::SecretRevoked)?),
            None => None,
        };
        policy::check(client, origin).map_err(withdrawn)?;
        if client.policy.senders != terms.senders {
            return Err(Withdrawal::SendersChanged);
        }
        let mut accounts = client.bindings.iter().filter_map(Binding::account);
        let delegated_until = if terms.is_delegated {
            delegated_until(client, account, origin).ok_or(Withdrawal::DelegationRemoved)?
        } else if accounts.any(|bound| normalise(bound) == normalise(account)) {
            None
        } else {
            return Err(Withdrawal::BindingRemoved);
        };
        match first_end(secret, client, delegated_until, terms.certificate_until) {
            Some((at, what)) if at <= now => Err(what),
            end => Ok(end),
        }
    }
}

fn withdrawn(reason: Reason) -> Withdrawal {
    match reason {
        Reason::ProtocolNotAllowed(_) => Withdrawal::ProtocolWithdrawn,
        Reason::ListenerNotAllowed(_) => Withdrawal::ListenerWithdrawn,
        _ => Withdrawal::NetworkWithdrawn,
    }
}

/// The end of that delegation which lasts longest of those that name the mailbox, `Some(None)` for one without end; `None`
/// if none names it.
fn delegated_until(client: &Client, mailbox: &str, origin: &Origin) -> Option<Option<Timestamp>> {
    let names = |delegation: &&Delegation| {
        let networks = &delegation.networks;
        delegation.pattern.matches(mailbox)
            && (networks.is_empty() || networks.iter().any(|network| network.contains(&origin.peer)))
    };
    let delegations = client.bindings.iter().filter_map(|binding| match binding {
        Binding::Delegation(delegation) => Some(delegation),
        Binding::Account(_) => None,
    });
    let longest = |a: Option<Timestamp>, b: Option<Timestamp>| Some(a?.max(b?));
    delegations.filter(names).map(|delegation| delegation.expires).reduce(longest)
}

#[cfg(test)]
mod tests {

    use jiff::SignedDuration;

    use super::*;
    use crate::broker::client_secret;
    use crate::model::{ClientSecret, Policy, Protocol};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn origin() -> Origin {
        super::super::tests::origin("imaps", Protocol::Imap, [10, 3, 0, 9].into())
    }

    fn client() -> (Client, ClientSecret) {
        let (secret, _) = client_secret::issue("", None, NOW).unwrap();
        let bindings = vec![Binding::Account("Box@x.test".into())];
        let (secrets, policy) = (vec![secret.clone()], Policy::default());
        (Client { login: "scanner".into(), secrets, bindings, policy }, secret)
    }

    fn delegation(pattern: &str) -> Delegation {
        Delegation { pattern: pattern.parse().unwrap(), expires: None, networks: vec![], class: None }
    }

    fn hour(hours: i64) -> Timestamp {
        NOW + SignedDuration::from_hours(hours)
    }

    /// What becomes of a session with `box@x.test` when the record was changed after its login.
    fn after(change: impl FnOnce(&mut Client)) -> Result<Option<(Timestamp, Withdrawal)>, Withdrawal> {
        let (mut client, secret) = client();
        let terms = Terms::of(&client, Some(&secret), None);
        change(&mut client);
        Standing::new(Some(client)).of_session("box@x.test", &terms, &origin(), NOW)
    }

    /// The same where it came in by a delegation.
    fn delegated(change: impl FnOnce(&mut Client)) -> Result<Option<(Timestamp, Withdrawal)>, Withdrawal> {
        let (mut client, secret) = client();
        let delegation = delegation("*@x.test");
        let terms = Terms::of(&client, Some(&secret), Some(&delegation));
        client.bindings = vec![Binding::Delegation(delegation)];
        change(&mut client);
        Standing::new(Some(client)).of_session("box@x.test", &terms, &origin(), NOW)
    }

    #[test]
    fn what_does_not_concern_a_session_does_not_end_it() {
        assert_eq!(after(|_| {}), Ok(None));
        let other = client_secret::issue("", Some(NOW), NOW).unwrap().0;
        assert_eq!(after(|client| client.secrets.push(other)), Ok(None));
        assert_eq!(after(|client| client.bindings.push(Binding::Account("other".into()))), Ok(None));
        assert_eq!(after(|client| client.policy.sessions_max = Some(0)), Ok(None), "a cap is for logins");
        let hours = vec!["daily 12:00-13:00 UTC".parse().unwrap()];
        assert_eq!(after(|client| client.policy.hours = hours), Ok(None), "hours are for logins");
        assert_eq!(delegated(|_| {}), Ok(None));
    }

    #[test]
    fn each_change_ends_it_by_its_own_cause() {
        let (_, secret) = client();
        let terms = Terms { is_client: true, client_secret: Some(secret.id), ..Terms::default() };
        let gone = Standing::new(None).of_session("box@x.test", &terms, &origin(), NOW);
        assert_eq!(gone, Err(Withdrawal::ClientRemoved));
        assert_eq!(after(|client| client.secrets.clear()), Err(Withdrawal::SecretRevoked));
        assert_eq!(after(|client| client.secrets[0].expires = Some(NOW)), Err(Withdrawal::SecretExpired));
        assert_eq!(after(|client| client.policy.expires = Some(NOW)), Err(Withdrawal::ClientExpired));
        assert_eq!(after(|client| client.bindings.clear()), Err(Withdrawal::BindingRemoved));
        let moved = after(|client| client.bindings = vec![Binding::Delegation(delegation("*@x.test"))]);
        assert_eq!(moved, Err(Withdrawal::BindingRemoved), "it did not come in by that");
        let senders = vec!["scan@x.test".parse().unwrap()];
        assert_eq!(after(|client| client.policy.senders = senders), Err(Withdrawal::SendersChanged));
        let elsewhere = vec!["10.4.0.0/16".parse().unwrap()];
        for (policy, why) in [
            (Policy { protocols: vec![Protocol::Pop3], ..Policy::default() }, Withdrawal::ProtocolWithdrawn),
            (Policy { listeners: vec!["other".into()], ..Policy::default() }, Withdrawal::ListenerWithdrawn),
            (Policy { networks: elsewhere, ..Policy::default() }, Withdrawal::NetworkWithdrawn),
        ] {
            assert_eq!(after(|client| client.policy = policy), Err(why));
        }
    }

    #[test]
    fn a_delegation_that_is_gone_narrowed_or_over_ends_what_came_in_by_it() {
        let with = |changed: Delegation| delegated(|client| client.bindings = vec![Binding::Delegation(changed)]);
        let base = || delegation("*@x.test");
        assert_eq!(delegated(|client| client.bindings.clear()), Err(Withdrawal::DelegationRemoved));
        assert_eq!(with(delegation("a*@x.test")), Err(Withdrawal::DelegationRemoved));
        let elsewhere = vec!["10.4.0.0/16".parse().unwrap()];
        assert_eq!(with(Delegation { networks: elsewhere, ..base() }), Err(Withdrawal::DelegationRemoved));
        let here = vec!["10.3.0.0/16".parse().unwrap()];
        assert_eq!(with(Delegation { networks: here, ..base() }), Ok(None));
        assert_eq!(with(Delegation { expires: Some(NOW), ..base() }), Err(Withdrawal::DelegationExpired));
        assert_eq!(
            with(Delegation { expires: Some(hour(1)), ..base() }),
            Ok(Some((hour(1), Withdrawal::DelegationExpired)))
        );
        let bound = delegated(|client| client.bindings = vec![Binding::Account("box@x.test".into())]);
        assert_eq!(bound, Err(Withdrawal::DelegationRemoved), "it did not come in by that");
        let longest = delegated(|client| {
            let of = |hours| Binding::Delegation(Delegation { expires: Some(hour(hours)), ..base() });
            client.bindings = vec![of(-1), of(2), of(1)];
        });
        assert_eq!(longest, Ok(Some((hour(2), Withdrawal::DelegationExpired))));
    }

    #[test]
    fn it_ends_with_what_ends_first_and_an_end_may_move() {
        let ends = after(|client| {
            client.secrets[0].expires = Some(hour(2));
            client.policy.expires = Some(hour(1));
        });
        assert_eq!(ends, Ok(Some((hour(1), Withdrawal::ClientExpired))));
        let later = after(|client| client.secrets[0].expires = Some(hour(2)));
        assert_eq!(later, Ok(Some((hour(2), Withdrawal::SecretExpired))));
    }

    #[test]
    fn who_was_known_without_a_secret_needs_none() {
        let (mut client, _) = client();
        client.secrets.clear();
        let terms = Terms::of(&client, None, None);
        let by_certificate = terms.clone().ending_with(Some(hour(1)));
        let standing = Standing::new(Some(client));
        assert_eq!(standing.of_session("box@x.test", &terms, &origin(), NOW), Ok(None));
        let end = standing.of_session("box@x.test", &by_certificate, &origin(), NOW);
        assert_eq!(end, Ok(Some((hour(1), Withdrawal::CertificateExpired))));
        assert_eq!(by_certificate.end(), Some((hour(1), Withdrawal::CertificateExpired)));
    }
}
