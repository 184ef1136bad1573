//! Forms of a login: who proves, and as whom to act. Pure, and it believes nothing: what is read here are candidates, of which
//! the records say whether there is one. It must never give more of them than the login as it stands and one other, for each is a
//! look-up that a stranger can cause.

use super::policy::login_name;
use crate::model::{Attempt, LoginForm, normalise};

/// What an attempt can mean. Nothing where the login is no text at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Candidates {
    as_it_stands: Option<Candidate>,
    by_form: Option<Candidate>,
}

/// One thing that an attempt can mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The login name of who proves.
    pub(super) principal: String,
    /// As whom to act.
    pub(super) asked: Asked,
}

/// As whom a client asks to act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// As itself: it named nobody else.
    Itself,
    /// As that mailbox: a name as it stands, and the address that it is short for, if it is.
    Mailbox(String, Option<String>),
    /// It cannot be said: the name is no text, or comes in a form that is not taken here, or there are two of them.
    Unclear,
}

impl Candidates {
    /// What `attempt` can mean where those forms are taken.
    pub(super) fn of(attempt: &Attempt, forms: &[LoginForm]) -> Self {
        let Some(login) = login_name(&attempt.authcid) else { return Self::default() };
        let authzid = attempt.authzid.as_deref();
        let by_authzid = |principal: &str| match authzid {
            None => Asked::Itself,
            // A name of blanks alone is nobody's.
            Some(name) => match login_name(name).filter(|name| !name.trim().is_empty()) {
                Some(name) if is_same(name, principal) => Asked::Itself,
                Some(name) if forms.contains(&LoginForm::Authzid) => Asked::mailbox(name, principal),
                _ => Asked::Unclear,
            },
        };
        let as_it_stands = Candidate { principal: login.to_owned(), asked: by_authzid(login) };
        let by_form = read(login, forms).map(|(principal, mailbox)| {
            let asked = match mailbox {
                None => by_authzid(&principal),
                Some(mailbox) => Asked::mailbox(mailbox, &principal),
            };
            let agrees = match (&asked, authzid) {
                (Asked::Mailbox(..), Some(name)) => login_name(name).is_some_and(|name| {
                    // Some clients put the login into both places.
                    is_same(name, login) || Asked::mailbox(name, &principal).address() == asked.address()
                }),
                _ => true,
            };
            Candidate { asked: if agrees { asked } else { Asked::Unclear }, principal }
        });
        Self { as_it_stands: Some(as_it_stands), by_form }
    }

    /// The candidates, best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        [&self.as_it_stands, &self.by_form].into_iter().flatten()
    }

    /// Who proves, if the login has a form.
    pub(super) fn principal_by_form(&self) -> Option<&str> {
        self.by_form.as_ref().map(|candidate| &*candidate.principal)
    }

    /// By which name failures are counted: whoever tries passwords of one principal must not have as many tries as there
    /// are mailboxes to name beside it.
    pub(super) fn counted_by<'a>(&'a self, attempt: &'a Attempt) -> &'a [u8] {
        self.iter().last().map_or(&attempt.authcid, |candidate| candidate.principal.as_bytes())
    }
}

impl Asked {
    /// The mailbox in full, if it is one.
    pub(super) fn address(&self) -> Option<&str> {
        match self {
            Self::Mailbox(name, completed) => Some(completed.as_ref().unwrap_or(name)),
            Self::Itself | Self::Unclear => None,
        }
    }

    /// A mailbox without a domain is one of the principal's domain, if that has one.
    fn mailbox(name: &str, principal: &str) -> Self {
        let name = normalise(name);
        let completed = match domain(principal) {
            Some(domain) if !name.contains('@') => Some(normalise(&format!("{name}@{domain}"))),
            _ => None,
        };
        let itself = normalise(principal);
        if name == itself || completed.as_ref() == Some(&itself) {
            return Self::Itself;
        }
        Self::Mailbox(name, completed)
    }
}

/// Who proves and as whom to act, if `login` has one of these forms. Where the separators of two forms stand in it, or one
/// stands there more often than its form has it, it has none.
fn read<'a>(login: &'a str, forms: &[LoginForm]) -> Option<(String, Option<&'a str>)> {
    let separators = [(LoginForm::Master, '*'), (LoginForm::Backslash, '\\'), (LoginForm::Slash, '/')];
    let mut found =
        separators.into_iter().filter(|(form, separator)| forms.contains(form) && login.contains(*separator));
    let (Some((form, separator)), None) = (found.next(), found.next()) else { return None };
    let parts: Vec<&str> = login.split(separator).map(str::trim).collect();
    if parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    let has_domain = |name: &str| domain(name).is_some();
    match (form, &parts[..]) {
        (LoginForm::Master, [mailbox, principal]) => Some(((*principal).to_owned(), Some(mailbox))),
        (LoginForm::Backslash | LoginForm::Slash, [principal, mailbox])
            if has_domain(principal) || has_domain(mailbox) =>
        {
            Some(((*principal).to_owned(), Some(mailbox)))
        }
        (LoginForm::Backslash, [domain, user]) if is_domain(domain) && !user.contains('@') => {
            Some((format!("{user}@{domain}"), None))
        }
        (LoginForm::Backslash, [domain, admin, user]) if is_domain(domain) && !admin.contains('@') => {
            Some((format!("{admin}@{domain}"), Some(user)))
        }
        _ => None,
    }
}

/// The domain of an address.
fn domain(name: &str) -> Option<&str> {
    let (local, domain) = name.rsplit_once('@')?;
    (!local.trim().is_empty() && is_domain(domain)).then_some(domain)
}

fn is_domain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c == '@')
}

fn is_same(one: &str, other: &str) -> bool {
    normalise(one) == normalise(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn attempt(authcid: impl AsRef<[u8]>, authzid: Option<&[u8]>) -> Attempt {
        let authcid = authcid.as_ref().to_vec();
        Attempt { authcid, authzid: authzid.map(<[u8]>::to_vec), proof: Secret::new("secret"), method: "test" }
    }

    /// Each candidate as `principal -> mailbox`.
    fn read_with(forms: &[LoginForm], authcid: impl AsRef<[u8]>, authzid: Option<&[u8]>) -> Vec<String> {
        let candidates = Candidates::of(&attempt(authcid, authzid), forms);
        let shown = candidates.iter().map(|Candidate { principal, asked }| match asked {
            Asked::Itself => principal.clone(),
            Asked::Mailbox(name, None) => format!("{principal} -> {name}"),
            Asked::Mailbox(name, Some(completed)) => format!("{principal} -> {name} = {completed}"),
            Asked::Unclear => format!("{principal} -> ?"),
        });
        shown.collect()
    }

    /// What a login means besides itself, where all forms are taken.
    fn besides(login: &str) -> Option<String> {
        let mut all = read_with(&LoginForm::ALL, login, None);
        assert_eq!(all.remove(0), login);
        all.pop()
    }

    #[test]
    fn each_form_names_who_proves_and_as_whom_to_act() {
        for (login, meant) in [
            ("alice@contoso.test*admin@contoso.test", "admin@contoso.test -> alice@contoso.test"),
            ("alice*admin@contoso.test", "admin@contoso.test -> alice = alice@contoso.test"),
            ("alice@contoso.test*migrator", "migrator -> alice@contoso.test"),
            ("alice*migrator", "migrator -> alice"),
            (r"admin@contoso.test\alice@contoso.test", "admin@contoso.test -> alice@contoso.test"),
            (r"admin@contoso.test\Alice", "admin@contoso.test -> alice = alice@contoso.test"),
            (r"migrator\alice@contoso.test", "migrator -> alice@contoso.test"),
            (r"admin@contoso.test\alice@fabrikam.test", "admin@contoso.test -> alice@fabrikam.test"),
            (r"contoso.test\alice", "alice@contoso.test"),
            (r"contoso.test\admin\alice", "admin@contoso.test -> alice = alice@contoso.test"),
            (r"contoso.test\admin\alice@fabrikam.test", "admin@contoso.test -> alice@fabrikam.test"),
            ("admin@contoso.test/alice", "admin@contoso.test -> alice = alice@contoso.test"),
            ("migrator/alice@contoso.test", "migrator -> alice@contoso.test"),
            (r"admin@contoso.test\admin", "admin@contoso.test"),
            ("Admin@contoso.test*admin@contoso.test", "admin@contoso.test"),
        ] {
            assert_eq!(besides(login).as_deref(), Some(meant), "{login}");
        }
    }

    #[test]
    fn what_could_mean_two_things_means_none() {
        for login in [
            "alice@contoso.test",
            "scanner-3f",
            "",
            "*",
            r"\",
            "/",
            "alice*",
            "*admin",
            " * admin",
            "alice**admin",
            "alice*bob*admin",
            r"\alice",
            r"contoso.test\",
            r"contoso.test\\alice",
            r"admin@contoso.test\ ",
            r"a\b\c\d",
            r"@contoso.test\alice",
            r"admin@\alice",
            r"contoso.test\admin@contoso.test\alice",
            "contoso.test/alice",
            "contoso.test/admin/alice",
            "admin@contoso.test/sales/alice",
            r"alice*admin@contoso.test\bob",
            r"admin@contoso.test\alice/bob",
        ] {
            assert_eq!(besides(login), None, "{login}");
        }
    }

    #[test]
    fn a_form_that_is_not_named_is_not_read() {
        let login = r"admin@contoso.test\alice@contoso.test";
        for forms in [&[][..], &[LoginForm::Authzid, LoginForm::Master, LoginForm::Slash]] {
            assert_eq!(read_with(forms, login, None), [login]);
        }
        // A separator of a form that is not taken is any character.
        let slash = "admin/1@contoso.test\\alice";
        let meant = "admin/1@contoso.test -> alice = alice@contoso.test";
        assert_eq!(read_with(&[LoginForm::Backslash], slash, None), [slash, meant]);
        let others = [LoginForm::Master];
        assert_eq!(read_with(&others, "admin", Some(b"alice@contoso.test")), ["admin -> ?"]);
        assert_eq!(read_with(&others, "admin", Some(b"ADMIN")), ["admin"], "who names itself asks for nothing");
    }

    #[test]
    fn the_authorization_identity_names_a_mailbox_or_the_client_itself() {
        let read = |authcid: &str, authzid: &[u8]| read_with(&[LoginForm::Authzid], authcid, Some(authzid));
        assert_eq!(read("admin@contoso.test", b"Alice"), ["admin@contoso.test -> alice = alice@contoso.test"]);
        assert_eq!(read("migrator", b"alice@contoso.test"), ["migrator -> alice@contoso.test"]);
        assert_eq!(read("migrator", b" Migrator "), ["migrator"]);
        assert_eq!(read("admin@contoso.test", b"admin"), ["admin@contoso.test"]);
        // Blanks alone were taken for a mailbox without a name: found by fuzzing.
        for unfit in [&b"\xff\xfe"[..], b"alice\r\n@contoso.test", b"alice\x7f", b"a\0b", b" ", b""] {
            assert_eq!(read("migrator", unfit), ["migrator -> ?"], "{unfit:?}");
        }
    }

    #[test]
    fn two_names_in_one_login_have_to_agree() {
        let login = r"admin@contoso.test\alice";
        let by_form = |authzid: &[u8]| read_with(&LoginForm::ALL, login, Some(authzid)).pop().unwrap();
        for same in ["alice", "ALICE@contoso.test", login] {
            assert_eq!(by_form(same.as_bytes()), "admin@contoso.test -> alice = alice@contoso.test", "{same}");
        }
        for other in ["bob", "admin@contoso.test", "alice@fabrikam.test", "\u{7}"] {
            assert_eq!(by_form(other.as_bytes()), "admin@contoso.test -> ?", "{other}");
        }
        assert_eq!(by_form(b"\xff"), "admin@contoso.test -> ?");
        // A form without a mailbox leaves that to the authorization identity.
        let meant = read_with(&LoginForm::ALL, r"contoso.test\admin", Some(b"alice"));
        assert_eq!(meant[1], "admin@contoso.test -> alice = alice@contoso.test");
    }

    #[test]
    fn a_login_that_is_no_text_is_nobodys() {
        for login in [&b"alice\xff*admin"[..], b"alice*ad\nmin", b"alice\0*admin", b"contoso.test\\ali\x7fce"] {
            assert_eq!(read_with(&LoginForm::ALL, login, None), [""; 0], "{login:?}");
        }
    }

    #[test]
    fn failures_are_counted_by_who_proves() {
        let counted = |login: &str| {
            let attempt = attempt(login, None);
            let candidates = Candidates::of(&attempt, &LoginForm::ALL);
            String::from_utf8(candidates.counted_by(&attempt).to_vec()).unwrap()
        };
        assert_eq!(counted("alice*admin"), "admin");
        assert_eq!(counted(r"admin@contoso.test\bob"), "admin@contoso.test");
        assert_eq!(counted("admin"), "admin");
        let odd = attempt(b"\xff", None);
        assert_eq!(Candidates::of(&odd, &LoginForm::ALL).counted_by(&odd), b"\xff");
    }
}
