//! Strangers take all the places and all the files that the process may open: those that are logged in notice nothing,
//! others get in again, and nothing stays behind.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use locum::sandbox::Face;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use socket2::{Domain, Socket, Type};

use crate::support::{DEADLINE, Home, Provider, Served, Wire, trusted};

const ADDRESS: &str = "alice@contoso.test";
const APP_PASSWORD: &str = "abcdefghijklmnop";

const SESSIONS_MAX: usize = 40;

/// What so many sessions need, and no more.
const FILES_MAX: usize = SESSIONS_MAX * 2 + 256;

struct Stage {
    home: Home,
    _provider: Provider,
    secret: String,
}

impl Stage {
    fn new() -> Self {
        let home = Home::made();
        let provider = Provider::new(Face::ExchangeWithPasswords, &trusted(&home));
        provider.add(ADDRESS, APP_PASSWORD);
        let upstream = provider.serve();
        home.configure(&format!(
            "[limits]\nsessions-max = {SESSIONS_MAX}\n[admin]\nsocket = \"admin.sock\"\n[telemetry]\nlog = \"info\"\n\
             [upstream.exchange]\n{upstream}\n\
             [[listener]]\nname = \"imap\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n\
             tls = \"starttls\"\nplaintext-networks = \"127.0.0.0/8\"\n"
        ));
        let add = ["account", "add", ADDRESS, "--upstream", "exchange", "--secret-stdin"];
        home.run_with(&add, APP_PASSWORD).succeeded();
        let secret = home.run(&["client", "issue", "scan", "--account", ADDRESS]).succeeded().stdout.trim().to_owned();
        Self { home, _provider: provider, secret }
    }

    /// The program, which may open so many files.
    fn serve(&self) -> Served {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {FILES_MAX}; exec \"$0\" serve");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_locum")]);
        command.current_dir(self.home.folder()).env_remove("LOCUM_CONFIG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let served = Served::start(command);
        served.wait_for_log("ready");
        served
    }

    /// Logs in, where it is let in.
    fn try_to_log_in(&self, port: u16) -> Option<Wire> {
        let mut wire = Wire::plain(port);
        if !wire.line().starts_with("* OK") {
            return None;
        }
        wire.try_write(format!("a LOGIN scan {}\r\n", self.secret).as_bytes()).ok()?;
        wire.line().starts_with("a OK").then_some(wire)
    }

    /// The same, as often as it takes.
    fn log_in(&self, port: u16) -> Wire {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(wire) = self.try_to_log_in(port) {
                return wire;
            }
            assert!(Instant::now() < deadline, "nobody gets in");
            thread::sleep(Duration::from_millis(20)); // between two looks
        }
    }

    /// A value of `/metrics`, all its labels together.
    fn metric(&self, name: &str) -> f64 {
        let mut socket = UnixStream::connect(self.home.path("admin.sock")).unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let lines = answer.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

/// A connection from that address of this machine.
fn knock(source: u8, port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source = SocketAddr::from((IpAddr::from(Ipv4Addr::new(127, 0, 9, source)), 0));
    socket.bind(&source.into()).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    socket.into()
}

#[track_caller]
fn is_there(wire: &mut Wire) {
    wire.ask("n NOOP", "n OK");
}

#[test]
fn a_flood_that_has_all_places_and_no_file_too_many() {
    let stage = Stage::new();
    let served = stage.serve();
    let port = served.port("imap");
    let mut alice = stage.log_in(port);
    let before = stage.metric("process_open_fds");

    // Ten times as many as there are places, from a hundred addresses, and they all stay.
    let mut flood = Vec::new();
    for number in 0..SESSIONS_MAX * 10 {
        flood.push(knock((number % 100) as u8, port));
        if number % 50 == 0 {
            is_there(&mut alice);
        }
    }
    let shed = || stage.metric("locum_connections_shed_total{");
    let deadline = Instant::now() + DEADLINE;
    while shed() < (SESSIONS_MAX * 5) as f64 {
        assert!(Instant::now() < deadline, "{} were turned away", shed());
        thread::sleep(Duration::from_millis(20)); // between two looks
    }
    // Beyond the places there are those that are told to leave, 64 at the most, and one or the other on its way out.
    let most = (SESSIONS_MAX + 64 + 8) as f64;
    let (sessions, files) = (stage.metric("locum_sessions{"), stage.metric("process_open_fds"));
    assert!(sessions <= most && files <= before + most, "{sessions} sessions, {files} files, {before} before");

    // In the middle of it, somebody logs in.
    let mut bob = stage.log_in(port);
    is_there(&mut alice);
    is_there(&mut bob);

    drop((flood, bob));
    let deadline = Instant::now() + DEADLINE;
    while stage.metric("process_open_fds") > before + 2.0 {
        assert!(Instant::now() < deadline, "{} files stay open", stage.metric("process_open_fds") - before);
        thread::sleep(Duration::from_millis(20)); // between two looks
    }
    assert!(stage.try_to_log_in(port).is_some(), "at once, now");
    is_there(&mut alice);
    drop(alice);
    let log = served.stop().succeeded().stderr;
    assert!(!log.contains("ERROR"), "a stranger's doing is not logged\n{log}");
}

#[test]
fn no_file_can_be_opened_any_more() {
    const NONE: u64 = 8; // so many have been open from the start
    let stage = Stage::new();
    let served = stage.serve();
    let port = served.port("imap");
    let mut alice = stage.log_in(port);
    let pid = Pid::from_raw(i32::try_from(served.pid()).unwrap());
    let all = Rlimit { current: Some(FILES_MAX as u64), maximum: Some(FILES_MAX as u64) };
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(NONE), ..all }).unwrap();

    let began = Instant::now();
    let waiting: Vec<_> = (0..20).map(|source| knock(source, port)).collect();
    served.wait_for_lines(1, "cannot accept: raise the limit of open files");
    for _ in 0..100 {
        is_there(&mut alice);
    }
    prlimit(pid, Resource::Nofile, all).unwrap();
    // Those that waited in the kernel's queue are served.
    let mut greeting = [0; 4];
    for mut socket in waiting {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"* OK");
    }
    is_there(&mut stage.log_in(port));
    let looks = began.elapsed().as_millis() as f64 / 250.0;
    let tries = stage.metric("locum_accept_exhausted_total");
    assert!(tries >= 1.0 && tries <= looks + 2.0, "it rests in between: {tries} tries");
    is_there(&mut alice);
    drop(alice);
    let log = served.stop().succeeded().stderr;
    assert_eq!(log.matches("cannot accept").count(), 1, "once is enough");
}
