//! curl, which speaks all three protocols. Its whole command, the password included, comes as a configuration on
//! standard input.

use std::process::Command;

use super::Outgoing;
use crate::child;
use crate::endpoint::{Endpoint, Tls};
use crate::programs;
use crate::scratch::Scratch;

/// The names that `LIST "" *` shows, as on the wire.
pub(crate) fn folders(endpoint: &Endpoint) -> Vec<String> {
    let reply = ask(endpoint, "imap", "", &[("request", "LIST \"\" *")]);
    // * LIST (\HasNoChildren) "/" "A name"
    let name = |line: &str| Some(line.split_once(") \"/\" ")?.1.trim_matches('"').to_owned());
    String::from_utf8(reply).unwrap().lines().filter_map(name).collect()
}

/// The same from another address of this machine, with a header of the PROXY protocol in front.
pub(crate) fn folders_by_proxy(endpoint: &Endpoint, source: &str) -> Vec<u8> {
    let options = [("request", "LIST \"\" *"), ("interface", source)];
    let configuration = configuration(endpoint, "imap", "", &options) + "\nhaproxy-protocol";
    child::run_well(&mut command(), configuration.as_bytes())
}

/// A whole message by folder and UID.
pub(crate) fn fetch(endpoint: &Endpoint, folder: &str, uid: u32) -> Vec<u8> {
    ask(endpoint, "imap", &format!("{};UID={uid}", escape(folder)), &[])
}

/// The flags of a message, such as `\Answered \Seen`, sorted. `\Recent` is left out: it says which session came first.
pub(crate) fn flags(endpoint: &Endpoint, folder: &str, uid: u32) -> Vec<String> {
    let reply = ask(endpoint, "imap", &escape(folder), &[("request", &format!("UID FETCH {uid} FLAGS"))]);
    let reply = String::from_utf8(reply).unwrap();
    let list = reply.split_once("FLAGS (").unwrap_or_else(|| panic!("no flags in {reply:?}")).1;
    let flags = list.split(')').next().unwrap().split_whitespace();
    let mut flags: Vec<_> = flags.filter(|flag| *flag != "\\Recent").map(str::to_owned).collect();
    flags.sort();
    flags
}

pub(crate) fn append(endpoint: &Endpoint, folder: &str, message: &[u8]) {
    let scratch = Scratch::new();
    let file = scratch.write("message", message);
    ask(endpoint, "imap", &escape(folder), &[("upload-file", &file.display().to_string())]);
}

/// The sizes that POP3's `LIST` shows, in order.
pub(crate) fn pop3_sizes(endpoint: &Endpoint) -> Vec<usize> {
    let reply = String::from_utf8(ask(endpoint, "pop3", "", &[])).unwrap();
    reply.lines().filter_map(|line| line.split_once(' ')?.1.trim().parse().ok()).collect()
}

/// A whole message by POP3's number.
pub(crate) fn pop3_retrieve(endpoint: &Endpoint, number: u32) -> Vec<u8> {
    ask(endpoint, "pop3", &number.to_string(), &[])
}

/// Submits a message, with the SASL mechanism that is named.
pub(crate) fn submit(endpoint: &Endpoint, mechanism: &str, mail: &Outgoing<'_>) {
    let scratch = Scratch::new();
    let file = scratch.write("message", mail.message);
    ask(
        endpoint,
        "smtp",
        "client.example.test",
        &[
            ("login-options", &format!("AUTH={mechanism}")),
            ("mail-from", mail.from),
            ("mail-rcpt", mail.to),
            ("upload-file", &file.display().to_string()),
        ],
    );
}

/// Runs curl and returns what the server sent; the test fails if curl does.
fn ask(endpoint: &Endpoint, scheme: &str, path: &str, options: &[(&str, &str)]) -> Vec<u8> {
    child::run_well(&mut command(), configuration(endpoint, scheme, path, options).as_bytes())
}

/// The exit code of an attempt to list the inbox; curl says 67 when the login was refused.
pub(crate) fn exit_code(endpoint: &Endpoint, scheme: &str) -> Option<i32> {
    child::run(&mut command(), configuration(endpoint, scheme, "", &[]).as_bytes()).status.code()
}

fn command() -> Command {
    let mut command = Command::new(programs::find("curl"));
    command.args(["--disable", "--silent", "--show-error", "--config", "-"]).env_remove("NETRC");
    command
}

fn configuration(endpoint: &Endpoint, scheme: &str, path: &str, options: &[(&str, &str)]) -> String {
    let secure = if endpoint.tls == Tls::Implicit { "s" } else { "" };
    let mut lines = vec![
        option("url", &format!("{scheme}{secure}://{}:{}/{path}", endpoint.host, endpoint.port)),
        option("user", &format!("{}:{}", endpoint.user, endpoint.password)),
        option("cacert", &endpoint.authority.display().to_string()),
        option("noproxy", "*"),
    ];
    if endpoint.tls == Tls::Starttls {
        lines.push("ssl-reqd".to_owned());
    }
    lines.extend(options.iter().map(|(name, value)| option(name, value)));
    lines.join("\n")
}

fn option(name: &str, value: &str) -> String {
    format!("{name} = \"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A folder name in a URL.
fn escape(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
