//! Runs the targets within the tests: what is kept, then a fixed number of mutations of it. A watchdog ends a target that
//! takes too long with one input, for a hang must be told, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::corpus;
use crate::mutator::Mutator;
use crate::targets::{self, Target};

/// One input takes under a millisecond; a machine that has much else to do may be some thousand times slower.
const INPUT_TIME_MAX: Duration = Duration::from_secs(10);

/// Mutations of each target: some seconds for all of them together in a debug build.
const MUTATIONS: usize = 1_500;

/// Where the mutations begin. `LOCUM_FUZZ_SEED` has others tried.
const SEED: u64 = 8;

fn seed() -> u64 {
    std::env::var("LOCUM_FUZZ_SEED").ok().map_or(SEED, |seed| seed.parse().expect("LOCUM_FUZZ_SEED is a number"))
}

/// Tries the inputs one by one on a thread of their own.
fn try_all(target: &'static Target, inputs: impl Iterator<Item = Vec<u8>>) {
    let (to_run, inputs_to_run) = mpsc::sync_channel::<Vec<u8>>(0);
    let (to_tell, done) = mpsc::sync_channel::<()>(0);
    let runner = thread::spawn(move || {
        for input in inputs_to_run {
            (target.run)(&input);
            if to_tell.send(()).is_err() {
                return;
            }
        }
    });
    let mut runner = Some(runner);
    for input in inputs {
        let is_taken = to_run.send(input.clone()).is_ok();
        match done.recv_timeout(INPUT_TIME_MAX) {
            Ok(()) if is_taken => {}
            Err(RecvTimeoutError::Timeout) => {
                panic!("{}: no end within {INPUT_TIME_MAX:?}: {}", target.name, keep(target, &input))
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                let path = keep(target, &input);
                let panic = runner.take().and_then(|runner| runner.join().err());
                let why = panic.and_then(|panic| panic.downcast::<String>().ok());
                panic!("{}: {path}: {}", target.name, why.as_deref().map_or("see above", String::as_str));
            }
        }
    }
    drop(to_run);
}

/// Writes an input that something was found with to where it can be taken from.
fn keep(target: &Target, input: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-found");
    let path: PathBuf = folder.join(format!("{}-{}", target.name, corpus::name(input)));
    fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input)).expect("a folder for what is found");
    path.display().to_string()
}

fn run(name: &str) {
    let target = targets::target(name).expect("a target");
    let inputs = corpus::inputs(name);
    assert!(!inputs.is_empty(), "{name} has no inputs");
    try_all(target, [Vec::new()].into_iter().chain(inputs.clone()));
    let mut mutator = Mutator::new(seed(), inputs);
    try_all(target, (0..MUTATIONS).map(|_| mutator.next()));
}

/// A test for each target; [`every_target_is_run`] holds them against the table.
macro_rules! run_each {
    ($($test:ident: $name:literal),* $(,)?) => {
        const RUN: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                run($name);
            }
        )*
    };
}

run_each! {
    imap_server: "imap-server",
    pop3_server: "pop3-server",
    submission_server: "submission-server",
    imap_client: "imap-client",
    pop3_client: "pop3-client",
    submission_client: "submission-client",
    pair: "pair",
    sasl: "sasl",
    proxy_header: "proxy-header",
    watch: "watch",
    config: "config",
    records: "records",
    sealed: "sealed",
    feed: "feed",
    token_replies: "token-replies",
    verifiers: "verifiers",
    sentences: "sentences",
    hook: "hook",
    imports: "imports",
    audit: "audit",
    api: "api",
    names: "names",
}

#[test]
fn every_target_is_run() {
    let targets: Vec<&str> = targets::TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(RUN, targets);
}

#[test]
fn a_panic_names_the_input_that_made_it() {
    static TARGET: Target = Target { name: "none", run: |input| assert!(input != b"bad", "it is {input:?}") };
    let inputs = [b"good".to_vec(), b"bad".to_vec(), b"good".to_vec()];
    let panic = thread::spawn(|| try_all(&TARGET, inputs.into_iter())).join().expect_err("a panic");
    let told = panic.downcast::<String>().expect("a text");
    let path = told.strip_prefix("none: ").and_then(|rest| rest.split(": ").next()).expect("a path");
    assert_eq!(fs::read(path).expect("the input"), b"bad");
    assert!(told.contains("it is"), "{told}");
    fs::remove_file(path).expect("it was made here");
}
