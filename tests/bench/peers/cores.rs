//! Who runs on which core: what is measured on the first, all that measures it on the second. So the figures are those of one
//! core, and what the clients do is not among them. Where there is one core only, all share it.

use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

/// Set once the benchmark has put itself onto its core.
const DONE: &str = "LOCUM_BENCH_PINNED";

/// Which side somebody is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Who is measured.
    Subject,
    /// Clients and the upstream.
    Load,
}

/// Puts this process, and so all that it starts, onto the core of the load, unless it is there. It begins anew for that.
pub(crate) fn settle(pinned: bool) {
    if env::var_os(DONE).is_some() {
        return;
    }
    let is_pinned = pinned && thread::available_parallelism().is_ok_and(|it| it.get() >= 2);
    let mut command = Command::new(env::current_exe().unwrap());
    if is_pinned {
        command = Command::new("taskset");
        command.args(["-c", "1"]).arg(env::current_exe().unwrap());
    }
    let error = command.args(env::args_os().skip(1)).env(DONE, if is_pinned { "yes" } else { "no" }).exec();
    panic!("cannot put the bench onto a core of its own ({error}): is there no taskset (package util-linux)?");
}

/// Whether the sides have a core each.
pub(crate) fn are_apart() -> bool {
    env::var_os(DONE).is_some_and(|it| it == "yes")
}

/// A command that runs on that side.
pub(crate) fn command(side: Side, program: impl AsRef<OsStr>) -> Command {
    if side == Side::Load || !are_apart() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}
