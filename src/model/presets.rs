//! Providers known by name. Each value can be overridden in the configuration.
//!
//! Sources: Microsoft Learn "Deprecation of Basic authentication in Exchange Online" and "POP, IMAP and SMTP settings",
//! Google Account Help 185833 and Workspace Help 14114704, Apple Support 102654, the help pages of Yahoo, Fastmail and
//! Zoho, and capability lines seen on the wire. `sessions_max` stays below each provider's own limit.

use std::collections::BTreeMap;

use super::{AppPasswordFormat, Endpoint, Mechanism, Profile, Protocol, UpstreamTls};

/// The names that `preset = "…"` takes.
pub const NAMES: [&str; 6] = ["exchange-online", "gmail", "yahoo", "icloud", "fastmail", "zoho"];

/// The preset of that name.
pub fn preset(name: &str) -> Option<Profile> {
    use AppPasswordFormat::{SpacesAreCosmetic, Verbatim};
    use Mechanism::{Login, Plain};

    let (app_password, endpoints) = match name {
        "exchange-online" => (
            Verbatim,
            vec![
                // No password of any kind since the end of 2022, app passwords included.
                without_passwords(imap("outlook.office365.com", 8)),
                without_passwords(pop3("outlook.office365.com", 8, &["TOP", "UIDL"])),
                // AUTH LOGIN only, never PLAIN. Three concurrent sends per mailbox: two leave room for Outlook.
                (
                    Protocol::Submission,
                    Endpoint {
                        mechanisms: vec![Login],
                        ..submission(
                            "smtp.office365.com",
                            587,
                            2,
                            &[
                                "SIZE 157286400",
                                "PIPELINING",
                                "DSN",
                                "ENHANCEDSTATUSCODES",
                                "8BITMIME",
                                "BINARYMIME",
                                "CHUNKING",
                                "SMTPUTF8",
                            ],
                        )
                    },
                ),
            ],
        ),
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
    let mut endpoints: BTreeMap<Protocol, Endpoint> = endpoints.into_iter().collect();
    for endpoint in endpoints.values_mut() {
        if endpoint.mechanisms.is_empty() {
            endpoint.mechanisms = vec![Plain, Login];
        }
    }
    Some(Profile { name: name.to_owned(), endpoints, app_password })
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
        mechanisms: Vec::new(),
        takes_passwords: true,
        keywords: keywords.iter().map(|&keyword| keyword.to_owned()).collect(),
        sessions_max,
    }
}

fn without_passwords((protocol, endpoint): (Protocol, Endpoint)) -> (Protocol, Endpoint) {
    (protocol, Endpoint { takes_passwords: false, ..endpoint })
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
    fn exchange_online_takes_a_password_for_submission_only_and_by_login() {
        let profile = preset("exchange-online").unwrap();
        assert!(!profile.endpoints[&Protocol::Imap].takes_passwords);
        assert!(!profile.endpoints[&Protocol::Pop3].takes_passwords);
        assert_eq!(profile.endpoints[&Protocol::Submission].mechanisms, [Mechanism::Login]);
    }
}
