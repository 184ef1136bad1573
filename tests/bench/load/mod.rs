//! What the benchmarks under load share: Locum with a provider and clients ([`Field`]), mail clients that mean well
//! ([`clients`]), others that do not ([`attacks`]), and what is written down of both ([`Tally`], [`Vitals`]). It judges
//! nothing.
//!
//! A bench takes it in with `#[path = "../load/mod.rs"] mod load;` and has `figures`, `openbao`, `program` and `stage` beside it.

pub(crate) mod attacks;
pub(crate) mod clients;
#[path = "../../support/fake.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod fake;
mod field;
mod tally;
mod vitals;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) use clients::Caller;
pub(crate) use field::{Field, Key};
pub(crate) use tally::{Phase, Tally};
pub(crate) use vitals::{Gauges, Look, Vitals};

/// Has this process open as many files as the system lets it: each connection is one.
pub(crate) fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
