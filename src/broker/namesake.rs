//! Clients that an unknown login may mean all the same: the one that a form of it names, and the one of the same name with or
//! without a domain. What is meant for them is nobody else's to see, and what is theirs is nobody else's to take.

use super::login_form::Candidates;
use super::{Broker, DirectoryError, Reason, client_secret};
use crate::model::{Attempt, Binding, Enrolment, EnrolmentMode, LoginForm, normalise};

impl Broker {
    /// Why nothing can come of a login that is unknown, or a client's without secrets (`is_known`): it may be somebody else's.
    /// `None` if it is not. The records are asked as of now: a client that was made a moment ago has a password as any other.
    pub(super) async fn is_anothers(
        &self,
        login: &str,
        is_known: bool,
        attempt: &Attempt,
        enrolment: Option<&Enrolment>,
    ) -> Result<Option<Reason>, DirectoryError> {
        let directory = self.keyring.directory();
        // Whether or not the form is taken where it came in: somebody may have come to the wrong listener.
        if let Some(principal) = Candidates::of(attempt, &LoginForm::ALL).principal_by_form().filter(|_| !is_known)
            && directory.latest_client(principal).await?.is_some()
        {
            return Ok(Some(Reason::UnknownLogin));
        }
        let domain = enrolment.and_then(|it| it.domain.as_deref());
        let Some(namesake) = namesake(login, domain) else { return Ok(None) };
        let Some(found) = directory.latest_client(&namesake).await? else { return Ok(None) };
        let client = found.record;
        if client.secrets.iter().any(|secret| client_secret::names(secret, &attempt.proof)) {
            return Ok(Some(Reason::UnknownLogin));
        }
        let is_first = enrolment.filter(|it| it.mode == EnrolmentMode::FirstLogin && !is_known);
        let mailbox = is_first.and_then(|it| it.mailbox(login)).map(|mailbox| normalise(&mailbox));
        let is_taken = !client.secrets.is_empty()
            && client.bindings.iter().filter_map(Binding::account).any(|own| Some(normalise(own)) == mailbox);
        let why = "a client that is called as the account, with or without its domain, was first";
        Ok(is_taken.then_some(Reason::NotEnrollable { why }))
    }
}

/// The same name without its domain, or with that of the window.
fn namesake(login: &str, domain: Option<&str>) -> Option<String> {
    match login.rsplit_once('@') {
        Some((local, _)) => (!local.trim().is_empty()).then(|| local.to_owned()),
        None => domain.map(|domain| format!("{login}@{domain}")),
    }
}

#[cfg(test)]
mod tests {
    use super::namesake;

    #[test]
    fn a_name_has_one_namesake_at_most() {
        assert_eq!(namesake("scan@x.test", None).as_deref(), Some("scan"));
        assert_eq!(namesake("scan", Some("x.test")).as_deref(), Some("scan@x.test"));
        assert_eq!(namesake("scan", None), None);
        assert_eq!(namesake("@x.test", None), None);
    }
}
