//! A real Dovecot for one test: IMAP and POP3 with and without implicit TLS, LMTP and SASL for Postfix, mail in Maildir
//! files that tests write and read themselves. It stands for the provider: it accepts one app password per mailbox, the
//! tokens of one issuer where it is told of one, and nothing else. It never touches the system's own Dovecot, its configuration or its mail.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::child::{self, Server};
use crate::endpoint::{Endpoint, Tls};
use crate::issuer::Issuer;
use crate::programs;
use crate::scratch::{Certificates, Scratch};

/// Owner of the mail. It needs no entry in `/etc/passwd`; it only must not be a user who matters.
const MAIL_UID: u32 = 5000;
/// How often other ports are tried when a stranger took one between choosing and listening.
const START_ATTEMPTS: usize = 3;

/// A running Dovecot.
pub(crate) struct Dovecot {
    server: Server,
    ports: Ports,
    log: PathBuf,
    authority: PathBuf,
    /// Where Postfix delivers.
    pub(crate) lmtp_socket: PathBuf,
    /// Where Postfix asks whether a password is right.
    pub(crate) sasl_socket: PathBuf,
}

#[derive(Clone, Copy)]
struct Ports {
    imap: u16,
    imaps: u16,
    pop3: u16,
    pop3s: u16,
}

impl Dovecot {
    /// Starts it in `scratch` with these mailboxes and waits until it listens.
    pub(crate) fn start(
        scratch: &Scratch,
        certificates: &Certificates,
        mailboxes: &[Mailbox],
        issuer: Option<&Issuer>,
    ) -> Self {
        programs::require_root("Dovecot");
        let program = programs::find("dovecot");
        require_version(&program);
        write_passwords(scratch, mailboxes);
        for folder in ["run", "state"] {
            scratch.folder(folder);
        }
        let tokens = issuer.map(|issuer| tokens_configuration(scratch, issuer)).unwrap_or_default();
        let log = scratch.path("dovecot.log");
        for _ in 0..START_ATTEMPTS {
            let port = child::free_port;
            let ports = Ports { imap: port(), imaps: port(), pop3: port(), pop3s: port() };
            let config = scratch.write("dovecot.conf", configuration(scratch, certificates, ports, &tokens));
            let output = fs::File::create(scratch.path("dovecot.out")).unwrap();
            let mut command = Command::new(&program);
            command.arg("-F").arg("-c").arg(config);
            command.stdout(output.try_clone().unwrap()).stderr(output);
            let mut server = Server::spawn("Dovecot", &mut command, vec![scratch.path("dovecot.out"), log.clone()]);
            if server.listens(&[ports.imap, ports.imaps, ports.pop3, ports.pop3s]) {
                return Self {
                    server,
                    ports,
                    log,
                    authority: certificates.authority.clone(),
                    lmtp_socket: scratch.path("lmtp"),
                    sasl_socket: scratch.path("sasl"),
                };
            }
        }
        let said = [fs::read_to_string(scratch.path("dovecot.out")), fs::read_to_string(log)];
        panic!("Dovecot ended {START_ATTEMPTS} times instead of listening: {said:?}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    pub(crate) fn imap(&self, tls: Tls, mailbox: &Mailbox) -> Endpoint {
        self.endpoint(if tls == Tls::Implicit { self.ports.imaps } else { self.ports.imap }, tls, mailbox)
    }

    pub(crate) fn pop3(&self, tls: Tls, mailbox: &Mailbox) -> Endpoint {
        self.endpoint(if tls == Tls::Implicit { self.ports.pop3s } else { self.ports.pop3 }, tls, mailbox)
    }

    fn endpoint(&self, port: u16, tls: Tls, mailbox: &Mailbox) -> Endpoint {
        mailbox.endpoint(port, tls, &self.authority)
    }

    /// Everything that Dovecot has logged so far, for searches that [`Dovecot::logins`] does not cover.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// The sessions that logged in over IMAP and POP3, in order.
    pub(crate) fn logins(&self) -> Vec<Login> {
        self.log().lines().filter_map(Login::parse).collect()
    }

    /// How the authentication service answered, Postfix's questions included.
    pub(crate) fn answers(&self) -> Answers {
        let log = self.log();
        let count = |answer: &str| log.lines().filter(|line| line.contains(answer)).count();
        Answers { accepted: count("client passdb out: OK\t"), refused: count("client passdb out: FAIL\t") }
    }

    /// Waits until the log shows `count` accepted passwords, and returns the answers then. Log lines travel through
    /// another process, so the last ones come a little after the client saw its answer; they come in order, so a refusal
    /// before the last acceptance is always counted.
    pub(crate) fn answers_after(&self, count: usize) -> Answers {
        child::eventually(&format!("{count} accepted passwords in Dovecot's log"), || {
            let answers = self.answers();
            (answers.accepted >= count).then_some(answers)
        })
    }
}

/// The passwords of all mailboxes, as they are from now on: the file is there at any time, and Dovecot looks at its size and
/// time when somebody logs in, once a second at most. It tells no two apart that are as long as each other and of one second.
pub(crate) fn write_passwords(scratch: &Scratch, mailboxes: &[Mailbox]) {
    let passwords: String =
        mailboxes.iter().map(|one| format!("{}:{{PLAIN}}{}\n", one.address, one.password)).collect();
    let draft = scratch.write_secret("passwords.new", passwords);
    // Dovecot's auth process reads it, as its own unprivileged user.
    let (auth_uid, _) = programs::system_account("dovecot");
    chown(&draft, Some(auth_uid), None).unwrap();
    fs::rename(draft, scratch.path("passwords")).unwrap();
}

/// How often a password was right and wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
}

/// One line `imap-login: Info: Login: user=<..>, method=PLAIN, .., TLS, ..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) protocol: String,
    pub(crate) user: String,
    pub(crate) mechanism: String,
    pub(crate) tls: bool,
}

impl Login {
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once("-login: Info: Login: user=<")?;
        let (user, rest) = after.split_once(">, method=")?;
        let mut fields = rest.split(", ");
        let mechanism = fields.next()?.to_owned();
        let tls = fields.any(|field| field == "TLS");
        Some(Self { protocol: before.rsplit(' ').next()?.to_owned(), user: user.to_owned(), mechanism, tls })
    }
}

/// Dovecot changed its configuration language with 2.4.
fn require_version(program: &Path) {
    let version = child::run_well(Command::new(program).arg("--version"), b"");
    let version = String::from_utf8_lossy(&version).into_owned();
    assert!(version.starts_with("2.3."), "these tests write the configuration of Dovecot 2.3, but this is {version}");
}

/// Tokens are JWTs that Dovecot checks by itself, with the key that it finds under the names of its application, its
/// algorithm and itself.
fn tokens_configuration(scratch: &Scratch, issuer: &Issuer) -> String {
    scratch.folder("keys/default/HS256");
    let key = scratch.write_secret("keys/default/HS256/default", issuer.key_in_base64());
    let (auth_uid, _) = programs::system_account("dovecot");
    chown(&key, Some(auth_uid), None).unwrap();
    let validation = scratch.write(
        "oauth2.conf",
        format!(
            "introspection_mode = local\n\
             local_validation_key_dict = fs:posix:prefix={}/\n\
             username_attribute = email\n",
            scratch.path("keys").display()
        ),
    );
    format!(
        "auth_mechanisms = $auth_mechanisms xoauth2 oauthbearer\n\
         passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {}\n}}\n",
        validation.display()
    )
}

fn configuration(scratch: &Scratch, certificates: &Certificates, ports: Ports, tokens: &str) -> String {
    let Ports { imap, imaps, pop3, pop3s } = ports;
    let at = |name: &str| scratch.path(name).display().to_string();
    format!(
        r"
base_dir = {run}
state_dir = {state}
instance_name = locum-test
log_path = {log}
protocols = imap pop3 lmtp
listen = 127.0.0.1
hostname = mail.example.test
postmaster_address = postmaster@example.test

ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
# Local connections count as protected, so the tests' plain text mode works and yet a remote one would be refused.
disable_plaintext_auth = yes

auth_mechanisms = plain login
auth_failure_delay = 0
auth_verbose = yes
auth_debug = yes
auth_verbose_passwords = no

# `none` is who asks whether there is such a mailbox, for a delivery.
passdb {{
  driver = passwd-file
  mechanisms = plain login none
  args = {passwords}
}}
{tokens}
userdb {{
  driver = static
  args = uid={MAIL_UID} gid={MAIL_UID} home={mail}/%u
}}

mail_location = maildir:~/Maildir
mail_save_crlf = yes
first_valid_uid = {MAIL_UID}
namespace inbox {{
  inbox = yes
  separator = /
}}

service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service lmtp {{
  unix_listener {lmtp} {{
    user = postfix
    mode = 0600
  }}
}}
service auth {{
  unix_listener {sasl} {{
    user = postfix
    mode = 0600
  }}
}}
# Without this socket nobody is made to wait after wrong passwords.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
",
        run = at("run"),
        state = at("state"),
        log = at("dovecot.log"),
        certificate = certificates.certificate.display(),
        key = certificates.key.display(),
        passwords = at("passwords"),
        mail = at("mail"),
        lmtp = at("lmtp"),
        sasl = at("sasl"),
    )
}

/// A mailbox at the provider, its app password, and its files on disk.
#[derive(Clone)]
pub(crate) struct Mailbox {
    pub(crate) address: String,
    pub(crate) password: String,
    maildir: PathBuf,
}

/// A message as it lies on Dovecot's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) content: Vec<u8>,
    /// Maildir flag letters in order: `F` flagged, `R` answered, `S` seen, `T` deleted.
    pub(crate) flags: String,
}

impl Mailbox {
    /// Makes the files of an empty mailbox, whose only password is `password`.
    pub(crate) fn new(scratch: &Scratch, address: &str, password: &str) -> Self {
        scratch.folder("mail");
        let home = scratch.folder(&format!("mail/{address}"));
        let this = Self { address: address.to_owned(), password: password.to_owned(), maildir: home.join("Maildir") };
        chown(home, Some(MAIL_UID), Some(MAIL_UID)).unwrap();
        this.make_folder("");
        this
    }

    pub(crate) fn endpoint(&self, port: u16, tls: Tls, authority: &Path) -> Endpoint {
        Endpoint {
            host: "localhost".to_owned(),
            port,
            tls,
            user: self.address.clone(),
            password: self.password.clone(),
            authority: authority.to_path_buf(),
        }
    }

    /// Makes an IMAP folder. `name` is as on the wire (modified UTF-7) with `/` between levels; empty for the inbox.
    pub(crate) fn make_folder(&self, name: &str) {
        let folder = self.folder(name);
        for part in [&folder, &folder.join("cur"), &folder.join("new"), &folder.join("tmp")] {
            fs::create_dir_all(part).unwrap();
            chown(part, Some(MAIL_UID), Some(MAIL_UID)).unwrap();
        }
        if !name.is_empty() {
            fs::write(folder.join("maildirfolder"), b"").unwrap();
        }
    }

    /// Puts a message into a folder, behind Dovecot's back. `flags` as in [`Stored`].
    pub(crate) fn plant(&self, folder: &str, message: &[u8], flags: &str) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Dovecot numbers new files in the order of the time that their names begin with.
        let name = format!("{}.planted.test", 1_700_000_000 + number);
        let folder = self.folder(folder);
        let draft = folder.join("tmp").join(&name);
        fs::write(&draft, message).unwrap();
        chown(&draft, Some(MAIL_UID), Some(MAIL_UID)).unwrap();
        fs::rename(&draft, folder.join("cur").join(format!("{name}:2,{flags}"))).unwrap();
    }

    /// The messages of a folder, oldest file first.
    pub(crate) fn stored(&self, folder: &str) -> Vec<Stored> {
        let folder = self.folder(folder);
        let mut found = BTreeMap::new();
        for part in ["new", "cur"] {
            for entry in fs::read_dir(folder.join(part)).into_iter().flatten() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let flags = name.split_once(":2,").map(|(_, flags)| flags.to_owned()).unwrap_or_default();
                // A session that ends may rename a file between the listing and the reading.
                let Ok(content) = fs::read(&path) else { continue };
                let modified = fs::metadata(&path).map(|data| (data.mtime(), data.mtime_nsec())).unwrap_or_default();
                found.insert((modified, name), Stored { content, flags });
            }
        }
        found.into_values().collect()
    }

    /// Waits until a folder holds exactly `count` messages: delivery ends after the sender got its answer.
    pub(crate) fn stored_after(&self, folder: &str, count: usize) -> Vec<Stored> {
        child::eventually(&format!("{count} messages in `{folder}` of {}", self.address), || {
            let stored = self.stored(folder);
            (stored.len() == count).then_some(stored)
        })
    }

    fn folder(&self, name: &str) -> PathBuf {
        match name {
            "" | "INBOX" => self.maildir.clone(),
            name => self.maildir.join(format!(".{}", name.replace('/', "."))),
        }
    }
}
