//! Dovecot's login proxy in its fastest form: one process for many logins (`service_count = 0`), and passwords in the clear in a
//! file that it keeps in memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{PLACES, Process, command, nowhere};
use crate::load::Key;
use crate::load::clients::Doors;
use crate::openbao::child::{Server, free_port};
use crate::stage::APP_PASSWORD;
use crate::upstream::Ports;

/// Why it cannot be measured.
pub(super) fn missing() -> Option<String> {
    let install = "apt-get install dovecot-imapd dovecot-pop3d dovecot-submissiond";
    for program in ["imap-login", "pop3-login", "submission-login"] {
        if !Path::new("/usr/lib/dovecot").join(program).is_file() {
            return Some(format!("there is no Dovecot with its {program}: {install}"));
        }
    }
    if !rustix::process::geteuid().is_root() {
        return Some("Dovecot wants to be started by root".to_owned());
    }
    let version = Command::new("dovecot").arg("--version").output().map(|it| it.stdout).unwrap_or_default();
    (!version.starts_with(b"2.3."))
        .then(|| "the configuration is for Dovecot 2.3, which Debian 12 has; here is another one".to_owned())
}

pub(super) fn start(folder: &Path, upstream: Ports, clients: &[Key]) -> (Process, Doors) {
    let doors = Doors {
        imaps: free_port(),
        pop3s: free_port(),
        submission: free_port(),
        submissions: free_port(),
        ..nowhere()
    };
    // Its processes are of users of their own, and come through here to their sockets.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let home = folder.join("dovecot");
    for one in ["run", "state"] {
        fs::create_dir_all(home.join(one)).unwrap();
    }
    let config = home.join("dovecot.conf");
    fs::write(&config, configuration(folder, &doors)).unwrap();
    let targets = [("imap", upstream.imaps), ("pop3", upstream.pop3s), ("submission", upstream.submissions)];
    for (protocol, port) in targets {
        fs::write(home.join(format!("clients.{protocol}")), passwords(clients, port)).unwrap();
    }
    let output = fs::File::create(home.join("dovecot.out")).unwrap();
    let mut command = command("dovecot");
    command.arg("-F").arg("-c").arg(config).stdout(output.try_clone().unwrap()).stderr(output);
    let mut server = Server::spawn("Dovecot", &mut command, vec![home.join("dovecot.out"), home.join("dovecot.log")]);
    let is_there = server.listens(&[doors.imaps, doors.pop3s, doors.submission, doors.submissions]);
    assert!(is_there, "Dovecot ended: {}", fs::read_to_string(home.join("dovecot.log")).unwrap_or_default());
    (Process::Server(server), doors)
}

/// What a client proves itself with, and where it is led with what: one file for each protocol, since ports differ.
fn passwords(clients: &[Key], port: u16) -> String {
    let line = |Key { login, secret }: &Key| {
        format!("{login}:{{PLAIN}}{secret}::::::proxy=y host=127.0.0.1 port={port} ssl=any-cert pass={APP_PASSWORD}\n")
    };
    clients.iter().map(line).collect()
}

fn configuration(folder: &Path, doors: &Doors) -> String {
    let Doors { imaps, pop3s, submission, submissions, .. } = doors;
    let (folder, places) = (folder.display(), 2 * PLACES);
    let login = |protocol: &str, listeners: &str| {
        format!(
            "service {protocol}-login {{\n  service_count = 0\n  process_min_avail = 1\n  process_limit = 1\n  \
             client_limit = {places}\n{listeners}}}\n\
             service {protocol} {{\n  process_limit = 1\n}}\n"
        )
    };
    let listener = |name: &str, port: u16, ssl: &str| {
        format!("  inet_listener {name} {{\n    address = 127.0.0.1\n    port = {port}\n    ssl = {ssl}\n  }}\n")
    };
    let off = |name: &str| format!("  inet_listener {name} {{\n    port = 0\n  }}\n");
    let services = [
        login("imap", &(off("imap") + &listener("imaps", *imaps, "yes"))),
        login("pop3", &(off("pop3") + &listener("pop3s", *pop3s, "yes"))),
        login(
            "submission",
            &(listener("submission", *submission, "no") + &listener("submissions", *submissions, "yes")),
        ),
    ];
    format!(
        "protocols = imap pop3 submission
base_dir = {folder}/dovecot/run
state_dir = {folder}/dovecot/state
log_path = {folder}/dovecot/dovecot.log
listen = 127.0.0.1
hostname = localhost
submission_relay_host = 127.0.0.1
mail_location = maildir:/nonexistent
ssl = yes
ssl_cert = <{folder}/tls.crt
ssl_key = <{folder}/tls.key
auth_mechanisms = plain login
login_trusted_networks = 127.0.0.0/8
login_log_format_elements = user=<%u>
auth_cache_size = 10M
default_vsz_limit = 0
default_client_limit = {places}
service anvil {{
  client_limit = {places}
}}
service auth {{
  client_limit = {places}
}}
service stats {{
  client_limit = {places}
}}
passdb {{
  driver = passwd-file
  args = {folder}/dovecot/clients.%s
}}
{}",
        services.concat(),
    )
}
