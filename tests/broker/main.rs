//! The whole broker: Locum between real sockets, a look-alike provider or a fake before it and raw clients at its doors.
//! Each test says what goes over the wires, word for word, and what did and did not reach the provider.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod answers;
mod audit;
mod bad_clients;
#[path = "../support/child.rs"]
#[expect(dead_code, reason = "clients are none here")]
mod child;
mod client_secrets;
mod delegation;
mod devices;
mod drain;
mod enrolment;
mod flaky_providers;
mod fleet;
mod front;
mod gate;
mod grants;
mod hostile_logins;
mod hostile_upstreams;
mod keeper;
mod keeper_by_token;
mod matrix;
mod oauth2;
mod offers;
mod overlap;
mod overlap_by_token;
mod overload;
mod pace;
mod pipelining;
mod probe;
mod provider_refusals;
mod quotas;
mod refusals;
mod renewal;
mod revocation;
mod rotation_by_token;
mod seen;
mod senders;
mod sessions;
mod shared_counts;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "a part of it is for nodes at a store elsewhere")]
mod support;
mod usage;
mod warm;
