//! What the system lets this process do, and what it must not do with our memory: write it to a disk, by a core dump or by swap.

use std::io::ErrorKind;

use rustix::mm::{MlockAllFlags, mlockall};

use super::Problems;
use crate::admin::Descriptors;
use crate::config::LockMemory;

/// Descriptors for everything else: the store and the audit, Vault and authorities, hooks, up to 128 connections of operators,
/// connections that are told to leave, and what the accept loops keep back.
const OTHERS: u64 = 256;

/// Two descriptors a session, and some for everything else: better said now than at the thousandth client.
pub(super) fn check_descriptors(sessions_max: usize, problems: &mut Vec<String>) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = sessions_max as u64 * 2 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return;
    }
    if limit.maximum.is_none_or(|maximum| maximum >= needed)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum }).is_ok()
    {
        return;
    }
    let have = limit.maximum.or(limit.current).unwrap_or(0);
    problems.push(format!(
        "sessions-max = {sessions_max} needs {needed} open files, and this process may have {have}; raise LimitNOFILE \
         (systemd) or `ulimit -n`, or lower sessions-max in [limits]"
    ));
}

/// Files that this process has open, and how many it may have; `None` where the system does not tell, or sets no limit.
pub(super) fn descriptors() -> Option<Descriptors> {
    use rustix::process::{Resource, getrlimit};
    let max = getrlimit(Resource::Nofile).current?;
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    Some(Descriptors { open, max })
}

/// Keeps what is in memory out of swap: every page from when it is first used, so that memory which is only reserved costs
/// nothing. Where that is not permitted it is said once.
///
/// # Errors
/// If it is not permitted where it is required.
pub fn lock_memory(wanted: LockMemory) -> Result<(), Problems> {
    let why_not = match wanted {
        LockMemory::Off => return Ok(()),
        LockMemory::Auto | LockMemory::Require => may_lock().and_then(|()| {
            let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
            mlockall(all).map_err(|errno| errno.kind().to_string())
        }),
    };
    let Err(why_not) = why_not else {
        tracing::debug!("memory is locked: it is never written to swap");
        return Ok(());
    };
    let remedy = "set LimitMEMLOCK=infinity (systemd) or `ulimit -l unlimited`";
    if wanted == LockMemory::Require {
        let problem = format!("lock-memory = \"require\", and memory cannot be locked: {why_not}; {remedy}");
        return Problems::none_in(vec![problem], false);
    }
    tracing::info!("memory is not locked: {why_not}; {remedy}, or use no swap, or an encrypted one");
    Ok(())
}

/// With a limit of so many bytes, whatever is locked ahead of its use would count: in the end no thread and no buffer could be
/// had any more. So either there is no limit, or the right to pass over it.
fn may_lock() -> Result<(), String> {
    use rustix::process::{Resource, getrlimit};
    let Some(bytes) = getrlimit(Resource::Memlock).current else { return Ok(()) };
    if may_pass_over_the_limit() { Ok(()) } else { Err(format!("this process may lock {} KiB", bytes / 1024)) }
}

/// Whether this process has CAP_IPC_LOCK, and not merely in a user namespace, where it is worth nothing.
fn may_pass_over_the_limit() -> bool {
    const CAP_IPC_LOCK: u32 = 14; // linux/capability.h
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    // All of the users of the machine, each as himself: the first namespace.
    let users = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_first = users.split_whitespace().eq(["0", "0", "4294967295"]);
    capabilities >> CAP_IPC_LOCK & 1 == 1 && is_first
}

/// Keeps secrets in memory off the disk: no core dump of this process, by its own limit and by the kernel's flag.
///
/// # Errors
/// If the system refuses.
pub fn forbid_core_dumps() -> Result<(), ErrorKind> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|errno| errno.kind())
}
