//! What a process and all that it started have cost, as the kernel counts it. It never asks the processes themselves.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// `USER_HZ`, which is 100 wherever Linux runs.
const TICKS_PER_SECOND: u64 = 100;

/// A process with its children and theirs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree(pub(crate) u32);

impl Tree {
    /// Processor time so far, of threads and children that have ended, too. The kernel counts it by the nanosecond and tells it
    /// by 10 ms.
    pub(crate) fn busy(self) -> Duration {
        // Behind the name, which may have blanks: user and kernel mode, of itself and of children that it has waited for.
        let ticks = self.members().values().map(|rest| rest.iter().skip(11).take(4).sum::<u64>()).sum::<u64>();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    /// Memory, in bytes: what is its own, and of what is shared its part, where the system lets us see that; what is
    /// resident otherwise.
    pub(crate) fn memory(self) -> u64 {
        self.members().keys().map(|pid| proportional(*pid).or_else(|| resident(*pid)).unwrap_or_default()).sum()
    }

    /// All processes of it, with the numbers that stand behind the state of each in `/proc/PID/stat`.
    fn members(self) -> BTreeMap<u32, Vec<u64>> {
        let all: BTreeMap<u32, Vec<u64>> =
            fs::read_dir("/proc").unwrap().filter_map(|it| stat(it.ok()?.file_name().to_str()?)).collect();
        let is_member = |pid: u32| {
            let mut at = Some(pid);
            while let Some(pid) = at.filter(|it| *it != self.0) {
                at = all.get(&pid).map(|rest| rest[1] as u32).filter(|it| *it > 0);
            }
            at.is_some()
        };
        let members: Vec<u32> = all.keys().copied().filter(|pid| is_member(*pid)).collect();
        assert!(!members.is_empty(), "process {} ended while it was measured", self.0);
        all.into_iter().filter(|(pid, _)| members.contains(pid)).collect()
    }
}

/// The process of that name, if it is one. The state, which is a letter, counts as 0.
fn stat(name: &str) -> Option<(u32, Vec<u64>)> {
    let pid = name.parse().ok()?;
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some((pid, rest.split_whitespace().map(|it| it.parse().unwrap_or_default()).collect()))
}

fn proportional(pid: u32) -> Option<u64> {
    kibibytes(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?, "Pss:")
}

fn resident(pid: u32) -> Option<u64> {
    kibibytes(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
