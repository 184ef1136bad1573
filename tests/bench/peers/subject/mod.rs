//! Who is measured: Locum, with each of its stores; its peers; and the floor. Each is started anew for each measurement, so
//! that none profits or suffers from what was done before.

mod dovecot;
mod locum;
mod nginx;

use std::path::Path;
use std::sync::Arc;

use crate::cores;
use crate::floor::{self, Shape};
use crate::load::clients::{Caller, Doors, HONEST, trusting};
use crate::load::{Field, Key};
use crate::openbao::Cluster;
use crate::openbao::child::Server;
use crate::program::Served;
use crate::role::Role;
use crate::stage::{APP_PASSWORD, Stage, address};
use crate::tree::Tree;
use crate::upstream::{CLIENT_PASSWORD, Upstream};
use ::locum::net::tls::{self, Pems};
use rustls::ClientConfig;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Mailboxes that there are, each with a client.
pub(crate) const MAILBOXES: usize = 1_000;

/// Clients whose secret was chosen, one for each ten.
pub(crate) const CHOSEN: usize = MAILBOXES / 10;

/// Places for clients, in whatever the subject counts them by.
const PLACES: usize = 9_800;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// With its records in a file.
    Locum,
    /// With its records in an OpenBao, remembered.
    LocumOpenBao,
    Nginx,
    Dovecot,
    /// A bare relay.
    Floor,
    /// The same, that takes up earlier handshakes at the upstream.
    FloorResumed,
    /// That one on a runtime whose threads, one for each core, share all work; and on as many runtimes of a thread, each with a socket
    /// of its own at the same port.
    FloorShared,
    FloorApart,
    /// Nobody: clients talk to the upstream themselves.
    Direct,
}

impl Subject {
    /// Those that are measured where nobody is named.
    pub(crate) const USUAL: [Self; 6] =
        [Self::Locum, Self::LocumOpenBao, Self::Nginx, Self::Dovecot, Self::Floor, Self::FloorResumed];

    pub(crate) const ALL: [Self; 8] = [
        Self::Locum,
        Self::LocumOpenBao,
        Self::Nginx,
        Self::Dovecot,
        Self::Floor,
        Self::FloorResumed,
        Self::FloorShared,
        Self::FloorApart,
    ];

    /// What it is called at the head of a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Locum => "Locum",
            Self::LocumOpenBao => "Locum, OpenBao",
            Self::Nginx => "nginx (half TLS)",
            Self::Dovecot => "Dovecot",
            Self::Floor => "floor",
            Self::FloorResumed => "floor, resumed",
            Self::FloorShared => "floor, resumed, threads that share",
            Self::FloorApart => "floor, resumed, a reactor for each core",
            Self::Direct => "direct",
        }
    }

    /// What it is called behind `--subjects`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Locum => "locum",
            Self::LocumOpenBao => "locum-openbao",
            Self::Nginx => "nginx",
            Self::Dovecot => "dovecot",
            Self::Floor => "floor",
            Self::FloorResumed => "floor-resumed",
            Self::FloorShared => "floor-shared",
            Self::FloorApart => "floor-apart",
            Self::Direct => "direct",
        }
    }

    /// Why it cannot be measured on this machine.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::Nginx => nginx::missing(),
            Self::Dovecot => dovecot::missing(),
            Self::LocumOpenBao => crate::openbao::missing(),
            _ => None,
        }
    }

    /// Whether it knows what is said, and not only who listens where: it has a STARTTLS of its own.
    pub(crate) fn speaks_mail(self) -> bool {
        matches!(self, Self::Locum | Self::LocumOpenBao | Self::Nginx | Self::Dovecot)
    }

    /// Whether it is what all this is about.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Locum | Self::LocumOpenBao)
    }
}

/// Everything that stands still while subjects come and go.
pub(crate) struct Ground {
    pub(crate) upstream: Upstream,
    locum: Option<Field>,
    /// The same among very many records.
    crowded: Option<Field>,
    openbao: Option<(Field, Cluster)>,
    /// What all but Locum show to clients, and keep their files beside.
    pems: Pems,
    folder: TempDir,
    /// Logins of those that know no secrets of their own, and of those that know none at all.
    peers: Arc<[Key]>,
    bare: Arc<[Key]>,
}

impl Ground {
    /// Makes ready what these need.
    pub(crate) fn prepare(runtime: &Runtime, subjects: &[Subject], records: Option<usize>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::start(folder.path());
        let wants = |subject| subjects.contains(&subject);
        let locum = wants(Subject::Locum).then(|| {
            let field = Field::on(Stage::on_sqlite(), runtime, MAILBOXES, CHOSEN);
            locum::configure(&field, &upstream);
            field
        });
        let crowded = records.filter(|_| wants(Subject::Locum)).map(|records| {
            let field = Field::on(Stage::on_sqlite(), runtime, MAILBOXES, 0);
            locum::configure(&field, &upstream);
            locum::fill(&field, records);
            field
        });
        let openbao = wants(Subject::LocumOpenBao).then(|| {
            let cluster = runtime.block_on(Cluster::start(1));
            let field = Field::on(Stage::on_vault(runtime, &cluster.on(0), ""), runtime, MAILBOXES, 0);
            locum::configure(&field, &upstream);
            (field, cluster)
        });
        let pems = tls::self_signed(&["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("tls.crt"), &pems.certificate).unwrap();
        std::fs::write(folder.path().join("tls.key"), pems.key.as_bytes()).unwrap();
        let keys = |secret: &str| {
            (0..MAILBOXES).map(|number| Key { login: address(number), secret: secret.to_owned() }).collect()
        };
        Self { upstream, locum, crowded, openbao, pems, folder, peers: keys(CLIENT_PASSWORD), bare: keys(APP_PASSWORD) }
    }

    /// Starts one.
    pub(crate) fn start(&self, subject: Subject) -> Running {
        match subject {
            Subject::Locum => locum::start(self.locum.as_ref().expect("it was asked for"), subject),
            Subject::LocumOpenBao => locum::start(&self.openbao.as_ref().expect("it was asked for").0, subject),
            Subject::Nginx => self.beside(subject, nginx::start(self.folder(), self.upstream.ports)),
            Subject::Dovecot => self.beside(subject, dovecot::start(self.folder(), self.upstream.ports, &self.peers)),
            Subject::Floor | Subject::FloorResumed | Subject::FloorShared | Subject::FloorApart => {
                let ports = self.upstream.ports;
                let targets = vec![ports.imaps, ports.pop3s, ports.submissions];
                let shape = match subject {
                    Subject::FloorShared => Shape::Shared,
                    Subject::FloorApart => Shape::Apart,
                    _ => Shape::Alone,
                };
                let manner = (subject != Subject::Floor, shape);
                let (role, ports) = floor::start(&self.pems, self.upstream.trust.clone(), manner, targets);
                let doors = Doors { imaps: ports[0], pop3s: ports[1], submissions: ports[2], ..nowhere() };
                self.beside(subject, (Process::Role(role), doors))
            }
            Subject::Direct => {
                let ports = self.upstream.ports;
                let doors =
                    Doors { imaps: ports.imaps, pop3s: ports.pop3s, submissions: ports.submissions, ..nowhere() };
                let trust = trusting(&self.upstream.trust);
                Running { subject, process: Process::Nobody, doors, trust, keys: Arc::clone(&self.bare) }
            }
        }
    }

    /// The clients of Locum whose secret somebody chose.
    pub(crate) fn chosen(&self) -> Vec<Key> {
        self.locum.as_ref().map(|field| field.chosen.clone()).unwrap_or_default()
    }

    /// Locum among very many records.
    pub(crate) fn start_crowded(&self) -> Running {
        locum::start(self.crowded.as_ref().expect("it was asked for"), Subject::Locum)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn beside(&self, subject: Subject, (process, doors): (Process, Doors)) -> Running {
        let trust = trusting(&self.folder().join("tls.crt"));
        let keys = if subject.speaks_mail() { &self.peers } else { &self.bare };
        Running { subject, process, doors, trust, keys: Arc::clone(keys) }
    }
}

/// What holds the process.
pub(crate) enum Process {
    Served(Served),
    Server(Server),
    Role(Role),
    Nobody,
}

/// One that is there until it is dropped.
pub(crate) struct Running {
    pub(crate) subject: Subject,
    process: Process,
    pub(crate) doors: Doors,
    pub(crate) trust: Arc<ClientConfig>,
    /// Who may log in.
    pub(crate) keys: Arc<[Key]>,
}

impl Running {
    /// What it costs, if it is anybody.
    pub(crate) fn tree(&self) -> Option<Tree> {
        match &self.process {
            Process::Served(served) => Some(Tree(served.pid())),
            Process::Server(server) => Some(Tree(server.pid())),
            Process::Role(role) => Some(Tree(role.pid())),
            Process::Nobody => None,
        }
    }

    /// Clients that shake hands anew each time.
    pub(crate) fn caller(&self) -> Caller {
        Caller { doors: self.doors, trust: Arc::clone(&self.trust), source: HONEST }
    }
}

/// No doors: a bench that asks for one of them is wrong.
fn nowhere() -> Doors {
    Doors { imaps: 0, imap: 0, pop3s: 0, pop3: 0, submission: 0, submissions: 0 }
}

/// A command of one who is measured.
fn command(program: impl AsRef<std::ffi::OsStr>) -> std::process::Command {
    cores::command(cores::Side::Subject, program)
}
