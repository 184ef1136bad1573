//! The faults that befall a mail broker, each put to the real program between real clients' dialogues and real servers:
//! Dovecot, Postfix and OpenBao. Each module declares its faults in one table, with what clients must see, and asserts it;
//! what was seen is the table of the same name in `docs/faults.md`, which no hand may write: see `page`.
//!
//! All of it runs as root: real mail servers do, and so do mounts and names of a process's own.
//!
//! - `stage`: the servers, Locum, what stands between them and strikes, and clients that must notice nothing.
//! - `before_login`, `relay`, `servers`, `names`: the provider, before the login and after, its servers, its name.
//! - `bao`, `disk`, `clock`, `process`: the store, the disk, the time, and the end of Locum itself.

#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

mod bao;
mod before_login;
#[path = "../support/certificates.rs"]
#[expect(dead_code, reason = "the bad ones are made here")]
mod certificates;
mod clock;
mod disk;
#[path = "../real/dovecot.rs"]
#[expect(dead_code, reason = "what it logs is for the tests with real clients")]
mod dovecot;
#[path = "../real/endpoint.rs"]
#[expect(dead_code, reason = "clients of the tests with real clients are told by it where to connect")]
mod endpoint;
#[path = "../outages/house.rs"]
#[expect(dead_code, reason = "what befalls secret ids is for the tests of outages")]
mod house;
#[path = "../real/issuer.rs"]
#[expect(dead_code, reason = "no token is issued here")]
mod issuer;
#[path = "../real/mail.rs"]
#[expect(dead_code, reason = "most of its messages are for other tests")]
mod mail;
mod names;
#[path = "../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "a part of it is for the tests of the store")]
mod openbao;
mod page;
#[path = "../real/postfix.rs"]
#[expect(dead_code, reason = "what it logs is for the tests with real clients")]
mod postfix;
mod process;
#[path = "../real/programs.rs"]
mod programs;
mod relay;
#[path = "../real/scratch.rs"]
#[expect(dead_code, reason = "no script is run here")]
mod scratch;
mod servers;
mod stage;

use openbao::child;
