//! SIGTERM and the service manager: who is busy is not cut off before the time is up, and the manager hears how it goes.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use locum::sandbox::Face;
use rustix::process::Signal;

use crate::support::{DEADLINE, Home, Provider, Served, Wire, trusted};

const ADDRESS: &str = "alice@gmail.test";
const APP_PASSWORD: &str = "abcdefghijklmnop";

/// What a service manager would hear.
pub(crate) struct Manager(UnixDatagram);

impl Manager {
    pub(crate) fn new(home: &Home) -> Self {
        let socket = UnixDatagram::bind(home.path("notify")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket)
    }

    /// Starts it as one would, and waits until it says that it is ready.
    pub(crate) fn serve(&self, home: &Home, environment: &[(&str, &str)]) -> Served {
        let mut command = home.command(&["serve"]);
        command.env("NOTIFY_SOCKET", home.path("notify")).envs(environment.iter().copied());
        let served = Served::start(command);
        self.hear("READY=1");
        served
    }

    /// Waits for a message with that in it; its lines.
    #[track_caller]
    pub(crate) fn hear(&self, part: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let mut message = [0; 4096];
            let count =
                self.0.recv(&mut message).unwrap_or_else(|error| panic!("never said {part}: {error} {heard:?}"));
            let text = String::from_utf8(message[..count].to_vec()).unwrap();
            if text.contains(part) {
                return text.lines().map(str::to_owned).collect();
            }
            heard.push(text);
        }
    }
}

#[test]
fn who_is_busy_has_the_whole_grace() {
    let home = Home::made();
    let provider = Provider::new(Face::Gmail, &trusted(&home));
    provider.add(ADDRESS, APP_PASSWORD);
    let upstream = provider.serve();
    let listener = |protocol: &str| {
        format!(
            "[[listener]]\nname = \"{protocol}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\n\
             plaintext-networks = \"127.0.0.0/8\"\n"
        )
    };
    home.configure(&format!(
        "[upstream.gmail]\n{upstream}\n[limits]\ndrain-timeout = \"4s\"\n{}{}",
        listener("imap"),
        listener("submission")
    ));
    home.run_with(&["account", "add", ADDRESS, "--upstream", "gmail", "--secret-stdin"], APP_PASSWORD).succeeded();
    let secret = home.run(&["client", "issue", "scan", "--account", ADDRESS]).succeeded().stdout.trim().to_owned();
    let manager = Manager::new(&home);
    let served = manager.serve(&home, &[("WATCHDOG_USEC", "200000")]);
    manager.hear("WATCHDOG=1");
    manager.hear("WATCHDOG=1");
    let log_in = || {
        let mut wire = Wire::plain(served.port("imap"));
        wire.ask(&format!("a LOGIN scan {secret}"), "a OK");
        wire
    };
    let (mut idle, mut literal) = (log_in(), log_in());
    idle.ask("b IDLE", "+ ");
    literal.ask("b APPEND INBOX {12}", "+ ");
    literal.write(b"Subject: ");
    let mut message = Wire::plain(served.port("submission"));
    message.ask("EHLO test", "250 ");
    let plain = data_encoding::BASE64.encode(format!("\0scan\0{secret}").as_bytes());
    message.ask(&format!("AUTH PLAIN {plain}"), "235");
    message.ask(&format!("MAIL FROM:<{ADDRESS}>"), "250");
    message.ask(&format!("RCPT TO:<{ADDRESS}>"), "250");
    message.ask("DATA", "354");
    message.say("Subject: hello");

    let began = Instant::now();
    served.signal(Signal::TERM);
    let stopping = manager.hear("STOPPING=1");
    assert!(stopping.contains(&"EXTEND_TIMEOUT_USEC=9000000".to_owned()), "{stopping:?}");
    idle.expect("* BYE [UNAVAILABLE]");
    assert!(idle.drain().is_empty() && began.elapsed() < Duration::from_secs(4));
    // Both were silent for longer than whoever is idle may be, and end what they began.
    literal.write(b"a\r\n");
    literal.ask("", "b OK");
    message.say("");
    message.ask(".", "250");
    drop((literal, message));
    let left = Instant::now();
    served.wait().succeeded().said("stopped");
    assert!(left.elapsed() < Duration::from_secs(4), "nobody was there any more, and it went on: {:?}", left.elapsed());
    assert_eq!(provider.sandbox.sent().len(), 1);
}

#[test]
fn a_socket_that_fits_nothing_is_said_so() {
    let home = Home::with_config(
        "[[listener]]\nname = \"imap\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n[upstream.gmail]\npreset = \"gmail\"\n",
    );
    let socket = UnixDatagram::unbound().unwrap();
    let command = home.command(&["serve"]);
    // The shell hands it what it was handed as its standard input, as the first of the sockets.
    let mut shell = std::process::Command::new("/bin/sh");
    let program = command.get_program().to_owned();
    shell.args(["-c", "exec \"$0\" serve 3<&0 </dev/null"]).arg(program).current_dir(home.folder());
    shell.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "imap").stdin(std::os::fd::OwnedFd::from(socket));
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    crate::support::finish(shell.spawn().unwrap()).ended(78).said("socket 0 that this process was handed (\"imap\")");

    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut shell_again = std::process::Command::new("/bin/sh");
    shell_again.args(["-c", "exec \"$0\" serve 3<&0 </dev/null"]).arg(command.get_program());
    shell_again.current_dir(home.folder()).env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "pop3");
    shell_again.stdin(std::os::fd::OwnedFd::from(other));
    shell_again.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    crate::support::finish(shell_again.spawn().unwrap()).ended(78).said("no listener binds there");
}
