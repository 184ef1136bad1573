//! Locum itself, before the servers of a lab: set up and started through its own command line, as an operator would,
//! with nine listeners (three protocols, three ways of protecting the connection). Clients log in with the secrets that
//! `locum client issue` prints; the app passwords go in over standard input and nowhere else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use locum::model::Protocol;

use crate::child::{self, Server};
use crate::dovecot::Mailbox;
use crate::endpoint::{Endpoint, Tls};
use crate::lab::{Lab, Route};
use crate::scratch::Certificates;

/// How often other ports are tried when a stranger took one between choosing and listening.
const START_ATTEMPTS: usize = 3;

/// The front ends that it believes: other addresses of this machine than the one that clients come from.
pub(crate) const BY_PROXY: &str = "127.0.0.3";
pub(crate) const BY_XCLIENT: &str = "127.0.0.2";

/// A running Locum and the lab behind it.
pub(crate) struct Locum {
    // Before the lab, so that it stops first.
    server: Server,
    ports: BTreeMap<(Protocol, &'static str), u16>,
    /// Client secrets by the address of the account.
    secrets: BTreeMap<String, String>,
    authority: PathBuf,
    lab: Lab,
}

impl Locum {
    /// Starts Locum before `lab`, told to reach the upstream with `upstream` TLS (implicit or STARTTLS).
    pub(crate) fn start(lab: Lab, upstream: Tls) -> Self {
        let certificates = Certificates::new(&lab.scratch, "locum");
        lab.scratch.folder("locum");
        let output = lab.scratch.path("locum.out");
        for _ in 0..START_ATTEMPTS {
            let ports: BTreeMap<_, _> = Protocol::ALL
                .into_iter()
                .flat_map(|protocol| Tls::ALL.map(|tls| ((protocol, tls.word()), child::free_port())))
                .collect();
            let config = lab.scratch.write("locum/locum.toml", configuration(&lab, &certificates, upstream, &ports));
            let secrets = enrol(&config, lab.mailboxes());
            let file = fs::File::create(&output).unwrap();
            let mut command = locum();
            command.args(["serve", "--config"]).arg(&config).stdout(file.try_clone().unwrap()).stderr(file);
            let mut server = Server::spawn("Locum", &mut command, vec![output.clone()]);
            if server.listens(&ports.values().copied().collect::<Vec<_>>()) {
                return Self { server, ports, secrets, authority: certificates.authority, lab };
            }
            fs::remove_dir_all(lab.scratch.path("locum")).unwrap();
            lab.scratch.folder("locum");
        }
        panic!("Locum ended {START_ATTEMPTS} times instead of listening: {}", fs::read_to_string(output).unwrap());
    }

    /// Its configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.lab.scratch.path("locum/locum.toml")
    }

    /// What an operator types with its configuration, and what that printed.
    pub(crate) fn operator(&self, arguments: &[&str]) -> String {
        let (verb, more) = arguments.split_at(2);
        let mut command = locum();
        command.args(verb).arg("--config").arg(self.config()).args(more);
        String::from_utf8(child::run_well(&mut command, b"")).unwrap().trim().to_owned()
    }

    /// Everything that Locum printed so far, on both its outputs.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.lab.scratch.path("locum.out")).unwrap()).into_owned()
    }
}

impl Route for Locum {
    fn lab(&self) -> &Lab {
        &self.lab
    }

    fn endpoint(&self, protocol: Protocol, tls: Tls, mailbox: &Mailbox) -> Endpoint {
        let mut endpoint = mailbox.endpoint(self.ports[&(protocol, tls.word())], tls, &self.authority);
        endpoint.user = client_login(mailbox).to_owned();
        endpoint.password.clone_from(&self.secrets[&mailbox.address]);
        endpoint
    }

    /// Whatever a client did, the provider saw TLS, the account's own address and its app password, and neither of the
    /// two secrets stands in Locum's output, arguments or environment.
    fn check_logs(&self) {
        self.lab.assert_only_app_passwords();
        for login in self.lab.dovecot.logins() {
            assert!(login.tls, "Locum logged in without TLS: {login:?}");
            assert!(self.secrets.contains_key(&login.user), "Locum logged in as somebody else: {login:?}");
        }
        let mut shown = self.output();
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{}/{file}", self.server.pid())).unwrap();
            shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        for mailbox in self.lab.mailboxes() {
            assert!(!shown.contains(&mailbox.password), "Locum shows an app password");
            assert!(!shown.contains(&self.secrets[&mailbox.address]), "Locum shows a client secret");
        }
    }
}

fn locum() -> Command {
    Command::new(env!("CARGO_BIN_EXE_locum"))
}

/// The login name that a client of `mailbox` has: not the address that the provider knows.
fn client_login(mailbox: &Mailbox) -> &str {
    mailbox.address.split('@').next().unwrap()
}

/// Makes store and key, adds every mailbox as an account, and issues a client secret for each.
fn enrol(config: &Path, mailboxes: &[Mailbox]) -> BTreeMap<String, String> {
    child::run_well(locum().args(["init", "--config"]).arg(config), b"");
    let issue = |mailbox: &Mailbox| {
        let mut add = locum();
        add.args(["account", "add", "--config"]).arg(config).arg(&mailbox.address);
        child::run_well(
            add.args(["--upstream", "lab", "--secret-stdin"]),
            format!("{}\n", mailbox.password).as_bytes(),
        );
        let mut issue = locum();
        issue.args(["client", "issue", "--config"]).arg(config).arg(client_login(mailbox));
        let printed = child::run_well(issue.args(["--account", &mailbox.address]), b"");
        let secret = String::from_utf8(printed).unwrap().trim().to_owned();
        assert!(!secret.is_empty() && !secret.contains('\n'), "`client issue` prints the secret and nothing else");
        (mailbox.address.clone(), secret)
    };
    mailboxes.iter().map(issue).collect()
}

fn configuration(
    lab: &Lab,
    certificates: &Certificates,
    upstream: Tls,
    ports: &BTreeMap<(Protocol, &'static str), u16>,
) -> String {
    let any = &lab.mailboxes()[0];
    let mut text = format!(
        // What a test says is current stays so, however slow the machine is.
        "name = \"test\"\n\n[rotation]\nrollback-after = 0\n\n[store]\nkind = \"sqlite\"\npath = {:?}\nkey-file = {:?}\n\n\
         [tls]\ncertificate = {:?}\nkey = {:?}\nupstream-ca-files = [{:?}]\n\n[upstream.lab]\n",
        lab.scratch.path("locum/store.db"),
        lab.scratch.path("locum/store.key"),
        certificates.certificate,
        certificates.key,
        lab.certificates.authority,
    );
    for protocol in Protocol::ALL {
        let Endpoint { host, port, .. } = lab.endpoint(protocol, upstream, any);
        text.push_str(&format!("{protocol} = {{ host = {host:?}, port = {port}, tls = {:?} }}\n", upstream.word()));
    }
    for ((protocol, tls), port) in ports {
        text.push_str(&format!(
            "\n[[listener]]\nname = \"{protocol}-{tls}\"\nprotocol = \"{protocol}\"\nbind = [\"127.0.0.1:{port}\"]\n\
             tls = {tls:?}\nupstream = \"lab\"\nlogin-forms = [\"authzid\", \"master\", \"backslash\"]\n\
             proxy-protocol-from = \"{BY_PROXY}\"\n",
        ));
        if *protocol == Protocol::Submission {
            text.push_str(&format!("xclient-from = \"{BY_XCLIENT}\"\n"));
        }
        if *tls == Tls::Plain.word() {
            text.push_str("plaintext-networks = [\"127.0.0.0/8\"]\n");
        }
    }
    text
}
