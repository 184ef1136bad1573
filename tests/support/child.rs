//! Child processes of the tests: servers that end with the value that holds them (or with the test process, should that
//! be killed), and clients under a time limit. Nothing here ends a process by name.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How long a server may take until it accepts a connection, on a machine that is busy with other tests.
const START_TIME_MAX: Duration = Duration::from_secs(20);
/// How long a server may take to end after SIGTERM, before SIGKILL.
const STOP_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a client may run. The longest here moves 5 MiB over loopback.
const CLIENT_TIME_MAX: Duration = Duration::from_secs(30);
/// Pause between two looks at something that is awaited.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How much of a server's log is shown when its test fails.
const LOG_TAIL_LINES: usize = 60;

/// A server in the foreground, in a process group of its own.
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    watchdog: Child,
    logs: Vec<PathBuf>,
}

impl Server {
    /// Starts `command`; `logs` are shown if the test fails.
    pub(crate) fn spawn(name: &'static str, command: &mut Command, logs: Vec<PathBuf>) -> Self {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let watchdog = Self::watch(child.id());
        Self { name, child, watchdog, logs }
    }

    /// A shell that waits for the end of its input, which is the end of this process, and then ends the server's group:
    /// a test process that is killed runs no destructor.
    fn watch(group: u32) -> Child {
        Command::new("/bin/sh")
            .args(["-c", "cat >/dev/null; kill -s TERM -- -$0; sleep 1; kill -s KILL -- -$0", &group.to_string()])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a POSIX shell is part of every machine that runs these tests")
    }

    /// Waits until every port accepts connections. `false` if the server ended instead, as it does when another process
    /// took a port first.
    pub(crate) fn listens(&mut self, ports: &[u16]) -> bool {
        let deadline = Instant::now() + START_TIME_MAX;
        for port in ports {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            while TcpStream::connect(address).is_err() {
                if self.has_ended() {
                    return false;
                }
                assert!(Instant::now() < deadline, "{} does not listen on {address} in time", self.name);
                thread::sleep(POLL_INTERVAL);
            }
        }
        true
    }

    /// The process id, which is also that of the group.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// To every process of the group. Who is to stop has stopped when this returns.
    pub(crate) fn signal(&self, signal: Signal) {
        let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return };
        // The group may have ended already, which is what is wanted.
        if kill_process_group(group, signal).is_ok() && signal == Signal::STOP {
            // Threads that run on other processors go on until they come by; this waits for the last of them.
            let is_stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = waitid(WaitId::Pid(group), is_stopped);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        self.signal(Signal::TERM);
        let deadline = Instant::now() + STOP_TIME_MAX;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(POLL_INTERVAL);
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
        if thread::panicking() {
            for log in &self.logs {
                show_tail(self.name, log);
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "the test harness shows it only for a failed test")]
fn show_tail(name: &str, log: &PathBuf) {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
    eprintln!("--- {name}: {}\n{}", log.display(), tail.join("\n"));
}

/// Runs a client to its end and returns what it said. Its input is `input`; it is killed, and the test fails, after
/// [`CLIENT_TIME_MAX`].
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A client that fails may end without reading its input; its own words say more than the broken pipe.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let deadline = Instant::now() + CLIENT_TIME_MAX;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap();
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait();
            let said = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
            panic!("{name} did not end within {CLIENT_TIME_MAX:?}: {said}");
        }
        thread::sleep(POLL_INTERVAL);
    };
    writer.join().unwrap();
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// As [`run`], for a client that must succeed; returns its standard output.
pub(crate) fn run_well(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let output = run(command, input);
    assert!(
        output.status.success(),
        "{:?} failed ({}):\n{}{}",
        command.get_program(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output.stdout
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Waits for `look` to find something. Panics, saying `what` was awaited, when [`CLIENT_TIME_MAX`] is over.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + CLIENT_TIME_MAX;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {CLIENT_TIME_MAX:?} in vain for {what}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// A port of 127.0.0.1 that was free a moment ago and that no other test of this process is given. It lies below the
/// range from which the kernel serves outgoing connections, so no client takes it by chance.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 22_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run side by side start at different places.
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + ((u32::from(start) * 97 + u32::from(step)) % u32::from(COUNT)) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port of 127.0.0.1 is free");
}

#[test]
fn a_server_ends_when_the_test_process_is_gone() {
    let mut server = Server::spawn("sleep", Command::new("sleep").arg("600"), Vec::new());
    // What the kernel does to a process that is killed.
    drop(server.watchdog.stdin.take());
    eventually("the end of the server", || server.child.try_wait().unwrap());
}
