//! The rooms of `src` and what each may know (`docs/architecture.md`). Imports point down only, and no further than the
//! table here says: where a room needs only some names of another, only those are granted. A breach is either a mistake
//! in the code or a decision about the house; the latter changes the table, in the commit that needs it.

use crate::report;
use crate::source::{Named, Source, Token};

/// A room, or a part of one that may do more, and what it may import besides itself: from which room which names.
struct Room {
    name: &'static str,
    grants: &'static [(&'static str, &'static [&'static str])],
}

/// Whatever the other room shows.
const ALL: &[&str] = &[];

const ROOMS: &[Room] = &[
    // 0: nouns
    Room { name: "model", grants: &[] },
    // 1: pure
    Room { name: "sasl", grants: &[("model", ALL)] },
    Room { name: "proto", grants: &[("model", ALL), ("sasl", ALL)] },
    // 2: edges
    // Some of what it moves is secret, and is wiped.
    Room { name: "net", grants: &[("model", &["DeviceCertificate", "Fingerprint", "Secret"])] },
    Room { name: "telemetry", grants: &[] },
    // What a record means is no business of a store.
    Room {
        name: "store",
        grants: &[("model", &["RecordId", "RecordKind", "Secret", "Shield", "Shielded", "wipe_stack"])],
    },
    Room { name: "credential", grants: &[("model", ALL), ("sasl", &["Credentials"])] },
    Room { name: "audit", grants: &[("model", &["Protocol"])] },
    // Who uses what is counted in the words of records; no record is read.
    Room {
        name: "usage",
        grants: &[(
            "model",
            &[
                "CredentialKind",
                "Holder",
                "Protocol",
                "SecretSource",
                "SeenKey",
                "SeenUpstream",
                "Sighting",
                "Slot",
                "UsageLogin",
                "UsagePlace",
            ],
        )],
    },
    Room { name: "sandbox", grants: &[("model", ALL), ("sasl", ALL)] },
    // 3: use cases
    Room {
        name: "broker",
        grants: &[
            ("model", ALL),
            ("store", ALL),
            ("credential", ALL),
            ("audit", ALL),
            // What a credential becomes on the wire passes through, unread.
            ("sasl", &["Credentials"]),
            // It hands HTTP to the credentials that need it, and looks at none of it.
            ("net", &["Commands", "Https", "HttpsError", "Valkey", "ValkeyError", "ValkeyOptions"]),
        ],
    },
    // The lease is the proof that the broker allowed it; of how that was decided nothing is seen here.
    Room {
        name: "upstream",
        grants: &[
            ("model", ALL),
            ("proto", ALL),
            ("net", ALL),
            ("credential", &["CredentialVersion"]),
            ("broker", &["Lease"]),
        ],
    },
    Room {
        name: "session",
        grants: &[
            (
                "model",
                &[
                    "Attempt",
                    "DeviceCertificate",
                    "Entrance",
                    "Profile",
                    "Protocol",
                    "Recognition",
                    "Refusal",
                    "SecretSource",
                    "SeenKey",
                    "SeenUpstream",
                    "Slot",
                    "UnknownLogins",
                    "network",
                    "normalise",
                ],
            ),
            ("proto", ALL),
            ("net", ALL),
            ("audit", ALL),
            (
                "broker",
                &["Broker", "Lease", "Objection", "Proven", "Reason", "Seat", "Terms", "Unproven", "Way", "Withdrawal"],
            ),
            ("enrolment", ALL),
            ("upstream", ALL),
            ("usage", &["Entered", "Ledger", "Moved", "Stay", "Use", "Visit", "Visitors"]),
        ],
    },
    // It writes what the broker read, and hears from the provider only what the session hands it.
    Room {
        name: "enrolment",
        grants: &[
            ("model", ALL),
            ("store", &["StoreError"]),
            ("audit", ALL),
            ("credential", &["CredentialVersion"]),
            ("broker", &["Directory", "DirectoryError", "Unproven", "Versioned", "Way", "client_secret"]),
            ("upstream", &["Cause", "UpstreamError"]),
        ],
    },
    Room {
        name: "rotation",
        grants: &[
            ("model", ALL),
            // A record is put back at the version it was read at; a node may lack the right to tell who uses what.
            ("store", &["StoreError", "Version"]),
            ("audit", ALL),
            (
                "broker",
                &[
                    "Broker",
                    "Choice",
                    "Directory",
                    "DirectoryError",
                    "KeptTokens",
                    "Lease",
                    "Page",
                    "Reason",
                    "Versioned",
                    "account_of_domain",
                    "client_secret",
                    "is_of_domain",
                ],
            ),
            // When what access tokens are got with ends, why there is none, and what of it is kept elsewhere.
            (
                "credential",
                &[
                    "CredentialError",
                    // What a hook made or is to set becomes a credential here.
                    "app_password_of",
                    "is_to_be_deleted",
                    "new_app_password",
                    "oauth2::FailureKind",
                    "oauth2::Grant",
                    "oauth2::OAuth2",
                    "oauth2::TokenFailure",
                    "oauth2::is_made_here",
                    "oauth2::kept_in",
                ],
            ),
            // The keys of TLS tickets are put into its hands.
            ("net", &["tls::TicketKey", "tls::Tickets"]),
            ("upstream", &["Cause", "Upstreams"]),
            ("usage", &["FellBack", "Ledger", "Pace", "Used", "Visitors"]),
        ],
    },
    // What operators do; the surfaces say it in their own words.
    Room {
        name: "management",
        grants: &[
            ("model", ALL),
            ("net", &["Https"]),
            // A record is put back at the version it was read at.
            ("store", &["StoreError", "Version"]),
            ("credential", ALL),
            ("audit", ALL),
            ("broker", ALL),
            ("upstream", ALL),
            ("rotation", ALL),
            (
                "session",
                &[
                    "LiveSession",
                    "LiveState",
                    "Sessions",
                    "TRACE_TIME",
                    "TraceError",
                    "TraceFilter",
                    "TraceLine",
                    "TraceView",
                ],
            ),
            // What this node has seen refused.
            ("usage", &["Ledger"]),
        ],
    },
    // 4: surfaces
    // It says over HTTP what the rooms below know, and has them do what they can.
    Room {
        name: "admin",
        grants: &[
            ("model", ALL),
            ("store", &["Condition", "Health"]),
            ("broker", &["SharedStatus"]),
            ("telemetry", &["Metrics"]),
            // How many clients could not be taken, for the process as a whole.
            ("net", &["describe_listening", "exhausted_ago"]),
            // How logins ended lately is drawn; whose credential a step is about is said.
            ("session", &["Minute", "Sessions"]),
            ("rotation", &["Subject"]),
            ("management", ALL),
        ],
    },
    Room {
        name: "config",
        grants: &[
            ("model", ALL),
            ("admin", &["Options"]),
            ("audit", &["Options", "Rotate"]),
            ("broker", &["Options", "SharedOptions"]),
            ("credential", &["oauth2::TokenOptions"]),
            ("net", &["LegacyTls", "TlsOptions", "ValkeyOptions", "leads_to"]),
            ("session", &["FrontEnds", "ListenerOptions", "ListenerTls", "Options"]),
            ("store", &["KeySource", "Options", "cache::Options", "sqlite::Options", "vault::Login", "vault::Options"]),
            ("rotation", &["Action", "HookOptions", "Options", "WebhookOptions"]),
            ("telemetry", &["LogFormat", "Options", "TraceOptions"]),
            ("upstream", &["ClassOptions", "Options"]),
        ],
    },
    Room {
        name: "app",
        grants: &[
            ("model", ALL),
            ("net", ALL),
            ("store", ALL),
            ("credential", &["oauth2::Tokens"]),
            ("audit", ALL),
            ("broker", ALL),
            ("enrolment", &["Enrolment"]),
            ("management", &["Desk", "Operations", "Spawner", "overview::Overview"]),
            ("upstream", ALL),
            ("session", ALL),
            ("rotation", ALL),
            ("usage", &["Ledger", "Visitors"]),
            ("telemetry", &["Carrier", "Metrics", "TraceOptions", "Traces", "change", "metrics"]),
            ("admin", ALL),
            ("config", ALL),
        ],
    },
    Room {
        name: "cli",
        grants: &[
            ("model", ALL),
            ("net", &["HttpOptions", "Https", "tls"]),
            ("store", ALL),
            ("credential", ALL),
            ("telemetry", ALL),
            // An operator's look into a mailbox is no login, and no client's.
            ("audit", &["Anchor", "Audit", "Breach", "Found", "Report", "SearchError", "Wanted", "search", "verify"]),
            (
                "broker",
                &[
                    "Authorities",
                    "Broker",
                    "Change",
                    "Directory",
                    "DirectoryError",
                    "Page",
                    "Shared",
                    "SharedOptions",
                    "Versioned",
                    "client_secret",
                    "tokens",
                ],
            ),
            ("management", ALL),
            ("rotation", ALL),
            ("upstream", &["Upstreams"]),
            ("config", ALL),
            ("app", ALL),
            // How a process beside it is.
            ("admin", &["Answer", "Options", "Question", "ask"]),
        ],
    },
    // The demo is a provider and a mail client beside the broker.
    Room {
        name: "cli::demo",
        grants: &[
            ("model", ALL),
            ("net", ALL),
            ("store", ALL),
            ("credential", ALL),
            ("telemetry", ALL),
            ("broker", &["Directory", "client_secret"]),
            ("rotation", &["Given", "Subject"]),
            ("sandbox", ALL),
            ("config", ALL),
            ("app", ALL),
        ],
    },
    // The roots: one names the rooms, the other starts the program.
    Room { name: "lib", grants: &[] },
    Room { name: "main", grants: &[("cli", &["main"])] },
];

/// A path that belongs to some rooms alone.
struct Reserved {
    paths: &'static [&'static str],
    rooms: &'static [&'static str],
    why: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved { paths: &["rusqlite"], rooms: &["store::sqlite"], why: "the rest asks a `Store`, whichever it is" },
    Reserved {
        paths: &["tokio::net"],
        rooms: &["net", "session", "sandbox", "app", "cli", "store::notice"],
        why: "who decides, reads records or speaks a protocol has no socket",
    },
    Reserved {
        paths: &["std::net::TcpListener", "std::net::TcpStream", "std::net::UdpSocket", "std::os::unix::net"],
        rooms: &[],
        why: "these block; tokio has them",
    },
    Reserved {
        paths: &["socket2", "tokio_rustls"],
        rooms: &["net", "sandbox"],
        why: "sockets and TLS are made in `net`",
    },
    Reserved { paths: &["imap_proto"], rooms: &["proto::imap"], why: "it is how that dialogue reads replies" },
    Reserved {
        paths: &["axum", "hyper", "hyper_util"],
        rooms: &["admin", "sandbox", "cli::session"],
        why: "HTTP is served in one room, and by who plays another program",
    },
    Reserved {
        paths: &["vaultrs", "reqwest"],
        rooms: &["store::vault", "net::http"],
        why: "they carry tokens, and log, show and redirect them if they are let",
    },
    Reserved { paths: &["redis"], rooms: &["net::valkey"], why: "it dials and logs in as it likes, if it is let" },
    Reserved {
        paths: &["metrics_exporter_prometheus"],
        rooms: &["telemetry"],
        why: "the others count; who reads it is said once",
    },
    Reserved {
        paths: &[
            "metrics_process",
            "opentelemetry",
            "opentelemetry_proto",
            "opentelemetry_sdk",
            "prost",
            "tracing_opentelemetry",
        ],
        rooms: &["telemetry"],
        why: "what leaves the process of itself is said once",
    },
    Reserved { paths: &["toml"], rooms: &["config"], why: "the others are handed their `Options`" },
    Reserved {
        paths: &["anyhow", "clap"],
        rooms: &["cli"],
        why: "the others have an error enum each and no arguments",
    },
    Reserved {
        paths: &["csv", "dialoguer", "comfy_table", "indicatif"],
        rooms: &["cli"],
        why: "only the command line talks to a person, and reads what one wrote",
    },
    Reserved { paths: &["tracing_subscriber"], rooms: &["telemetry", "config"], why: "where logs go is said once" },
    Reserved { paths: &["chacha20poly1305"], rooms: &["store"], why: "only what is stored is sealed" },
    Reserved {
        paths: &["argon2", "bcrypt", "sha_crypt"],
        rooms: &["broker::client_secret"],
        why: "slow hashes are computed in one place, in bounds",
    },
    Reserved {
        paths: &["std::env"],
        rooms: &["config", "cli", "store::key", "store::vault::source"],
        why: "settings come from the configuration",
    },
    Reserved {
        paths: &["tokio::spawn", "tokio::task::spawn", "tokio::task::JoinSet"],
        // Whoever asked for a name may leave; the look-up goes on, and nothing is lost with it.
        rooms: &["net::names"],
        why: "a task that nobody waits for is lost at the end: `app` spawns, on its tracker",
    },
    Reserved {
        paths: &["tokio_util::task"],
        rooms: &["app", "sandbox", "cli::demo"],
        why: "only `app` spawns, and who plays another program",
    },
    Reserved {
        paths: &["std::thread"],
        rooms: &["store::sqlite::pool", "audit::writer", "audit::file", "telemetry::lines"],
        why: "a thread that sleeps or waits holds up every session on it",
    },
    Reserved {
        paths: &["tokio::sync::mpsc::unbounded_channel", "std::sync::mpsc::channel"],
        rooms: &[],
        why: "every queue has a bound",
    },
    Reserved {
        paths: &["tokio::process", "std::process::Command"],
        rooms: &["rotation::hook", "app::successor"],
        why: "one place starts programs, in bounds, and one starts this one again",
    },
    Reserved {
        paths: &["listenfd", "sd_notify", "command_fds"],
        rooms: &["app"],
        why: "only the process as a whole is handed sockets, hands them on, and speaks to the service manager",
    },
    Reserved { paths: &["std::time::SystemTime"], rooms: &[], why: "a time of day is a `jiff::Timestamp`" },
];

/// What floors 0 and 1 must not name: their bytes and times are arguments.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio_util",
    "rustls",
    "rustix",
    "tracing",
    "async_trait",
    "futures_util",
    "std::time::Instant",
    "std::time::SystemTime",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "std::net::ToSocketAddrs",
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "std::os",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "rand",
    "ring::rand",
];

const PURE: &[&str] = &["model", "sasl", "proto"];

/// Names that a session must not know: it moves leases, and what a lease holds is not its business.
const KINDS: &[&str] = &["CredentialKind", "Material", "StoredCredential", "Slots"];

#[test]
fn imports_point_down_only() {
    let sources = Source::all();
    assert!(sources.len() > 50, "the source is gone");
    report(&sources.iter().flat_map(complaints).collect::<Vec<_>>());
}

/// The table itself holds only what the code needs: a grant that nothing uses is a door left open.
#[test]
fn every_grant_is_used() {
    let sources = Source::all();
    let mut unused = Vec::new();
    for room in ROOMS {
        let names: Vec<Named> = sources
            .iter()
            .filter(|it| room_of(&it.module()).is_some_and(|it| it.name == room.name))
            .flat_map(Source::names)
            .collect();
        let is_used = |granted: &str| names.iter().any(|it| it.path[0] == "crate" && is_in(&it.path[1..], granted));
        for (other, granted) in room.grants {
            if granted.is_empty() && !is_used(other) {
                unused.push(format!("{}: {other}", room.name));
            }
            let granted = granted.iter().map(|name| format!("{other}::{name}"));
            unused.extend(granted.filter(|it| !is_used(it)).map(|it| format!("{}: {it}", room.name)));
        }
    }
    report(&unused);
}

/// Everything that a file must not name, with where and why.
fn complaints(source: &Source) -> Vec<String> {
    let module = source.module();
    let at = |line: usize, what: String| format!("{}:{line}: {what}", source.file.display());
    let Some(room) = room_of(&module) else {
        return vec![at(1, format!("no rule for the room `{}`: say in this table what it may import", module[0]))];
    };
    let mut found = Vec::new();
    for named in source.names() {
        let breach =
            if named.path[0] == "crate" { inside(room, &module[0], &named) } else { outside(&module, &named.path) };
        found.extend(breach.map(|what| at(named.line, what)));
    }
    if module[0] == "session" {
        let kinds = source.code().into_iter().filter(|it| KINDS.contains(&it.text));
        found.extend(
            kinds.map(|Token { line, text }| at(line, format!("session names `{text}`: a lease is all it sees"))),
        );
    }
    found
}

/// The row of the table for a module: the longest that fits.
fn room_of(module: &[String]) -> Option<&'static Room> {
    ROOMS.iter().filter(|room| is_in(module, room.name)).max_by_key(|room| room.name.len())
}

/// Whether a path is this one or leads into it.
fn is_in(path: &[String], whole: &str) -> bool {
    let mut parts = path.iter();
    whole.split("::").all(|part| parts.next().is_some_and(|it| it == part))
}

/// What is wrong with naming something of the crate.
fn inside(room: &Room, own: &str, named: &Named) -> Option<String> {
    let path = named.path.join("::");
    let Some(other) = named.path.get(1) else {
        return Some(format!("{} takes in the whole house (`{path}`)", room.name));
    };
    if other == own {
        return None;
    }
    let Some((_, names)) = room.grants.iter().find(|(granted, _)| granted == other) else {
        let may: Vec<&str> = room.grants.iter().map(|(granted, _)| *granted).collect();
        return Some(format!("{} may not import {other} (`{path}`), only: {}", room.name, may.join(", ")));
    };
    // The room alone says nothing yet: what it is used for is seen where it is used.
    let rest = &named.path[2..];
    if !names.is_empty() && !rest.is_empty() && !names.iter().any(|name| is_in(rest, name)) {
        return Some(format!("{} may import of {other} only: {} (not `{path}`)", room.name, names.join(", ")));
    }
    named.is_export.then(|| format!("{} hands on `{path}`: who needs it imports it from {other}, if it may", room.name))
}

/// What is wrong with naming something of a library.
fn outside(module: &[String], path: &[String]) -> Option<String> {
    let shown = path.join("::");
    if PURE.contains(&module[0].as_str()) && IMPURE.iter().any(|it| reaches(path, it)) {
        return Some(format!("{} names `{shown}`: no I/O, no clock, no chance on floors 0 and 1", module[0]));
    }
    let reserved = RESERVED.iter().find(|it| it.paths.iter().any(|reserved| reaches(path, reserved)))?;
    if reserved.rooms.iter().any(|room| is_in(module, room)) {
        return None;
    }
    let rooms = if reserved.rooms.is_empty() { "no room" } else { &reserved.rooms.join(", ") };
    Some(format!("`{shown}` is for {rooms}: {}", reserved.why))
}

/// Whether a path names this or something in it; `*` may name anything.
fn reaches(path: &[String], reserved: &str) -> bool {
    let mut parts = path.iter();
    reserved.split("::").all(|part| match parts.next() {
        Some(it) if it == "*" => {
            parts = [].iter();
            true
        }
        Some(it) => it == part,
        None => path.last().is_some_and(|it| it == "*"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of code in a file.
    fn said(file: &str, text: &str) -> Vec<String> {
        complaints(&Source { file: format!("src/{file}").into(), text: text.to_owned() })
    }

    #[track_caller]
    fn is_refused(file: &str, text: &str, part: &str) {
        let said = said(file, text);
        assert!(said.len() == 1 && said[0].contains(part), "{text}: {said:?}");
    }

    #[test]
    fn an_import_that_points_up_is_refused() {
        is_refused("model/ids.rs", "use crate::proto::Client;", "model may not import proto");
        is_refused(
            "net/relay.rs",
            "\n\nuse crate::{\n  net::{Side},\n  broker::{self},\n};",
            "src/net/relay.rs:5: net may not",
        );
        is_refused("store/key.rs", "fn f() { crate::broker::g() }", "store may not import broker");
        is_refused("audit.rs", "use super::store;", "audit may not import store");
        is_refused("broker/policy.rs", "use super::super::proto::Client;", "broker may not import proto");
        is_refused("sasl/mod.rs", "impl From<crate::proto::Goal> for X {}", "sasl may not import proto");
        is_refused("cli/check.rs", "use crate::sandbox;", "cli may not import sandbox");
        is_refused("lib.rs", "pub use crate::model::Secret;", "lib may not import model");
        is_refused("audit.rs", "use super::*;", "audit may not import *");
        is_refused("audit.rs", "use crate as all;", "the whole house");
        is_refused("kitchen.rs", "", "no rule for the room `kitchen`");
    }

    #[test]
    fn of_some_rooms_only_some_names_are_granted() {
        is_refused("upstream/mod.rs", "use crate::broker::{Lease, Broker};", "may import of broker only: Lease");
        is_refused("upstream/mod.rs", "use crate::broker::*;", "may import of broker only");
        is_refused("broker/policy.rs", "use super::super::net::dial;", "may import of net only: Commands, Https");
        is_refused("config/mod.rs", "use crate::{store, net}; fn f() { store::open(); }", "(not `crate::store::open`)");
        is_refused("config/mod.rs", "use crate::store as s; fn f() { s::open(); }", "(not `crate::store::open`)");
        is_refused("store/mod.rs", "use crate::model::Account;", "store may import of model only");
        is_refused("session/mod.rs", "fn f(it: X) { it.kind::<CredentialKind>() }", "session names `CredentialKind`");
    }

    #[test]
    fn nothing_is_handed_on_from_another_room() {
        is_refused("broker/mod.rs", "pub use crate::store::Store;", "broker hands on");
        assert!(said("broker/mod.rs", "pub use self::lease::Lease; pub use directory::Directory;").is_empty());
    }

    #[test]
    fn libraries_stay_in_their_rooms() {
        is_refused("broker/mod.rs", "use rusqlite::Connection;", "`rusqlite::Connection` is for store::sqlite");
        is_refused("store/mod.rs", "fn f() -> rusqlite::Error {}", "is for store::sqlite");
        is_refused("broker/mod.rs", "use tokio::{net, time}; fn f() { time::sleep(x) }", "`tokio::net` is for");
        is_refused("session/mod.rs", "fn f() { tokio::spawn(x); }", "is for net::names");
        is_refused("proto/mod.rs", "use std::{time::{Duration, Instant}};", "no clock");
        is_refused("proto/mod.rs", "use std::time; fn f() { time::Instant::now() }", "no clock");
        is_refused("sasl/plain.rs", "use std::time::*;", "no clock");
        is_refused("model/ids.rs", "use ring::{digest, rand::SystemRandom};", "no chance");
        is_refused("model/ids.rs", "use jiff::Timestamp; fn f() { Timestamp::now() }", "no clock");
        assert!(said("model/ids.rs", "use jiff::Timestamp; use std::time::Duration; use ring::digest;").is_empty());
    }

    #[test]
    fn what_the_table_grants_is_allowed_and_tests_may_do_as_they_like() {
        assert!(said("upstream/mod.rs", "use crate::{broker::Lease, net::{self, dial}}; use super::proto;").is_empty());
        assert!(said("cli/demo/stage.rs", "use crate::sandbox::Sandbox;").is_empty());
        assert!(said("store/sqlite/rows.rs", "use rusqlite::Row;").is_empty());
        assert!(
            said("model/ids.rs", "// crate::broker\n#[cfg(test)] mod tests { use crate::broker; use std::fs; }")
                .is_empty()
        );
    }
}
