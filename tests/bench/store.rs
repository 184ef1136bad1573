//! How Locum fares with many accounts in its store, in a file and in a real OpenBao: `cargo bench --bench store`. It
//! measures and judges nothing; docs/benchmarks.md says what the figures mean. An argument is the number of accounts.

#![expect(clippy::unwrap_used, reason = "what cannot be measured shall say where")]

#[expect(dead_code, reason = "some of it is for the other benchmarks")]
mod figures;
mod measures;
#[path = "../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod openbao;
#[path = "../process/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod program;
#[path = "../support/stage.rs"]
mod stage;

use std::env;

use tokio::runtime::Runtime;

use figures::Table;
use measures::Bed;
use openbao::Cluster;
use stage::Stage;

const ACCOUNTS: usize = 10_000;

#[expect(clippy::print_stdout, reason = "what was measured is what is wanted")]
fn main() {
    let accounts = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(ACCOUNTS);
    let mut table = Table::default();

    let mut bed = Bed::new("a file", Stage::on_sqlite(), Runtime::new().unwrap());
    bed.measure([accounts / 100, accounts], &mut table);

    let runtime = Runtime::new().unwrap();
    let cluster = runtime.block_on(Cluster::start(1));
    let stage = Stage::on_vault(&runtime, &cluster.on(0), "");
    let mut bed = Bed::new("OpenBao", stage, runtime).audited(cluster.audit(0));
    bed.measure([accounts / 100, accounts], &mut table);
    bed.measure_changes(&mut table);

    println!("{table}");
}
