//! Providers known by name. Each value can be overridden in the configuration.
//!
//! Sources: Microsoft Learn "Deprecation of Basic authentication in Exchange Online" and "POP, IMAP and SMTP settings",
//! Google Account Help 185833 and Workspace Help 14114704, Apple Support 102654, the help pages of Yahoo, Fastmail and
//! Zoho, and capability lines seen on the wire. `sessions_max` stays below each provider's own limit.

use std::collections::BTreeMap;

use jiff::civil::date;

use super::{
    AppPasswordFormat, Authority, CredentialKind, Endpoint, Mechanism, Profile, Protocol, ProviderDate, UpstreamTls,
    WARM_MAX,
};

/// The names that `preset = "…"` takes.
pub const NAMES: [&str; 10] = [
    "exchange-online",
    "exchange-online-gcc",
    "exchange-online-gcc-high",
    "exchange-online-dod",
    "exchange-online-21vianet",
    "gmail",
    "yahoo",
    "icloud",
    "fastmail",
    "zoho",
];

/// The preset of that name.
pub fn preset(name: &str) -> Option<Profile> {
    use AppPasswordFormat::{SpacesAreCosmetic, Verbatim};

    let (app_password, endpoints) = match name {
        // Microsoft's clouds: an application must be registered in the portal of the one where the mailboxes are.
        "exchange-online" | "exchange-online-gcc" => {
            (Verbatim, exchange_online("outlook.office365.com", "smtp.office365.com"))
        }
        "exchange-online-gcc-high" => (Verbatim, exchange_online("outlook.office365.us", "smtp.office365.us")),
        "exchange-online-dod" => (Verbatim, exchange_online("outlook-dod.office365.us", "outlook-dod.office365.us")),
        "exchange-online-21vianet" => (Verbatim, exchange_online("partner.outlook.cn", "smtp.partner.outlook.cn")),
        "gmail" => (
            SpacesAreCosmetic,
            vec![
                imap("imap.gmail.com", 10), // 15 per account
                pop3("pop.gmail.com", 4, &["RESP-CODES", "EXPIRE 0", "LOGIN-DELAY 300", "TOP", "UIDL"]),
                (
                    Protocol::Submission,
                    submission(
                        "smtp.gmail.com",
                        465,
                        4,
                        &["SIZE 35882577", "8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING", "CHUNKING", "SMTPUTF8"],
                    ),
                ),
            ],
        ),
        "yahoo" => (
            SpacesAreCosmetic,
            vec![
                imap("imap.mail.yahoo.com", 4),
                pop3("pop.mail.yahoo.com", 2, &["TOP", "UIDL"]),
                (
                    Protocol::Submission,
                    submission("smtp.mail.yahoo.com", 465, 2, &["PIPELINING", "SIZE 41697280", "8BITMIME"]),
                ),
            ],
        ),
        // The hyphens of an Apple app password are real. There is no POP3, and 465 is disputed.
        "icloud" => (
            Verbatim,
            vec![
                imap("imap.mail.me.com", 5),
                (
                    Protocol::Submission,
                    submission("smtp.mail.me.com", 587, 2, &["PIPELINING", "SIZE 28319744", "8BITMIME"]),
                ),
            ],
        ),
        "fastmail" => (
            SpacesAreCosmetic,
            vec![
                imap("imap.fastmail.com", 8),
                pop3("pop.fastmail.com", 4, &["TOP", "UIDL"]),
                (
                    Protocol::Submission,
                    submission(
                        "smtp.fastmail.com",
                        465,
                        4,
                        &["PIPELINING", "SIZE 71000000", "ENHANCEDSTATUSCODES", "8BITMIME"],
                    ),
                ),
            ],
        ),
        "zoho" => (
            SpacesAreCosmetic,
            vec![
                imap("imap.zoho.com", 5),
                pop3("pop.zoho.com", 2, &["TOP", "UIDL"]),
                (Protocol::Submission, submission("smtp.zoho.com", 465, 2, &["SIZE 53477376"])),
            ],
        ),
        _ => return None,
    };
    let endpoints: BTreeMap<Protocol, Endpoint> = endpoints.into_iter().collect();
    Some(Profile {
        name: name.to_owned(),
        endpoints,
        app_password,
        app_passwords_max: app_passwords_max(name),
        authority: authority(name),
        dates: dates(name),
    })
}

fn exchange_online(mailboxes: &str, submission_host: &str) -> Vec<(Protocol, Endpoint)> {
    let keywords = [
        "SIZE 157286400",
        "PIPELINING",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
        "BINARYMIME",
        "CHUNKING",
        "SMTPUTF8",
    ];
    // AUTH LOGIN, never PLAIN. Three concurrent sends per mailbox: two leave room for Outlook.
    let submission = submission(submission_host, 587, 2, &keywords);
    // Microsoft Learn, "Exchange Online limits", sending limits: 30 messages a minute for each mailbox.
    let submission = Endpoint {
        mechanisms: vec![Mechanism::Login, Mechanism::Xoauth2],
        messages_per_minute: Some(30),
        ..submission
    };
    // No password of any kind since the end of 2022, app passwords included.
    let tokens_only = |(protocol, endpoint)| {
        (protocol, Endpoint { takes_passwords: false, mechanisms: vec![Mechanism::Xoauth2], ..endpoint })
    };
    vec![
        tokens_only(imap(mailboxes, 8)),
        tokens_only(pop3(mailboxes, 8, &["TOP", "UIDL"])),
        (Protocol::Submission, submission),
    ]
}

/// Microsoft Learn, "Enforce Microsoft Entra multifactor authentication with legacy applications using app passwords":
/// 40 per user. Apple Support 102654: 25 at a time. Of the others no number is known.
fn app_passwords_max(name: &str) -> Option<u32> {
    match name {
        "icloud" => Some(25),
        name if name.starts_with("exchange-online") => Some(40),
        _ => None,
    }
}

/// Microsoft Learn, "Deprecation of Basic authentication in Exchange Online"; Exchange Team Blog 4489835 of 27 January 2026
/// (its third version, of the 29th: all clouds) for submission, 4515201 of 27 April 2026 and MC1293480 for old TLS.
fn dates(name: &str) -> Vec<ProviderDate> {
    use CredentialKind::AppPassword;
    use Protocol::{Imap, Pop3, Submission};

    if !name.starts_with("exchange-online") {
        return Vec::new();
    }
    let on = |day, protocols: &[Protocol], ends, what: &str| ProviderDate {
        day,
        protocols: protocols.to_vec(),
        ends,
        what: what.to_owned(),
    };
    vec![
        on(
            Some(date(2023, 1, 1)),
            &[Imap, Pop3],
            Some(AppPassword),
            "no password is taken any more, app passwords included, and nobody can turn that back",
        ),
        on(
            Some(date(2026, 7, 1)),
            &[Imap, Pop3],
            None,
            "from here to 31 December 2026 TLS 1.0 and 1.1 are switched off: Locum speaks TLS 1.2 or 1.3 to it whatever a client speaks, so \
             nothing breaks here",
        ),
        on(
            Some(date(2026, 12, 31)),
            &[Submission],
            Some(AppPassword),
            "passwords are off by default; an administrator of a tenant of before may turn them on again for a while",
        ),
        on(
            Some(date(2027, 1, 1)),
            &[Submission],
            None,
            "tenants that are made from then on have no passwords for submission",
        ),
        on(
            None,
            &[Submission],
            None,
            "passwords go for good on a day that is to be announced in the second half of 2027",
        ),
    ]
}

/// Where tokens come from. Microsoft: "Authenticate an IMAP, POP or SMTP connection using OAuth" and "National clouds";
/// Google: "Using OAuth 2.0 to Access Google APIs".
fn authority(name: &str) -> Option<Authority> {
    let (host, resource, delegated) = match name {
        "exchange-online" | "exchange-online-gcc" => {
            ("login.microsoftonline.com", "https://outlook.office365.com", "https://outlook.office.com")
        }
        "exchange-online-gcc-high" => {
            ("login.microsoftonline.us", "https://outlook.office365.us", "https://outlook.office365.us")
        }
        "exchange-online-dod" => {
            ("login.microsoftonline.us", "https://outlook-dod.office365.us", "https://outlook-dod.office365.us")
        }
        "exchange-online-21vianet" => {
            ("login.partner.microsoftonline.cn", "https://partner.outlook.cn", "https://partner.outlook.cn")
        }
        "gmail" => return Some(google()),
        _ => return None,
    };
    let endpoint = |word| format!("https://{host}/{{tenant}}/oauth2/v2.0/{word}");
    Some(Authority {
        token_url: endpoint("token"),
        authorize_url: Some(endpoint("authorize")),
        device_url: Some(endpoint("devicecode")),
        application_scopes: vec![format!("{resource}/.default")],
        delegated_scopes: vec![
            format!("{delegated}/IMAP.AccessAsUser.All"),
            format!("{delegated}/POP.AccessAsUser.All"),
            format!("{delegated}/SMTP.Send"),
            "offline_access".to_owned(),
        ],
    })
}

/// Google gives a refresh token only to who asks for offline access, and surely only with the consent page. Its device flow
/// does not grant the scope for mail.
fn google() -> Authority {
    let scopes = || vec!["https://mail.google.com/".to_owned()];
    Authority {
        token_url: "https://oauth2.googleapis.com/token".to_owned(),
        authorize_url: Some(
            "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent".to_owned(),
        ),
        device_url: None,
        application_scopes: scopes(),
        delegated_scopes: scopes(),
    }
}

fn imap(host: &str, sessions_max: usize) -> (Protocol, Endpoint) {
    (Protocol::Imap, endpoint(host, 993, UpstreamTls::Implicit, sessions_max, &[]))
}

fn pop3(host: &str, sessions_max: usize, keywords: &[&str]) -> (Protocol, Endpoint) {
    (Protocol::Pop3, endpoint(host, 995, UpstreamTls::Implicit, sessions_max, keywords))
}

fn submission(host: &str, port: u16, sessions_max: usize, keywords: &[&str]) -> Endpoint {
    let tls = if port == 465 { UpstreamTls::Implicit } else { UpstreamTls::StartTls };
    endpoint(host, port, tls, sessions_max, keywords)
}

fn endpoint(host: &str, port: u16, tls: UpstreamTls, sessions_max: usize, keywords: &[&str]) -> Endpoint {
    Endpoint {
        host: host.to_owned(),
        port,
        tls,
        mechanisms: Mechanism::ALL.to_vec(),
        takes_passwords: true,
        keywords: keywords.iter().map(|&keyword| keyword.to_owned()).collect(),
        sessions_max,
        messages_per_minute: None,
        warm_max: WARM_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_preset_and_every_endpoint_can_log_in() {
        for name in NAMES {
            let profile = preset(name).unwrap();
            assert_eq!(profile.name, name);
            for (protocol, endpoint) in &profile.endpoints {
                assert!(!endpoint.mechanisms.is_empty(), "{name} {protocol}");
                assert!(endpoint.sessions_max > 0, "{name} {protocol}");
            }
        }
        assert!(preset("hotmail").is_none());
    }

    #[test]
    fn the_dates_of_a_provider_are_in_order_and_of_protocols_that_it_serves() {
        for name in NAMES {
            let profile = preset(name).unwrap();
            let days: Vec<_> = profile.dates.iter().map(|date| (date.day.is_none(), date.day)).collect();
            assert!(days.is_sorted(), "{name}");
            for date in &profile.dates {
                assert!(date.protocols.iter().all(|it| profile.endpoints.contains_key(it)), "{name} {date:?}");
                assert!(!date.protocols.is_empty() && !date.what.is_empty(), "{name}");
            }
        }
        let dates = preset("exchange-online-gcc-high").unwrap().dates;
        let ends = dates.iter().filter(|it| it.ends == Some(CredentialKind::AppPassword));
        let days: Vec<String> = ends.filter_map(|it| it.day).map(|day| day.to_string()).collect();
        assert_eq!(days, ["2023-01-01", "2026-12-31"]);
    }

    #[test]
    fn exchange_online_takes_a_password_for_submission_only_and_by_login() {
        let profile = preset("exchange-online").unwrap();
        assert!(!profile.endpoints[&Protocol::Imap].takes_passwords);
        assert!(!profile.endpoints[&Protocol::Pop3].takes_passwords);
        assert_eq!(profile.endpoints[&Protocol::Submission].mechanisms, [Mechanism::Login, Mechanism::Xoauth2]);
        assert_eq!(profile.endpoints[&Protocol::Imap].mechanisms, [Mechanism::Xoauth2]);
    }
}
