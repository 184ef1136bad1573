//! Recognisable secrets are planted wherever secrets go, everything is made to fail in every way with the log at TRACE,
//! and then none of them may be found: not in output, log, audit, arguments, environment or the store's files; not in
//! the clear, nor encoded, nor in part.
//!
//! What a person types as the *login name* does stand in log and audit: who tried to get in is what they are for. Only
//! what has the form of a secret that Locum issued is masked there.

use std::fs;
use std::io::{ErrorKind, Write};
use std::iter;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;

use data_encoding::BASE64;
use locum::model::{Protocol, Secret};
use locum::net::tls;
use locum::sandbox::{Behaviour, Face};
use rusqlite::Connection;
use rustls::ClientConfig;

use crate::support::{Canaries, Home, Provider, Quoting, Run, Served, Wire, finish, trusted};

/// Accounts: one that works, one with a password that is wrong by now, and those of the other providers.
const ACCOUNTS: [(&str, &str); 4] =
    [("good@x.test", "good"), ("stale@x.test", "good"), ("quoted@x.test", "quoting"), ("lost@x.test", "untrusted")];

/// With blanks, as a portal shows it. `{}` makes them differ in each account.
const APP_PASSWORD: &str = "qzKw7pXv{} 9mTbRgH2 cJfD4sNy";
const WRONG_PASSWORD: &str = "wr0ngTyp3d-Fh7Kq2Zx9";
const STAGED: &str = "st4g3d-Wq8Lc5Xe2Vb";
const MALFORMED: &str = "m4lf0rm3d-Tb6Wn1Cv8";
const IN_CONFIG: &str = "c0nf1g-Rm5Yt3Gj7Lp";
const BAD_FILE: &str = "b4dF1le-Vs9Hd2Qk6Nw";
/// Not looked for: what is typed as a login name is shown.
const TYPED_AS_LOGIN: &str = "typed-as-login-name";

struct Scene {
    home: Home,
    canaries: Canaries,
    provider: Provider,
    quoting: Quoting,
    _untrusted: Provider,
    /// Client secrets, in the order of [`ACCOUNTS`]. The login is the first part of the address.
    secrets: Vec<String>,
    trust: Arc<ClientConfig>,
}

impl Scene {
    /// Everything enrolled. What the commands say on the way is searched, too.
    fn set(format: &str) -> Self {
        let home = Home::made();
        let pems = trusted(&home);
        let provider = Provider::new(Face::Gmail, &pems);
        let untrusted = Provider::new(Face::Gmail, &tls::self_signed(&["localhost".to_owned()]).unwrap());
        let quoting = Quoting::new(&pems);
        home.configure(&config(format, [&provider.serve(), &quoting.serve(), &untrusted.serve()]));
        let mut canaries = Canaries::default();
        for (name, secret) in [
            ("a wrong password", WRONG_PASSWORD),
            ("a staged app password", STAGED),
            ("a secret in a malformed command", MALFORMED),
            ("a secret in the configuration", IN_CONFIG),
            ("a secret in a bad file", BAD_FILE),
        ] {
            canaries.add(name, secret);
        }
        let key = home.read("locum.key");
        canaries.add("the store key", key.trim());
        canaries.add("the bytes of the store key", BASE64.decode(key.trim().as_bytes()).unwrap());
        canaries.add("the TLS key", private_part(&home.read("tls.key")));

        let trust = home.trust();
        let mut scene = Self { home, canaries, provider, quoting, _untrusted: untrusted, secrets: Vec::new(), trust };
        scene.enrol();
        scene
    }

    fn enrol(&mut self) {
        for (number, (address, upstream)) in ACCOUNTS.into_iter().enumerate() {
            let shown = APP_PASSWORD.replace("{}", &number.to_string());
            self.canaries.add("an app password as shown", &shown);
            self.canaries.add("an app password", shown.replace(' ', ""));
            let add = ["account", "add", address, "--upstream", upstream, "--secret-stdin"];
            self.search(&self.home.run_with(&add, &shown).succeeded());
            let current = if address.starts_with("stale") { "another".to_owned() } else { shown.replace(' ', "") };
            self.provider.add(address, &current);

            let login = login_of(address);
            let issued = self.home.run(&["client", "issue", login, "--account", address]).succeeded();
            let secret = issued.stdout.trim().to_owned();
            self.canaries.add("a client secret", secret.rsplit('_').next().unwrap());
            assert!(self.canaries.find(issued.stdout.as_bytes()).is_some(), "it is shown this once");
            self.canaries.assert_absent("`client issue` on standard error", issued.stderr);
            self.secrets.push(secret);
        }
        let json = self.home.run(&["client", "issue", "good", "--json"]).succeeded();
        let secret = json.json()["secret"].as_str().unwrap().to_owned();
        self.canaries.add("a client secret in JSON", secret.rsplit('_').next().unwrap());
        self.canaries.assert_absent("`client issue --json` on standard error", json.stderr);
    }

    #[track_caller]
    fn search(&self, run: &Run) {
        self.canaries.assert_absent("standard output", &run.stdout);
        self.canaries.assert_absent("standard error", &run.stderr);
    }

    /// Rotates everything everywhere, to providers that take it, refuse it, quote it and have the wrong certificate.
    fn rotate_all(&self) {
        for (address, _) in ACCOUNTS {
            self.provider.add(address, if address.starts_with("good") { STAGED } else { "another" });
            let stage = ["rotate", "stage", address, "--label", "l", "--secret-stdin"];
            self.search(&self.home.run_with(&stage, STAGED).succeeded());
            self.search(&self.home.run_with(&stage, APP_PASSWORD.replace("{}", "9")).ended(73));
            for verb in [
                &["verify"][..],
                &["status"],
                &["run"],
                &["promote", "--no-verify"],
                &["status", "--json"],
                &["rollback"],
                &["rollback", "--no-verify"],
                &["retire", "--now", "--yes"],
                &["retry"],
                &["discard"],
                &["deleted", "--all"],
                &["status"],
            ] {
                self.search(&self.home.run(&[&["rotate", verb[0], address], &verb[1..]].concat()));
            }
        }
        self.search_files(&["locum.db", "audit.jsonl"]);
        let audit = self.home.read("audit.jsonl");
        for step in ["staged", "verified", "promoted", "rolled back", "retired", "discarded", "deleted"] {
            assert!(audit.contains(&format!("\"step\":\"{step}\"")), "{step} was never taken: {audit}");
        }
    }

    /// Neither arguments nor environment of a process show a secret.
    fn search_process(&self, pid: u32) {
        // For a moment after it was started a process has no arguments yet.
        let read = || fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let arguments = iter::repeat_with(read).find(|arguments| !arguments.is_empty()).unwrap();
        assert!(arguments.starts_with(env!("CARGO_BIN_EXE_locum").as_bytes()), "looked at the process itself");
        self.canaries.assert_absent("the command line", arguments);
        match fs::read(format!("/proc/{pid}/environ")) {
            Ok(environment) => self.canaries.assert_absent("the environment", environment),
            // A process that may not be dumped shows it to root alone.
            Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
        }
    }

    fn search_files(&self, files: &[&str]) {
        for file in files {
            let content = fs::read(self.home.path(file)).unwrap();
            assert!(!content.is_empty(), "{file} is empty, so nothing is proven");
            self.canaries.assert_absent(file, content);
        }
    }
}

/// The number that is secret in a key. The rest of the file is in the certificate, too.
pub(crate) fn private_part(pem: &str) -> Vec<u8> {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = BASE64.decode(base64.as_bytes()).unwrap();
    let before = [2, 1, 1, 4, 32]; // version 1, and the head of an octet string of 32 bytes (RFC 5915 section 3)
    let at = der.windows(before.len()).position(|bytes| bytes == before).unwrap() + before.len();
    der[at..at + 32].to_vec()
}

fn login_of(address: &str) -> &str {
    address.split('@').next().unwrap()
}

fn config(format: &str, [good, quoting, untrusted]: [&str; 3]) -> String {
    let cosmetic = "app-password-format = \"spaces-are-cosmetic\"";
    let mut config = format!(
        "[upstream.good]\n{cosmetic}\n{good}\n[upstream.quoting]\n{cosmetic}\n{quoting}\n[upstream.untrusted]\n\
         {cosmetic}\n{untrusted}\n[rotation]\nsecond-look = \"1s\"\npatience = \"0s\"\n[audit]\npath = \"audit.jsonl\"\n[telemetry]\nlog = \"trace\"\n\
         log-format = \"{format}\"\n[limits]\nfailures-per-login-max = 1000\nfailures-per-address-max = 10000\n"
    );
    for protocol in Protocol::ALL {
        for (tls, more) in [
            ("none", "plaintext-networks = \"127.0.0.0/8\"\n"),
            ("implicit", ""),
            ("starttls", "plaintext-networks = []\n"),
        ] {
            config += &format!(
                "[[listener]]\nname = \"{protocol}-{tls}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\n\
                 tls = \"{tls}\"\n{more}"
            );
        }
    }
    config
}

/// The ways to present a name and a password, as lines; after each a reply is waited for.
pub(crate) fn login_forms(protocol: Protocol, login: &str, secret: &str) -> Vec<Vec<String>> {
    let plain = BASE64.encode(format!("\0{login}\0{secret}").as_bytes());
    let (name, password) = (BASE64.encode(login.as_bytes()), BASE64.encode(secret.as_bytes()));
    let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    match protocol {
        Protocol::Imap => vec![
            lines(&[&format!("a LOGIN {login} {secret}")]),
            lines(&[&format!("a LOGIN \"{login}\" \"{secret}\"")]),
            lines(&[&format!("a LOGIN {login} {{{}}}", secret.len()), secret]),
            lines(&[&format!("a LOGIN {login} {{{}+}}\r\n{secret}", secret.len())]),
            lines(&[&format!("a AUTHENTICATE PLAIN {plain}")]),
            lines(&["a AUTHENTICATE PLAIN", &plain]),
            lines(&["a AUTHENTICATE LOGIN", &name, &password]),
        ],
        Protocol::Pop3 => vec![
            lines(&[&format!("USER {login}"), &format!("PASS {secret}")]),
            lines(&[&format!("AUTH PLAIN {plain}")]),
            lines(&["AUTH PLAIN", &plain]),
            lines(&["AUTH LOGIN", &name, &password]),
        ],
        Protocol::Submission => vec![
            lines(&["EHLO test", &format!("AUTH PLAIN {plain}")]),
            lines(&["EHLO test", "AUTH PLAIN", &plain]),
            lines(&["EHLO test", "AUTH LOGIN", &name, &password]),
            lines(&["EHLO test", &format!("AUTH LOGIN {name}"), &password]),
        ],
    }
}

/// What no client should send, with a secret in it, though not in the place of a name.
fn malformed(protocol: Protocol) -> Vec<String> {
    let base64 = BASE64.encode(MALFORMED.as_bytes());
    let long = MALFORMED.repeat(2_000);
    let common = [
        format!("{MALFORMED}\r\n"),
        format!("{base64}\r\n"),
        format!("{long}\r\n"),
        long,
        format!("\x16\x03\x01{MALFORMED}"),
        format!("NOOP {MALFORMED}\r\n{MALFORMED}"),
    ];
    let own: &[&str] = match protocol {
        Protocol::Imap => &[
            "a LOGIN scan\r\n",
            "a LOGIN scan @\r\nb LOGOUT\r\n",
            "a LOGIN scan @ @\r\n",
            "a LOGIN scan \"@\r\n",
            "a LOGIN {4+}\r\nscan {19+}\r\n@ @\r\n",
            "a LOGIN scan {9999999}\r\n@\r\n",
            "a LOGIN scan {19+}\r\n@",
            "a AUTHENTICATE PLAIN @!\r\n",
            "a AUTHENTICATE PLAIN #\r\n",
            "a AUTHENTICATE PLAIN\r\n@\r\n",
            "a AUTHENTICATE XOAUTH2 #\r\n",
            "a AUTHENTICATE @ #\r\n",
            "a ID (\"password\" \"@\")\r\n",
            "@ LOGIN scan @\r\n",
        ],
        Protocol::Pop3 => &[
            "PASS @\r\n",
            "USER scan\r\nPASS @ @\r\n",
            "APOP scan @\r\n",
            "AUTH PLAIN @!\r\n",
            "AUTH PLAIN #\r\n",
            "AUTH @ #\r\n",
            "USER scan\r\nPASS @\0\r\n",
        ],
        Protocol::Submission => &[
            "AUTH PLAIN #\r\n",
            "EHLO @\r\n",
            "HELO @\r\nAUTH PLAIN #\r\n",
            "EHLO test\r\nAUTH PLAIN @!\r\n",
            "EHLO test\r\nAUTH LOGIN @!\r\n@!\r\n",
            "EHLO test\r\nAUTH XOAUTH2 #\r\n",
            "EHLO test\r\nMAIL FROM:<@> AUTH=@\r\n",
            "EHLO test\r\nVRFY @\r\nEXPN @\r\n",
        ],
    };
    let own = own.iter().map(|text| text.replace('@', MALFORMED).replace('#', &base64));
    common.into_iter().chain(own).collect()
}

/// How a login ended, by the first word of the last reply.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ended {
    In,
    Out,
}

/// Presents it, and leaves the connection open.
pub(crate) fn log_in(wire: &mut Wire, protocol: Protocol, form: &[String]) -> Ended {
    greeted(wire, protocol);
    present(wire, protocol, form)
}

fn greeted(wire: &mut Wire, protocol: Protocol) {
    let greeting = match protocol {
        Protocol::Imap => "* OK",
        Protocol::Pop3 => "+OK",
        Protocol::Submission => "220 ",
    };
    wire.expect(greeting);
}

/// The same where the greeting was read.
pub(crate) fn present(wire: &mut Wire, protocol: Protocol, form: &[String]) -> Ended {
    let (last, first) = form.split_last().unwrap();
    for line in first {
        wire.say(line);
        wire.expect(match protocol {
            Protocol::Imap => "+",
            Protocol::Pop3 => "+",
            Protocol::Submission if line.starts_with("EHLO") => "250 ",
            Protocol::Submission => "334",
        });
    }
    wire.say(last);
    loop {
        let reply = wire.line();
        assert!(!reply.is_empty(), "no answer to {last}");
        match reply.split(' ').next().unwrap() {
            "235" | "+OK" => return Ended::In,
            "a" if reply.starts_with("a OK") => return Ended::In,
            "*" => {}
            _ => return Ended::Out,
        }
    }
}

impl Scene {
    /// Clients log in, rightly and wrongly, in every form. At once: a wrong login has to wait for its answer.
    fn play(&self, served: &Served) {
        thread::scope(|scope| {
            for protocol in Protocol::ALL {
                for wire in [Self::plain, Self::tls] {
                    for (login, secret, ended) in [
                        ("good", self.secrets[0].as_str(), Ended::In),
                        ("good", WRONG_PASSWORD, Ended::Out),
                        ("nobody", &self.secrets[1], Ended::Out),
                        ("stale", &self.secrets[1], Ended::Out),
                        ("lost", &self.secrets[3], Ended::Out),
                        // By mistake: the secret as the name, and another word as the name.
                        (&self.secrets[0], "good", Ended::Out),
                        (TYPED_AS_LOGIN, WRONG_PASSWORD, Ended::Out),
                    ] {
                        scope.spawn(move || {
                            for form in login_forms(protocol, login, secret) {
                                assert_eq!(
                                    log_in(&mut wire(self, served, protocol), protocol, &form),
                                    ended,
                                    "{protocol}"
                                );
                            }
                        });
                    }
                }
                scope.spawn(move || self.play_quoting(served, protocol));
                scope.spawn(move || self.play_malformed(served, protocol));
            }
        });
    }

    fn plain(&self, served: &Served, protocol: Protocol) -> Wire {
        Wire::plain(served.port(&format!("{protocol}-none")))
    }

    fn tls(&self, served: &Served, protocol: Protocol) -> Wire {
        Wire::tls(served.port(&format!("{protocol}-implicit")), &self.trust)
    }

    fn play_quoting(&self, served: &Served, protocol: Protocol) {
        let form = &login_forms(protocol, "quoted", &self.secrets[2])[0];
        for _ in 0..Quoting::logins(protocol) {
            assert_eq!(log_in(&mut self.plain(served, protocol), protocol, form), Ended::Out, "{protocol}");
        }
    }

    fn play_malformed(&self, served: &Served, protocol: Protocol) {
        for text in malformed(protocol) {
            let in_clear = |tls: &str| Wire::plain(served.port(&format!("{protocol}-{tls}")));
            for mut wire in [in_clear("none"), self.tls(served, protocol), in_clear("starttls"), in_clear("implicit")] {
                // It may hang up in the middle of it, or wait for the rest for ever.
                let _ = wire.try_write(text.as_bytes());
                let _ = wire.try_write(b"\r\nQUIT\r\na LOGOUT\r\n*\r\n");
                wire.end();
                wire.drain();
            }
        }
        // A login without TLS where it is needed.
        for form in login_forms(protocol, "good", &self.secrets[0]) {
            let mut wire = Wire::plain(served.port(&format!("{protocol}-starttls")));
            wire.write(format!("{}\r\n", form.join("\r\n")).as_bytes());
            wire.end();
            wire.drain();
        }
    }

    /// The provider refuses the right credential for each of its reasons.
    fn play_refusals(&self, served: &Served) {
        for behaviour in [
            Behaviour::ServerUnavailable,
            Behaviour::TooManyConnections,
            Behaviour::ApplicationPasswordRequired,
            Behaviour::WebLoginRequired,
            Behaviour::TooManyLoginAttempts,
        ] {
            // Stored anew, or it would not be tried again so soon.
            let set = ["account", "set", "good@x.test", "--secret-stdin"];
            self.search(&self.home.run_with(&set, APP_PASSWORD.replace("{}", "0")).succeeded());
            let before = self.provider.sandbox.logins().len();
            self.provider.sandbox.set_behaviour("good@x.test", behaviour);
            for protocol in Protocol::ALL {
                let form = &login_forms(protocol, "good", &self.secrets[0])[0];
                log_in(&mut self.plain(served, protocol), protocol, form);
            }
            assert_eq!(self.provider.sandbox.logins().len(), before + 3, "{behaviour:?}");
        }
        self.provider.sandbox.set_behaviour("good@x.test", Behaviour::Normal);
    }
}

fn nothing_is_shown(format: &str) {
    let scene = Scene::set(format);
    let served = scene.home.serve();
    scene.play(&served);
    let quoted: usize = Protocol::ALL.into_iter().map(Quoting::logins).sum();
    assert_eq!(scene.quoting.quoted(), quoted, "not every way of quoting was seen");
    scene.play_refusals(&served);
    scene.search_process(served.pid());
    // A writer beside the server, so that there is a write-ahead log to look into.
    scene.search(&scene.home.run(&["account", "set", "good@x.test", "--label", "seen"]).succeeded());
    scene.search_files(&["locum.db", "locum.db-wal", "audit.jsonl", "locum.toml", "tls.crt"]);
    let run = served.stop().succeeded();
    scene.search(&run);
    scene.search_files(&["locum.db"]);

    // All of that proves something only if it happened, and was logged.
    let (level, logged_in) = match format {
        "json" => ("\"level\":\"TRACE\"", "\"message\":\"logged in\""),
        _ => (" TRACE ", ": logged in login=\"good\""),
    };
    let count = |what: &str| run.stderr.lines().filter(|line| line.contains(what)).count();
    assert!(count(level) > 10, "the log is not at TRACE");
    assert!(count(logged_in) >= 15 * 2, "not every form of login was let in");
    let audit = scene.home.read("audit.jsonl");
    for seen in [
        "\"outcome\":\"allow\"",
        "wrong client secret",
        "unknown login",
        "could not be verified",
        "refused the credential",
        "temporarily unavailable: what is",
        "**********",
        "Application-specific password required",
        &format!("\"login\":\"{TYPED_AS_LOGIN}\""),
        &format!("\"login\":\"{}_{}\"", scene.secrets[0].rsplit_once('_').unwrap().0, "*".repeat(26)),
    ] {
        assert!(audit.contains(seen), "not in the audit: {seen}");
    }
    let sent = APP_PASSWORD.replace("{}", "0").replace(' ', "");
    assert!(scene.provider.sandbox.was_presented(&Secret::new(sent)), "the app password never went upstream");
    for (number, secret) in scene.secrets.iter().enumerate() {
        let presented = scene.provider.sandbox.was_presented(&Secret::new(secret.as_str()));
        assert!(!presented, "client secret {number} went upstream");
    }
}

#[test]
fn in_a_log_for_people() {
    nothing_is_shown("text");
}

#[test]
fn in_a_log_for_collectors() {
    nothing_is_shown("json");
}

#[test]
fn by_any_verb_right_or_wrong() {
    let scene = Scene::set("text");
    let search_all = |context: &str, code: Option<i32>| {
        for verb in [
            &["check"][..],
            &["check", "--dial"],
            &["account", "list"],
            &["account", "list", "--json"],
            &["account", "show", "good@x.test"],
            &["account", "show", "good@x.test", "--json"],
            &["account", "set", "good@x.test", "--label", "l"],
            &["rotate", "status", "good@x.test"],
            &["rotate", "status", "--all", "--json"],
            &["rotate", "verify", "good@x.test"],
            &["rotate", "run", "good@x.test"],
            &["rotate", "rollback", "good@x.test"],
            &["rotate", "retire", "--due"],
            &["rotate", "deleted", "good@x.test", "nope"],
            &["report", "inventory"],
            &["report", "inventory", "--json"],
            &["report", "inventory", "--csv"],
            &["report", "usage"],
            &["report", "usage", "--json"],
            &["report", "usage", "--csv"],
            &["client", "list"],
            &["client", "list", "--json"],
            &["client", "show", "good"],
            &["client", "show", "good", "--json"],
            &["client", "bind", "good", "--mailboxes", "*@example.test"],
            &["client", "unbind", "good", "--mailboxes", "*@example.test"],
            &["client", "revoke", "good", "--secret", "nope"],
        ] {
            let run = scene.home.run(verb);
            if let Some(code) = code {
                assert_eq!(run.code, Some(code), "{context} {verb:?} {run:#?}");
            }
            scene.search(&run);
        }
    };
    search_all("all is well", None);
    scene.rotate_all();

    let config = scene.home.read("locum.toml");
    for (number, wrong) in [
        format!("password = \"{IN_CONFIG}\"\n{config}"),
        format!("{config}\n[colour]\n{IN_CONFIG} = \"{IN_CONFIG}\"\n"),
        config.replace("\"locum.key\"", &format!("{{ secret = \"{IN_CONFIG}\" }}")),
        config.replace("\"trace\"", &format!("\"{IN_CONFIG}\"")),
        config.replace("\"implicit\"", &format!("\"{IN_CONFIG}\"")),
        config.replace("name = \"localhost\"", IN_CONFIG),
        config.replace("\"locum.key\"", &format!("\"{IN_CONFIG}\n\"")),
    ]
    .iter()
    .enumerate()
    {
        scene.home.write("locum.toml", wrong);
        search_all(&format!("wrong configuration {number}"), Some(78));
        scene.search(&scene.home.run(&["serve"]).ended(78));
    }
    scene.home.write("locum.toml", &config);

    for secret in [&b"\r\n"[..], b"\0", b"\xff", &[b'x'; 2000]].map(|bad| [BAD_FILE.as_bytes(), bad, b"more"].concat())
    {
        scene.home.write("bad", &secret);
        let set = ["account", "set", "good@x.test", "--upstream", "quoting", "--secret-file", "bad"];
        scene.search(&scene.home.run(&set).ended(65));
        scene.search(&scene.home.run_with(&["account", "set", "good@x.test", "--secret-stdin"], &secret).ended(65));
        scene.search(&scene.home.run_with(&["rotate", "stage", "good@x.test", "--secret-stdin"], &secret).ended(65));
        scene.search(&scene.home.run(&["rotate", "run", "good@x.test", "--secret-file", "bad"]).ended(65));
    }
    for wrong in ["locum.key", "tls.key"] {
        // Of one line is the store's key, so it could be an app password; of several is the other.
        scene.search(&scene.home.run(&["account", "set", "lost@x.test", "--secret-file", wrong]));
    }

    let key = scene.home.read("locum.key");
    let tls = scene.home.read("tls.key");
    for wrong in [BAD_FILE, &BASE64.encode(BAD_FILE.as_bytes()), &tls, &key[..20], &BASE64.encode(&[9; 32])] {
        scene.home.write("locum.key", wrong);
        search_all("wrong store key", Some(78));
    }
    scene.home.write("locum.key", &key);
    for wrong in [BAD_FILE, &key, &format!("-----BEGIN PRIVATE KEY-----\n{BAD_FILE}\n-----END PRIVATE KEY-----\n")] {
        scene.home.write("tls.key", wrong);
        scene.search(&scene.home.run(&["check"]).ended(78));
        scene.search(&scene.home.run(&["serve"]).ended(78));
    }
    scene.home.write("tls.key", &tls);

    let store = Connection::open(scene.home.path("locum.db")).unwrap();
    store
        .execute("UPDATE records SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB)", [])
        .unwrap();
    search_all("damaged records", None);
    store.execute("UPDATE store SET data_key = randomblob(length(data_key))", []).unwrap();
    drop(store);
    search_all("a damaged data key", Some(78));
    scene.search_files(&["locum.db"]);
}

#[test]
fn while_a_verb_waits_for_its_secret() {
    let scene = Scene::set("text");
    let mut command = scene.home.command(&["account", "set", "good@x.test", "--secret-stdin"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(APP_PASSWORD.as_bytes()).unwrap();
    scene.search_process(child.id());
    drop(stdin);
    scene.search(&finish(child).succeeded());
}

#[test]
fn the_demo_shows_its_own_passwords_only_where_it_introduces_them() {
    let home = Home::empty();
    let run = home.run(&["demo", "--once"]).succeeded();
    let shown = run.stdout.lines().filter(|line| line.contains("with its own password"));
    let secrets: Vec<&str> = shown.map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(secrets.len(), 2);
    for secret in secrets {
        let mut canaries = Canaries::default();
        canaries.add("a client secret of the demo", secret.rsplit('_').next().unwrap());
        canaries.assert_absent("standard error", &run.stderr);
        let audit = run.stdout.lines().filter(|line| line.contains("\"event\"")).collect::<Vec<_>>().join("\n");
        assert!(!audit.is_empty(), "the demo shows its audit");
        canaries.assert_absent("the demo's audit", audit);
    }
}
