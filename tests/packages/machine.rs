//! A Debian with nothing in it but systemd, started for one test in namespaces of its own: other processes, another network,
//! other mounts, the kernel of this machine. What is changed in it is kept in memory and gone with it, and so is every
//! process. It must be root who starts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::child::{self, Server, eventually};
use crate::{cached, top};

/// A Debian that runs.
pub(crate) struct Machine {
    // Ends before what it stands on.
    server: Server,
    /// The process that is number 1 within.
    init: u32,
    group: Group,
    _work: TempDir,
}

/// A branch of the tree of control groups, in which systemd makes what it likes.
struct Group(PathBuf);

impl Machine {
    /// Starts it, and waits until its systemd has.
    pub(crate) fn start() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "only root can start a machine: run these tests as root, or in a container that may mount"
        );
        let debian = cached("debian-1");
        let (work, group) = (tempfile::tempdir().unwrap(), Group::new());
        let log = work.path().join("said");
        let said = fs::File::create(&log).unwrap();
        let mut command = Command::new("/bin/sh");
        // In the group before there is a namespace for it: within, it is the top.
        let enter = "echo $$ >\"$0/cgroup.procs\"; exec unshare --mount --pid --ipc --uts --net --cgroup --fork --kill-child \
                     /bin/sh \"$@\"";
        command.args(["-c", enter]).arg(&group.0).arg(top().join("tests/packages/machine.sh"));
        command.arg(debian).arg(work.path()).stdout(said.try_clone().unwrap()).stderr(said);
        let mut server = Server::spawn("systemd", &mut command, vec![log]);
        let init = eventually("systemd as number 1", || {
            assert!(!server.has_ended(), "it ended");
            child_of(server.pid()).filter(|pid| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "systemd")
            })
        });
        let machine = Self { server, init, group, _work: work };
        eventually("systemd to be there", || {
            let state = machine.ask("systemctl is-system-running");
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            // What fails in a Debian without devices is not ours.
            ["running", "degraded"].contains(&state.as_str()).then_some(())
        });
        machine
    }

    /// A command of this machine's in the network of the other.
    pub(crate) fn beside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.to_string(), "--net", program]);
        command
    }

    /// Puts a file of this machine's there.
    pub(crate) fn copy(&self, from: &Path, to: &str) {
        self.write(to, fs::read(from).unwrap());
    }

    /// Writes a file.
    pub(crate) fn write(&self, to: &str, content: impl AsRef<[u8]>) {
        let output = child::run(&mut self.command(&format!("cat >{to}")), content.as_ref());
        assert!(output.status.success(), "{to}: {output:?}");
    }

    /// Runs a line of shell as root within; how it ended.
    pub(crate) fn ask(&self, line: &str) -> Output {
        child::run(&mut self.command(line), b"")
    }

    /// Runs a line of shell as root within, which must succeed; what it said.
    #[track_caller]
    pub(crate) fn sh(&self, line: &str) -> String {
        self.sh_with(line, "")
    }

    /// The same, with that on its standard input.
    #[track_caller]
    pub(crate) fn sh_with(&self, line: &str, input: &str) -> String {
        let output = child::run(&mut self.command(line), input.as_bytes());
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            let journal = self.ask("journalctl --no-pager --lines 60");
            panic!(
                "{line}: {}\n{said}{complained}\n--- journal\n{}",
                output.status,
                String::from_utf8_lossy(&journal.stdout)
            );
        }
        said.into_owned()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.to_string(), "--all", "--wdns=/"]);
        command.args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root"]);
        command.args(["DEBIAN_FRONTEND=noninteractive", "/bin/sh", "-c", line]);
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process all others of a machine end.
        self.server.kill();
        self.group.end();
    }
}

/// The one child of a process.
fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

impl Group {
    fn new() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let tree = mounts.find(|mount| mount[2] == "cgroup2").map(|mount| PathBuf::from(mount[1]));
        let tree = tree.expect("each Linux that runs systemd has control groups");
        let group = tree.join(format!("locum-tests-{}", std::process::id()));
        fs::create_dir_all(&group).unwrap_or_else(|error| panic!("{}: {error}", group.display()));
        Self(group)
    }

    /// Ends what is left in it, and takes it away.
    fn end(&self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let mut folders = vec![self.0.clone()];
        let mut at = 0;
        while at < folders.len() {
            let below = fs::read_dir(&folders[at]).into_iter().flatten().filter_map(Result::ok);
            folders.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>());
            at += 1;
        }
        for folder in folders.iter().rev() {
            // A process that was just ended may be seen in it for a moment.
            eventually("an empty group", || (fs::remove_dir(folder).is_ok() || !folder.exists()).then_some(()));
        }
    }
}
