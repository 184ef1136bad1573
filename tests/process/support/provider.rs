//! Providers in the process of the test: the look-alike one, one that quotes what it was sent, and one whose certificate
//! nobody trusts.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener as Listener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use data_encoding::BASE64;
use locum::model::{Protocol, Secret};
use locum::net::tls::{self, Pems};
use locum::sandbox::{Account, Behaviour, Face, Options, Sandbox, Start};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::Home;

/// The look-alike provider, served until it is dropped.
pub(crate) struct Provider {
    pub(crate) sandbox: Sandbox,
    face: Face,
    runtime: Runtime,
}

impl Provider {
    /// One whose certificate is what `home` trusts.
    pub(crate) fn new(face: Face, pems: &Pems) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let tls = tls::server_config_from_pems(pems).unwrap();
        let host = "mx.provider.test".to_owned();
        Self { sandbox: Sandbox::new(Options { face, host, tls, junk_delay: Duration::ZERO }), face, runtime }
    }

    pub(crate) fn add(&self, address: &str, password: &str) {
        let password = Secret::new(password);
        self.sandbox.add_account(Account { address: address.to_owned(), password, behaviour: Behaviour::Normal });
    }

    /// Serves the three protocols; the lines of the configuration that name them.
    pub(crate) fn serve(&self) -> String {
        Protocol::ALL.map(|protocol| endpoint(protocol, self.listen(protocol))).join("\n")
    }

    /// Serves its authority; the table of the configuration that names it, behind the name of the upstream.
    pub(crate) fn serve_authority(&self) -> String {
        let port = self.runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let sandbox = self.sandbox.clone();
            tokio::spawn(async move { sandbox.serve_authority(listener, CancellationToken::new()).await });
            port
        });
        let paths = match self.face {
            Face::Gmail => {
                [("token", "/token"), ("authorize", "/o/oauth2/v2/auth?access_type=offline&prompt=consent")].as_slice()
            }
            Face::ExchangeOnline | Face::ExchangeWithPasswords => &[
                ("token", "/{tenant}/oauth2/v2.0/token"),
                ("authorize", "/{tenant}/oauth2/v2.0/authorize"),
                ("device", "/{tenant}/oauth2/v2.0/devicecode"),
            ],
        };
        let keys = paths.iter().map(|(name, path)| format!("{name}-url = \"https://localhost:{port}{path}\""));
        format!("oauth2 = {{ {} }}", keys.collect::<Vec<_>>().join(", "))
    }

    fn listen(&self, protocol: Protocol) -> u16 {
        self.runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let sandbox = self.sandbox.clone();
            tokio::spawn(async move {
                sandbox.serve(protocol, Start::Implicit, listener, CancellationToken::new()).await;
            });
            port
        })
    }
}

/// A certificate for `localhost` that the configuration of `home` trusts towards upstreams.
pub(crate) fn trusted(home: &Home) -> Pems {
    let pems = tls::self_signed(&["localhost".to_owned()]).unwrap();
    home.write("upstream.crt", &pems.certificate);
    pems
}

fn endpoint(protocol: Protocol, port: u16) -> String {
    format!("{protocol} = {{ host = \"localhost\", port = {port}, tls = \"implicit\" }}")
}

/// A provider that refuses every login and quotes all that it was sent, as it came and decoded.
pub(crate) struct Quoting {
    tls: Arc<ServerConfig>,
    quoted: Arc<AtomicUsize>,
}

/// What it offers, one after the other. Each is offered twice, since it quotes in two ways.
const OFFERS: [(Protocol, &[&str]); 3] = [
    (Protocol::Imap, &["AUTH=PLAIN SASL-IR", "AUTH=PLAIN", "AUTH=LOGIN", "ID"]),
    (Protocol::Pop3, &["SASL PLAIN", "SASL LOGIN", "USER"]),
    (Protocol::Submission, &["AUTH PLAIN", "AUTH LOGIN"]),
];

impl Quoting {
    pub(crate) fn new(pems: &Pems) -> Self {
        Self { tls: tls::server_config_from_pems(pems).unwrap(), quoted: Arc::default() }
    }

    /// Logins that it takes to see all of it.
    pub(crate) fn logins(protocol: Protocol) -> usize {
        2 * offers(protocol).len()
    }

    /// How often it quoted a login.
    pub(crate) fn quoted(&self) -> usize {
        self.quoted.load(Ordering::SeqCst)
    }

    /// Serves the three protocols; the lines of the configuration that name them.
    pub(crate) fn serve(&self) -> String {
        Protocol::ALL.map(|protocol| endpoint(protocol, self.listen(protocol))).join("\n")
    }

    fn listen(&self, protocol: Protocol) -> u16 {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tls, quoted) = (Arc::clone(&self.tls), Arc::clone(&self.quoted));
        // It ends with the process: nothing holds what it serves.
        thread::spawn(move || {
            let mut logins = 0;
            for socket in listener.incoming() {
                let stream = StreamOwned::new(ServerConnection::new(Arc::clone(&tls)).unwrap(), socket.unwrap());
                let offer = offers(protocol)[logins / 2 % offers(protocol).len()];
                let mut session = Session { stream: BufReader::new(stream), lines: Vec::new(), offer };
                // Only a login counts: before clients come, Locum looks at what is offered.
                if session.converse(protocol, logins % 2 == 1).is_some() {
                    logins += 1;
                    quoted.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        port
    }
}

fn offers(protocol: Protocol) -> &'static [&'static str] {
    OFFERS.iter().find(|(it, _)| *it == protocol).unwrap().1
}

struct Session {
    stream: BufReader<StreamOwned<ServerConnection, TcpStream>>,
    /// What came.
    lines: Vec<String>,
    offer: &'static str,
}

impl Session {
    /// `Some` once a login was refused, `None` if the other side left.
    fn converse(&mut self, protocol: Protocol, decoded: bool) -> Option<()> {
        match protocol {
            Protocol::Imap => self.imap(decoded),
            Protocol::Pop3 => self.pop3(decoded),
            Protocol::Submission => self.submission(decoded),
        }
    }

    fn imap(&mut self, decoded: bool) -> Option<()> {
        self.say("* OK hello")?;
        loop {
            let line = self.line()?;
            let (tag, command) = line.split_once(' ')?;
            let tag = tag.to_owned();
            match command.split(' ').collect::<Vec<_>>()[..] {
                ["CAPABILITY"] => self.say(&format!("* CAPABILITY IMAP4rev1 {}\r\n{tag} OK done", self.offer))?,
                ["AUTHENTICATE", "LOGIN"] => {
                    self.exchange("+ ", 2)?;
                    return self.refuse(&format!("{tag} NO"), decoded);
                }
                ["AUTHENTICATE", "PLAIN"] => {
                    self.exchange("+ ", 1)?;
                    return self.refuse(&format!("{tag} NO"), decoded);
                }
                ["AUTHENTICATE" | "LOGIN", ..] => return self.refuse(&format!("{tag} NO"), decoded),
                _ => self.say(&format!("{tag} OK done"))?,
            }
        }
    }

    fn pop3(&mut self, decoded: bool) -> Option<()> {
        self.say("+OK hello")?;
        loop {
            let line = self.line()?;
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["CAPA"] => self.say(&format!("+OK\r\n{}\r\n.", self.offer))?,
                ["AUTH", "LOGIN"] => {
                    self.exchange("+ ", 2)?;
                    return self.refuse("-ERR", decoded);
                }
                ["AUTH", "PLAIN"] => {
                    self.exchange("+ ", 1)?;
                    return self.refuse("-ERR", decoded);
                }
                ["AUTH" | "PASS", ..] => return self.refuse("-ERR", decoded),
                _ => self.say("+OK")?,
            }
        }
    }

    fn submission(&mut self, decoded: bool) -> Option<()> {
        self.say("220 hello")?;
        loop {
            let line = self.line()?;
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["EHLO", _] => self.say(&format!("250-hello\r\n250 {}", self.offer))?,
                ["AUTH", "LOGIN"] => {
                    self.exchange("334 ", 2)?;
                    return self.refuse("454", decoded);
                }
                ["AUTH", "PLAIN"] => {
                    self.exchange("334 ", 1)?;
                    return self.refuse("454", decoded);
                }
                ["AUTH", ..] => return self.refuse("454", decoded),
                _ => self.say("250 yes")?,
            }
        }
    }

    fn exchange(&mut self, prompt: &str, steps: usize) -> Option<()> {
        for _ in 0..steps {
            self.say(prompt)?;
            self.line()?;
        }
        Some(())
    }

    /// Temporarily, or the credential would not be tried again.
    fn refuse(&mut self, code: &str, decoded: bool) -> Option<()> {
        let words = self.lines.iter().flat_map(|line| line.split(' '));
        let said: Vec<String> = match decoded {
            false => self.lines.clone(),
            true => words.filter_map(|word| BASE64.decode(word.as_bytes()).ok()).map(clear).collect(),
        };
        self.say(&format!("{code} temporarily unavailable: what is \"{}\"?", said.join("\" and \"")))
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok().filter(|&count| count > 0)?;
        self.lines.push(line.trim_end().to_owned());
        self.lines.last().cloned()
    }

    fn say(&mut self, line: &str) -> Option<()> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).ok()
    }
}

fn clear(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}
