//! A real Postfix for one test: submission with STARTTLS, with implicit TLS, and a plain one for trying clients; it asks
//! Dovecot whether a password is right and delivers to it. It knows no DNS and no way out of this machine, and it never
//! touches the system's own Postfix, its configuration or its queue.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use crate::child::{self, Server};
use crate::dovecot::{Dovecot, Mailbox};
use crate::endpoint::{Endpoint, Tls};
use crate::programs;
use crate::scratch::{Certificates, Scratch, let_settle};

/// How often other ports are tried when a stranger took one between choosing and listening.
const START_ATTEMPTS: usize = 3;
/// Larger than any message of the tests.
const MESSAGE_SIZE_MAX: usize = 128 << 20;
/// Folders of the queue that only the user `postfix` opens.
const QUEUE_FOLDERS: [&str; 11] =
    ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"];

/// A running Postfix.
pub(crate) struct Postfix {
    server: Server,
    ports: Ports,
    log: PathBuf,
    authority: PathBuf,
}

#[derive(Clone, Copy)]
struct Ports {
    submission: u16,
    submissions: u16,
    plain: u16,
}

impl Postfix {
    /// Starts it in `scratch`, delivering to `mailboxes` of `dovecot`, and waits until it listens.
    pub(crate) fn start(
        scratch: &Scratch,
        certificates: &Certificates,
        dovecot: &Dovecot,
        mailboxes: &[Mailbox],
    ) -> Self {
        programs::require_root("Postfix");
        let program = programs::find("master");
        let config = scratch.folder("postfix");
        make_queue(scratch);
        let recipients: String = mailboxes.iter().map(|mailbox| format!("{} here\n", mailbox.address)).collect();
        let_settle(&scratch.write("postfix/recipients", recipients));
        let_settle(&scratch.write("postfix/main.cf", main_configuration(scratch, certificates, dovecot)));
        let log = scratch.path("postfix.log");
        for _ in 0..START_ATTEMPTS {
            let port = child::free_port;
            let ports = Ports { submission: port(), submissions: port(), plain: port() };
            let_settle(&scratch.write("postfix/master.cf", service_configuration(ports)));
            let output = fs::File::create(scratch.path("postfix.out")).unwrap();
            let mut command = Command::new(&program);
            // `postfix start-fg` would run its daemon in a process group that this process does not know.
            command.arg("-c").arg(&config).arg("-d");
            command.stdout(output.try_clone().unwrap()).stderr(output);
            let mut server = Server::spawn("Postfix", &mut command, vec![scratch.path("postfix.out"), log.clone()]);
            if server.listens(&[ports.submission, ports.submissions, ports.plain]) {
                return Self { server, ports, log, authority: certificates.authority.clone() };
            }
        }
        let said = [fs::read_to_string(scratch.path("postfix.out")), fs::read_to_string(log)];
        panic!("Postfix ended {START_ATTEMPTS} times instead of listening: {said:?}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    pub(crate) fn submission(&self, tls: Tls, mailbox: &Mailbox) -> Endpoint {
        let port = match tls {
            Tls::Implicit => self.ports.submissions,
            Tls::Starttls => self.ports.submission,
            Tls::Plain => self.ports.plain,
        };
        mailbox.endpoint(port, tls, &self.authority)
    }

    /// Everything that Postfix has logged so far.
    pub(crate) fn log(&self) -> String {
        // postlogd makes the file when it first has something to write.
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The mechanism and the login name of each message that was accepted.
    pub(crate) fn senders(&self) -> Vec<(String, String)> {
        self.log()
            .lines()
            .filter_map(|line| {
                let (mechanism, user) = line.split_once("sasl_method=")?.1.split_once(", sasl_username=")?;
                Some((mechanism.to_owned(), user.split(',').next()?.to_owned()))
            })
            .collect()
    }
}

/// Makes queue and data folders with the owners that `postfix check` would give them.
fn make_queue(scratch: &Scratch) {
    let (postfix, _) = programs::system_account("postfix");
    let postdrop = programs::system_group("postdrop");
    let make = |name: &str, owner: u32, group: Option<u32>, mode: u32| {
        let path = scratch.folder(name);
        chown(&path, Some(owner), group).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    make("data", postfix, None, 0o700);
    make("queue", 0, None, 0o755);
    make("queue/pid", 0, None, 0o755);
    make("queue/public", postfix, Some(postdrop), 0o710);
    make("queue/maildrop", postfix, Some(postdrop), 0o730);
    for folder in QUEUE_FOLDERS {
        make(&format!("queue/{folder}"), postfix, None, 0o700);
    }
}

fn main_configuration(scratch: &Scratch, certificates: &Certificates, dovecot: &Dovecot) -> String {
    let at = |name: &str| scratch.path(name).display().to_string();
    format!(
        "compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {log}
maillog_file_prefixes = {folder}

myhostname = mail.example.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
local_header_rewrite_clients =

# Nothing leaves this machine, and no name is looked up.
default_transport = error:no mail leaves this test
relay_transport = error:no mail leaves this test
smtp_dns_support_level = disabled
smtpd_peername_lookup = no

virtual_mailbox_domains = example.test
virtual_mailbox_maps = texthash:{recipients}
virtual_transport = lmtp:unix:{lmtp}
message_size_limit = {MESSAGE_SIZE_MAX}
mailbox_size_limit = 0
virtual_mailbox_limit = 0

smtpd_tls_chain_files = {key}, {certificate}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = reject_unlisted_recipient, permit_sasl_authenticated, reject
# A wrong password is answered at once.
smtpd_error_sleep_time = 0
",
        queue = at("queue"),
        data = at("data"),
        log = at("postfix.log"),
        folder = at(""),
        recipients = at("postfix/recipients"),
        lmtp = dovecot.lmtp_socket.display(),
        sasl = dovecot.sasl_socket.display(),
        key = certificates.key.display(),
        certificate = certificates.certificate.display(),
    )
}

fn service_configuration(ports: Ports) -> String {
    let Ports { submission, submissions, plain } = ports;
    format!(
        "127.0.0.1:{submission} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt
127.0.0.1:{submissions} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:{plain} inet n - n - - smtpd -o smtpd_tls_security_level=none
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"
    )
}
