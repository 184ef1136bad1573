//! The program: run to its end, or served in the background until it is stopped.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use locum::net::tls;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::DEADLINE;

/// A folder to run the program in, removed at the end.
pub(crate) struct Home(TempDir);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder after `locum init`, with ports that are free.
    pub(crate) fn made() -> Self {
        let home = Self::empty();
        home.run(&["init"]).succeeded();
        let mut config = home.read("locum.toml");
        for port in [1993, 1995, 1587] {
            config = config.replace(&format!("[\"127.0.0.1:{port}\", \"[::1]:{port}\"]"), "\"127.0.0.1:0\"");
        }
        home.write("locum.toml", config);
        home
    }

    /// A folder with key, store and certificate, and with this configuration behind what names them.
    pub(crate) fn with_config(config: &str) -> Self {
        let home = Self::made();
        home.configure(config);
        home
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, config: &str) {
        self.write("locum.toml", format!("{HEAD}{config}"));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file that its owner alone can read.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(self.path(name)).unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    /// A command that waits to be started, with nothing of the test's own environment that concerns Locum.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_locum"));
        command.args(arguments).current_dir(self.folder()).env_remove("LOCUM_CONFIG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        finish(self.command(arguments).spawn().unwrap())
    }

    /// Runs with these bytes on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> Run {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // One that does not want it has ended before it was written.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_ref());
        finish(child)
    }

    /// What clients trust.
    pub(crate) fn trust(&self) -> Arc<rustls::ClientConfig> {
        let options = locum::net::TlsOptions { upstream_ca_files: vec![self.path("tls.crt")], ..Default::default() };
        tls::client_config(&options).unwrap()
    }

    /// Starts `locum serve` and waits until it is ready.
    pub(crate) fn serve(&self) -> Served {
        let served = Served::start(self.command(&["serve"]));
        served.wait_for_log("ready");
        served
    }
}

const HEAD: &str = r#"
name = "localhost"
[store]
key-file = "locum.key"
[tls]
certificate = "tls.crt"
key = "tls.key"
upstream-ca-files = ["upstream.crt"]
"#;

impl Run {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        self.ended(0)
    }

    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// Everything that was said on standard error.
    #[track_caller]
    pub(crate) fn said(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "not said: {text}\n{self:#?}");
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Waits for the end of a run.
pub(crate) fn finish(mut child: Child) -> Run {
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = wait(&mut child);
    Run { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut text).unwrap();
        }
        String::from_utf8(text).unwrap()
    })
}

/// Its end, or a panic when it does not come; the process is ended then.
fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("process {} did not end", child.id());
        }
        thread::sleep(Duration::from_millis(2)); // between two looks
    }
}

/// `locum serve`, ended when it is dropped.
pub(crate) struct Served {
    child: Child,
    log: Arc<Log>,
    stderr: Option<JoinHandle<()>>,
    stdout: Option<JoinHandle<String>>,
}

#[derive(Default)]
struct Log {
    text: Mutex<Text>,
    grown: Condvar,
}

#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    ended: bool,
}

impl Served {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (log, mut pipe) = (Arc::new(Log::default()), child.stderr.take().unwrap());
        let writer = Arc::clone(&log);
        let stderr = thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let count = pipe.read(&mut buffer).unwrap();
                let Ok(mut text) = writer.text.lock() else { return }; // the test has failed
                text.bytes.extend_from_slice(&buffer[..count]);
                text.ended = count == 0;
                writer.grown.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        let stdout = collect(child.stdout.take());
        Self { child, log, stderr: Some(stderr), stdout: Some(stdout) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that was logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8(self.log.text.lock().unwrap().bytes.clone()).unwrap()
    }

    /// Waits until a line says this, at its end or as the message of an object.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, message: &str) {
        let says = |line: &str| line.ends_with(message) || line.contains(&format!("\"message\":\"{message}\""));
        self.wait_until(message, |said| said.lines().any(says).then_some(()));
    }

    /// Waits until so many lines have this in them; the last of them.
    #[track_caller]
    pub(crate) fn wait_for_lines(&self, count: usize, part: &str) -> String {
        let find = |said: &str| said.lines().filter(|line| line.contains(part)).nth(count - 1).map(str::to_owned);
        self.wait_until(&format!("{count} times: {part}"), find)
    }

    /// Waits for a line that begins so; the rest of it.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, beginning: &str) -> String {
        self.wait_until(&format!("{beginning} ..."), |said| {
            let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
            whole.lines().find_map(|line| line.strip_prefix(beginning)).map(str::to_owned)
        })
    }

    /// The port of a listener that is bound to any, as the log tells it.
    #[track_caller]
    pub(crate) fn port(&self, listener: &str) -> u16 {
        let named = [format!("listener=\"{listener}\""), format!("\"listener\":\"{listener}\"")];
        let is_its = |line: &&str| line.contains("listening") && named.iter().any(|name| line.contains(name));
        self.wait_until(&format!("where {listener} listens"), |said| {
            let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let (_, port) = whole.lines().find(is_its)?.split_once("127.0.0.1:")?;
            Some(port.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap())
        })
    }

    /// Waits until that is found in what was logged so far.
    #[track_caller]
    fn wait_until<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let mut text = self.log.text.lock().unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let said = String::from_utf8_lossy(&text.bytes);
            if let Some(found) = find(&said) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!text.ended && !left.is_zero(), "not in the log: {what}\n{said}");
            drop(said);
            text = self.log.grown.wait_timeout(text, left).unwrap().0;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end; standard error is the log.
    pub(crate) fn wait(mut self) -> Run {
        let status = wait(&mut self.child);
        self.stderr.take().unwrap().join().unwrap();
        Run { code: status.code(), stdout: self.stdout.take().unwrap().join().unwrap(), stderr: self.log() }
    }

    /// Asks it to end, and waits for it.
    pub(crate) fn stop(self) -> Run {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}
