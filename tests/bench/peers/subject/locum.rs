//! Locum as a site has it that is to carry such a load: its bounds on sessions are set for it, the rest is as it is shipped.

use std::process::Stdio;

use rusqlite::{Connection, params};

use super::{PLACES, Process, Running, Subject, command};
use crate::load::Field;
use crate::program::Served;
use crate::upstream::Upstream;

/// Sessions that one mailbox may hold open: clients come with several, and the crowd of five thousand has a thousand mailboxes.
const SESSIONS_PER_MAILBOX: usize = 64;

/// Names the upstream in place of the look-alike provider, and sets bounds.
pub(super) fn configure(field: &Field, upstream: &Upstream) {
    let home = &field.stage.home;
    home.write("peers.crt", std::fs::read(&upstream.trust).unwrap());
    let text = home.read("locum.toml").replace("[\"upstream.crt\"]", "[\"peers.crt\"]");
    let (head, rest) = text.split_once("[upstream.exchange]").expect("the stage names its provider");
    let (_, listeners) = rest.split_once("\n[[listener]]").expect("listeners stand behind it");
    let ports = upstream.ports;
    let endpoints = [("imap", ports.imaps), ("pop3", ports.pop3s), ("submission", ports.submissions)];
    let endpoints = endpoints.map(|(protocol, port)| {
        format!(
            "{protocol} = {{ host = \"localhost\", port = {port}, tls = \"implicit\", \
             sessions-max = {SESSIONS_PER_MAILBOX} }}\n"
        )
    });
    // No logins but those of clients, since each is counted; and nobody who looks through a million records meanwhile.
    let more = format!(
        "[limits]\nsessions-max = {PLACES}\nunproven-per-address-max = {}\n[rotation]\nkeeper = false\nverify-every = \"never\"\n",
        PLACES / 2
    );
    home.write(
        "locum.toml",
        format!("{head}[upstream.exchange]\n{}\n[[listener]]{listeners}{more}", endpoints.concat()),
    );
}

pub(super) fn start(field: &Field, subject: Subject) -> Running {
    let mut command = command(env!("CARGO_BIN_EXE_locum"));
    command.arg("serve").current_dir(field.stage.home.folder()).env_remove("LOCUM_CONFIG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let served = Served::start(command);
    served.wait_for_log("ready");
    let caller = field.caller(&served);
    Running {
        subject,
        process: Process::Served(served),
        doors: caller.doors,
        trust: caller.trust,
        keys: field.issued.as_slice().into(),
    }
}

/// Fills the store in a file up to so many records. What fills it is like records in number and size alone: nobody can read it,
/// and nobody asks for it.
pub(super) fn fill(field: &Field, up_to: usize) {
    let mut connection = Connection::open(field.stage.home.path("locum.db")).unwrap();
    let transaction = connection.transaction().unwrap();
    let present: i64 = transaction.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap();
    for folder in folders(&transaction) {
        let missing = (up_to as i64 - present) / 2;
        transaction
            .execute(
                "INSERT INTO records (folder, hash, version, sealed)
                 WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?2)
                 SELECT ?1, lower(hex(randomblob(32))), 1, randomblob(?3) FROM number",
                params![folder, missing, RECORD_BYTES],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
}

/// About what an account or a client takes, sealed.
const RECORD_BYTES: i64 = 600;

/// Where accounts are, and where clients are.
fn folders(connection: &Connection) -> Vec<String> {
    let mut select =
        connection.prepare("SELECT folder FROM records GROUP BY folder ORDER BY count(*) DESC LIMIT 2").unwrap();
    let folders = select.query_map([], |row| row.get(0)).unwrap();
    folders.map(Result::unwrap).collect()
}
