//! What is asked of a server that has many records, by its own audit: a start asks for none of them, a login for two, a page
//! of a list for those that it shows. The rights are the shipped ones.

use tokio::runtime::Runtime;

use crate::openbao::{Calls, Cluster, eventually};
use crate::stage::Stage;

const ACCOUNTS: usize = 200;
/// Records of each kind that are written at once.
const AT_ONCE: usize = 16;

#[test]
fn nothing_looks_at_all_records() {
    let runtime = Runtime::new().unwrap();
    let cluster = runtime.block_on(Cluster::start(1));
    let mut audit = cluster.audit(0);
    let mut stage = Stage::on_vault(&runtime, &cluster.on(0), "");
    runtime.block_on(stage.enrol(ACCOUNTS, AT_ONCE));
    let written = audit.calls();
    assert_eq!(records(&written), calls([("create data/accounts", ACCOUNTS), ("create data/clients", ACCOUNTS)]));
    // Those who write at once are told of together: else each would wait for all that came before.
    let told = written["update data/changes/ring"];
    assert!(told < 2 * ACCOUNTS / 4, "the feed was written {told} times for {} records", 2 * ACCOUNTS);

    let node = stage.home.serve();
    let start = runtime.block_on(eventually("a look at the feed", async || {
        let calls = audit.calls();
        calls.contains_key("read data/changes/head").then_some(calls)
    }));
    assert_eq!(records(&start), calls([]), "a start");
    let port = node.port("imaps");
    let mut log_in = |number| {
        stage.log_in(&mut stage.connect(port), number);
        records(&audit.calls())
    };
    log_in(1); // it may have been quicker than what came of that look
    assert_eq!(log_in(7), calls([("read data/accounts", 1), ("read data/clients", 1)]), "a client's first login");
    assert_eq!(log_in(7), calls([]), "its next");
    node.stop().succeeded();

    audit.calls();
    let list = stage.run(&["account", "list", "--limit", "10"]);
    assert_eq!(list.stdout.lines().count(), 1 + 10, "{}", list.stdout);
    assert_eq!(records(&audit.calls()), calls([("list metadata/accounts", 1), ("read data/accounts", 10)]), "a page");
}

/// The calls that have to do with records.
fn records(calls: &Calls) -> Calls {
    let is_record = |call: &str| ["accounts", "clients", "tokens", "usage"].iter().any(|folder| call.ends_with(folder));
    calls.iter().filter(|(call, _)| is_record(call)).map(|(call, count)| (call.clone(), *count)).collect()
}

fn calls<const N: usize>(expected: [(&str, usize); N]) -> Calls {
    expected.map(|(call, count)| (call.to_owned(), count)).into()
}
