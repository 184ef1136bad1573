//! The provider of one test: Dovecot, Postfix, and a mailbox for each way of protecting the connection, each with an app
//! password of its own. Nothing is shared between tests, so a log tells of one test only.

use locum::model::Protocol;

use crate::dovecot::{Dovecot, Mailbox, write_passwords};
use crate::endpoint::{Endpoint, Tls};
use crate::issuer::Issuer;
use crate::postfix::Postfix;
use crate::scratch::{Certificates, Scratch};

/// The running servers. They stop in the order of the fields, and the folder goes last.
pub(crate) struct Lab {
    pub(crate) postfix: Postfix,
    pub(crate) dovecot: Dovecot,
    pub(crate) certificates: Certificates,
    mailboxes: Vec<Mailbox>,
    pub(crate) scratch: Scratch,
}

impl Lab {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// A provider that takes the tokens of `issuer`, too.
    pub(crate) fn start_with_tokens(issuer: &Issuer) -> Self {
        Self::start_with(Some(issuer))
    }

    fn start_with(issuer: Option<&Issuer>) -> Self {
        let scratch = Scratch::new();
        let certificates = Certificates::new(&scratch, "provider");
        // Characters that need care in a quoted string, a configuration file, a URL or a shell.
        let password = |tls: Tls| format!("app {} \"#;%$'\\ pw", tls.word());
        let address = |tls: Tls| format!("reader-{}@example.test", tls.word());
        let mailboxes: Vec<_> =
            Tls::ALL.iter().map(|tls| Mailbox::new(&scratch, &address(*tls), &password(*tls))).collect();
        let dovecot = Dovecot::start(&scratch, &certificates, &mailboxes, issuer);
        let postfix = Postfix::start(&scratch, &certificates, &dovecot, &mailboxes);
        Self { postfix, dovecot, certificates, mailboxes, scratch }
    }

    pub(crate) fn mailboxes(&self) -> &[Mailbox] {
        &self.mailboxes
    }

    /// The mailbox that tests of one way of protecting the connection use.
    pub(crate) fn mailbox(&self, tls: Tls) -> &Mailbox {
        let place = Tls::ALL.iter().position(|one| *one == tls).expect("every kind has its mailbox");
        &self.mailboxes[place]
    }

    /// From now on that is the one password of a mailbox. It is to be of another length than the one before.
    pub(crate) fn set_password(&self, mailbox: &Mailbox, password: &str) {
        let mut mailboxes = self.mailboxes.clone();
        for one in mailboxes.iter_mut().filter(|one| one.address == mailbox.address) {
            assert_ne!(one.password.len(), password.len(), "Dovecot would not see it in time");
            one.password = password.to_owned();
        }
        write_passwords(&self.scratch, &mailboxes);
    }

    /// Panics unless the servers accepted at least one password and refused none. They know nothing but the app
    /// passwords, so any other would show as a refusal.
    pub(crate) fn assert_only_app_passwords(&self) {
        let answers = self.dovecot.answers_after(1);
        assert_eq!(answers.refused, 0, "the provider was offered something else than an app password");
    }
}

/// A way to the mailboxes of a lab: straight to its servers, or through Locum.
pub(crate) trait Route {
    fn lab(&self) -> &Lab;

    /// Where and as whom a client connects to reach `mailbox`.
    fn endpoint(&self, protocol: Protocol, tls: Tls, mailbox: &Mailbox) -> Endpoint;

    /// Panics if the logs show what must not be: checked when the scenarios of a test are done.
    fn check_logs(&self) {
        self.lab().assert_only_app_passwords();
    }
}

/// Straight to the servers: proves that the clients and the scenarios are right.
impl Route for Lab {
    fn lab(&self) -> &Lab {
        self
    }

    fn endpoint(&self, protocol: Protocol, tls: Tls, mailbox: &Mailbox) -> Endpoint {
        match protocol {
            Protocol::Imap => self.dovecot.imap(tls, mailbox),
            Protocol::Pop3 => self.dovecot.pop3(tls, mailbox),
            Protocol::Submission => self.postfix.submission(tls, mailbox),
        }
    }
}
