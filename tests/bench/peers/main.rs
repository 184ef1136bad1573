//! Locum side by side with its peers: `cargo bench --bench peers`. Locum, nginx's mail proxy, Dovecot's login proxy and a bare
//! relay do the same work in turns, one at a time on a core of its own; the other core has the clients and a cheap upstream.
//! It shows what each costs by the kernel's own accounting, and ends with 1 if a login did not happen or a byte was lost;
//! never for a time. docs/benchmarks.md says what the figures mean.
//!
//! - [`subject`]: who is measured. [`measure`]: what is. [`upstream`], [`floor`]: this program in other roles ([`role`]).
//! - [`drive`]: clients that do the same again and again. [`tree`]: what a process has cost. [`cores`]: who runs where.
//! - [`sheet`]: the figures; [`bar`]: what they are to be.

#![expect(clippy::unwrap_used, reason = "what cannot be measured shall say where")]

mod arguments;
mod bar;
mod cores;
mod drive;
#[path = "../figures.rs"]
#[expect(dead_code, reason = "some of it is for the other benchmarks")]
mod figures;
mod floor;
#[path = "../load/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for the benches under load")]
mod load;
mod measure;
#[path = "../../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod openbao;
#[path = "../../process/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod program;
mod role;
mod sheet;
#[path = "../../support/stage.rs"]
#[expect(dead_code, reason = "some of it is for the other benchmarks")]
mod stage;
mod subject;
mod tree;
mod upstream;

use std::process::ExitCode;

use tokio::runtime::{self, Runtime};

use arguments::Arguments;
use measure::{Bench, Measure, RECORDS};
use sheet::Sheet;
use subject::{Ground, Subject};

fn main() -> ExitCode {
    match role::told().as_deref() {
        Some(upstream::ROLE) => upstream::serve(),
        Some(floor::ROLE) => floor::serve(),
        _ => return measure_all(),
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "what was measured is what is wanted")]
fn measure_all() -> ExitCode {
    let Arguments { measures, subjects, rounds, pinned } = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::FAILURE;
        }
    };
    cores::settle(pinned);
    load::raise_descriptors();
    let (subjects, missing): (Vec<Subject>, Vec<Subject>) = subjects.into_iter().partition(|it| it.missing().is_none());
    for subject in missing {
        eprintln!("{} is left out: {}", subject.title(), subject.missing().unwrap_or_default());
    }
    // Stores and look-alikes are made ready by threads; what is measured is driven by one alone.
    let making = Runtime::new().unwrap();
    let records = measures.contains(&Measure::Records).then_some(RECORDS);
    let ground = Ground::prepare(&making, &subjects, records);
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut bench = Bench { runtime, ground, sheet: Sheet::default(), round: 0 };
    for round in 0..rounds {
        bench.round = round;
        for measure in &measures {
            // Nobody is always the first.
            let first = round % subjects.len().max(1);
            for subject in subjects[first..].iter().chain(&subjects[..first]) {
                measure.take(&mut bench, *subject);
            }
        }
    }
    if !cores::are_apart() {
        println!("Subjects, clients and upstream shared all cores.\n");
    }
    println!("{}", bench.sheet.table(&subjects));
    for line in bar::lines(&bench.sheet) {
        println!("- {line}");
    }
    for complaint in bench.sheet.complaints() {
        println!("- NOT AS IT HAS TO BE: {complaint}");
    }
    if bench.sheet.complaints().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
