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

pub(crate) use clients::Caller;
pub(crate) use field::{Field, Key};
pub(crate) use tally::{Phase, Tally};
pub(crate) use vitals::{Gauges, Look, Vitals};
