//! What the system is told of the process' memory: no core dump of it, by whatever program and whatever end; none of it in swap,
//! where that is permitted; and nothing of its environment for the programs that it starts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{DEADLINE, Home, Served, finish};

const CONFIG: i32 = 78;
/// In bytes: as it is on machines where nobody has thought of it.
const LITTLE: &str = "--memlock=65536:65536";

fn home(lock_memory: &str) -> Home {
    let home = Home::with_config(&format!(
        "[upstream.gmail]\npreset = \"gmail\"\n[limits]\nlock-memory = \"{lock_memory}\"\n\
         [[listener]]\nname = \"imap\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n"
    ));
    home.write("upstream.crt", home.read("tls.crt"));
    home
}

/// `locum serve` with little memory to lock, and without the right to lock more.
fn serve_with_little(home: &Home) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-ipc_lock", "prlimit", LITTLE, env!("CARGO_BIN_EXE_locum"), "serve"]);
    command.current_dir(home.folder()).env_remove("LOCUM_CONFIG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether whoever runs the tests may lock all memory: CAP_IPC_LOCK, or no limit.
fn may_lock() -> bool {
    let capabilities = u64::from_str_radix(&of_process(std::process::id(), "status", "CapEff:"), 16).unwrap();
    capabilities >> 14 & 1 == 1
        || of_process(std::process::id(), "limits", "Max locked memory").starts_with("unlimited")
}

/// A line of `/proc/<pid>/…`, without its name.
fn of_process(pid: u32, file: &str, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{file} has no {name}: {text}")).trim().to_owned()
}

/// How a server was that was started so: whether it locked its memory, and its log.
fn served(command: Command) -> (bool, String) {
    let served = Served::start(command);
    served.wait_for_log("ready");
    let is_locked = of_process(served.pid(), "status", "VmLck:") != "0 kB";
    (is_locked, served.stop().succeeded().stderr)
}

#[test]
fn memory_is_locked_where_that_is_permitted() {
    assert!(may_lock(), "this is for root, or for who may lock all memory (`ulimit -l unlimited`)");
    for (lock_memory, is_locked) in [("auto", true), ("require", true), ("off", false)] {
        let (locked, log) = served(home(lock_memory).command(&["serve"]));
        assert!(locked == is_locked && !log.contains("not locked"), "{lock_memory}: {log}");
    }
}

#[test]
fn memory_is_not_locked_where_it_would_run_out() {
    assert!(rustix::process::getuid().is_root(), "this is for root: nobody else can give up the right to lock memory");
    let (locked, log) = served(serve_with_little(&home("auto")));
    let said = "memory is not locked: this process may lock 64 KiB; set LimitMEMLOCK=infinity (systemd) or `ulimit -l \
                unlimited`, or use no swap, or an encrypted one";
    assert!(!locked && log.matches(said).count() == 1, "{log}");
    let run = finish(serve_with_little(&home("require")).spawn().unwrap()).ended(CONFIG);
    run.said("lock-memory = \"require\", and memory cannot be locked: this process may lock 64 KiB; set LimitMEMLOCK");
}

#[test]
fn no_crash_leaves_a_core() {
    let home = home("auto");
    // A verb that has opened the store and waits for a person, as well as the server.
    let add = ["account", "add", "a@gmail.test", "--upstream", "gmail", "--secret-stdin"];
    for arguments in [&add[..], &["serve"]] {
        let mut child = home.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        // From the first thing that it does on.
        // Soft and hard: nothing can raise it again.
        while !of_process(child.id(), "limits", "Max core file size").split_whitespace().eq(["0", "0", "bytes"]) {
            assert!(began.elapsed() < DEADLINE, "{arguments:?} never forbade it");
        }
        kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::QUIT).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.signal(), status.core_dumped()), (Some(3), false), "{arguments:?}");
    }
}

#[test]
fn a_hook_inherits_the_limit_and_no_environment() {
    let home = Home::made();
    let script = home.path("hook");
    let told = home.path("told");
    home.write("hook", format!("#!/bin/sh\ncat /proc/self/limits >{0}\nenv >>{0}\nexit 1\n", told.display()));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    home.configure(&format!(
        "[upstream.gmail]\npreset = \"gmail\"\n[rotation.hook]\ncommand = [\"{}\"]\n",
        script.display()
    ));
    home.write("upstream.crt", home.read("tls.crt"));
    let add = ["account", "add", "a@gmail.test", "--upstream", "gmail", "--secret-stdin"];
    home.run_with(&add, "abcdefghijklmnop").succeeded();
    let mut command = home.command(&["rotate", "run", "a@gmail.test", "--by-hook"]);
    let run = finish(command.env("VAULT_TOKEN", "canary").env("LOCUM_KEY", "canary").spawn().unwrap());
    assert_ne!(run.code, Some(0), "{run:#?}");
    let told = fs::read_to_string(told).unwrap_or_else(|error| panic!("the hook never ran: {error}\n{run:#?}"));
    let core = told.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert!(core.trim_start().starts_with("0 "), "{core}");
    assert!(told.contains("PATH=") && !told.contains("canary"), "{told}");
}
