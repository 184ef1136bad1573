//! What a person does in a provider's portal, step by step: how an app password is made there, and how one is deleted. It is
//! told by the upstream's name and hosts; of a provider that nobody knows here it says what holds everywhere.

use maud::{Markup, html};

use crate::model::Profile;

/// A provider's portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portal {
    /// What it is called.
    pub(super) name: &'static str,
    /// Its address; none if that is not known.
    url: &'static str,
    /// How an app password is made.
    make: &'static [&'static str],
    /// How one is deleted.
    delete: &'static str,
    /// What one had better know.
    mind: &'static str,
}

const MICROSOFT: Portal = Portal {
    name: "Microsoft: security info",
    url: "https://mysignins.microsoft.com/security-info",
    make: &[
        "Sign in as the mailbox, with its second factor.",
        "Choose “Add sign-in method”, then “App password”.",
        "Give it the name below, so that it is found again.",
        "Copy the password: it is shown once.",
    ],
    delete: "On the same page, find it by its name and choose “Delete”.",
    mind: "App passwords serve submission (SMTP AUTH) alone; IMAP and POP3 need OAuth2. A user can have 40.",
};

const GOOGLE: Portal = Portal {
    name: "Google: app passwords",
    url: "https://myaccount.google.com/apppasswords",
    make: &[
        "Sign in as the mailbox; 2-Step Verification must be on.",
        "Type the name below as the app's name, and choose “Create”.",
        "Copy the 16 letters: they are shown once. Blanks in them do not matter.",
    ],
    delete: "On the same page, choose the bin beside its name.",
    mind: "When the account's own password is changed, Google revokes all of its app passwords.",
};

const YAHOO: Portal = Portal {
    name: "Yahoo: account security",
    url: "https://login.yahoo.com/account/security",
    make: &[
        "Sign in as the mailbox; some must turn on two-step verification first.",
        "Choose “Generate app password”, and type the name below.",
        "Copy the password: it is shown once.",
    ],
    delete: "On the same page, choose “App passwords” and delete it by its name.",
    mind: "",
};

const APPLE: Portal = Portal {
    name: "Apple account",
    url: "https://account.apple.com/account/manage",
    make: &[
        "Sign in as the mailbox; two-factor authentication must be on.",
        "Under “Sign-In and Security”, choose “App-Specific Passwords”, then the plus sign.",
        "Type the name below, and copy the password: it is shown once.",
    ],
    delete: "In the same list, choose its name and remove it.",
    mind: "There can be 25. When the Apple account's password is changed, all of them are revoked.",
};

const FASTMAIL: Portal = Portal {
    name: "Fastmail: privacy & security",
    url: "https://app.fastmail.com/settings/security",
    make: &[
        "Under “App passwords and API tokens”, choose “Manage”, then “New app password”.",
        "Give it the name below, and access to the protocols that the clients speak.",
        "Copy the password: it is shown once.",
    ],
    delete: "In the same list, choose “Remove” beside its name.",
    mind: "",
};

const ZOHO: Portal = Portal {
    name: "Zoho accounts: security",
    url: "https://accounts.zoho.com/home#security/app_password",
    make: &[
        "Sign in as the mailbox, and choose “Security”, then “App passwords”.",
        "Choose “Generate new password”, and type the name below.",
        "Copy the password: it is shown once.",
    ],
    delete: "In the same list, delete it by its name.",
    mind: "",
};

const OTHER: Portal = Portal {
    name: "the provider's portal",
    url: "",
    make: &[
        "Sign in as the mailbox, and find where app passwords are made: under security, as a rule.",
        "Make one with the name below, so that it is found again.",
        "Copy it: it is shown once, as a rule.",
    ],
    delete: "Delete it in the portal by its name.",
    mind: "Leave the one that is in use alone: it serves all clients until the new one is promoted.",
};

impl Portal {
    /// Of an upstream.
    pub(super) fn of(upstream: &str, profile: Option<&Profile>) -> Self {
        let hosts = profile.into_iter().flat_map(|profile| profile.endpoints.values()).map(|it| it.host.as_str());
        let names: Vec<&str> = hosts.chain([upstream]).collect();
        let has = |parts: &[&str]| names.iter().any(|name| parts.iter().any(|part| name.contains(part)));
        match () {
            () if has(&["exchange-online", "office365", "outlook"]) => MICROSOFT,
            () if has(&["gmail", "google"]) => GOOGLE,
            () if has(&["yahoo"]) => YAHOO,
            () if has(&["icloud", "mail.me.com"]) => APPLE,
            () if has(&["fastmail"]) => FASTMAIL,
            () if has(&["zoho"]) => ZOHO,
            () => OTHER,
        }
    }

    /// How an app password is made there; `label` is what to call it.
    pub(super) fn steps(&self, label: &str) -> Markup {
        html! {
            @if self.url.is_empty() {
                p { "Open " (self.name) "." }
            } @else {
                p { a href=(self.url) rel="noreferrer" target="_blank" { "Open " (self.name) } span.hint { " in a new tab" } }
            }
            ol.portal { @for step in self.make { li { span { (step) } } } }
            p.hint { "Name: " code { (label) } }
            @if !self.mind.is_empty() { p.hint { (self.mind) } }
        }
    }

    /// How one is deleted there.
    pub(super) fn deletion(&self) -> Markup {
        html! {
            p.hint {
                @if !self.url.is_empty() { a href=(self.url) rel="noreferrer" target="_blank" { "Open " (self.name) } ". " }
                (self.delete)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::presets;

    #[test]
    fn every_preset_has_a_portal_of_its_own() {
        for name in presets::NAMES {
            let profile = presets::preset(name);
            assert_ne!(Portal::of("mail", profile.as_ref()), OTHER, "{name}");
        }
        assert_eq!(Portal::of("exchange-online", None), MICROSOFT);
        assert_eq!(Portal::of("dovecot", None), OTHER);
    }
}
