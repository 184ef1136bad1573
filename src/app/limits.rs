//! What the system lets this process do, and what it must not do with our memory.

use std::io::ErrorKind;

use crate::admin::Descriptors;

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
