//! What the hook of the tests is: a few lines of shell that hand the request on to this process, where the look-alike
//! provider is, and its answer back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use locum::model::Secret;
use locum::sandbox::Sandbox;
use serde_json::{Value, json};

/// Its first argument is a port of this machine.
pub(crate) const SCRIPT: &str = r#"exec 3<>"/dev/tcp/127.0.0.1/$1" && cat >&3 && exec cat <&3"#;

/// The side of the provider that a site's own program would speak to.
#[derive(Clone)]
pub(crate) struct Counterpart(Arc<Inner>);

struct Inner {
    sandbox: Sandbox,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By account and operation: whoever asks twice by one name gets the same one.
    made: BTreeMap<(String, String), Secret>,
    /// The name of each password in the portal.
    labels: BTreeMap<(String, String), Secret>,
    /// Accounts for which an answer is lost on its way, though the work was done.
    mute: BTreeSet<String>,
    /// How often it was asked, by account, and by when it was to be done.
    asked: BTreeMap<String, (u32, i64)>,
}

impl Counterpart {
    /// Listens until the process ends; the port.
    pub(crate) fn start(sandbox: Sandbox) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = Self(Arc::new(Inner { sandbox, state: Mutex::default() }));
        let counterpart = own.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let counterpart = counterpart.clone();
                thread::spawn(move || counterpart.serve(stream.unwrap()));
            }
        });
        (own, port)
    }

    /// A password of that name that somebody made by hand.
    pub(crate) fn name(&self, account: &str, label: &str, secret: &Secret) {
        let key = (account.to_owned(), label.to_owned());
        self.0.state.lock().unwrap().labels.insert(key, secret.clone());
    }

    /// The name of that password in the portal.
    pub(crate) fn label_of(&self, account: &str, secret: &Secret) -> Option<String> {
        let state = self.0.state.lock().unwrap();
        let mut labels = state.labels.iter();
        labels.find(|((of, _), it)| of == account && *it == secret).map(|((_, label), _)| label.clone())
    }

    /// From now on its answers for that account are lost.
    pub(crate) fn mute(&self, account: &str, mute: bool) {
        let mut state = self.0.state.lock().unwrap();
        if mute {
            state.mute.insert(account.to_owned())
        } else {
            state.mute.remove(account)
        };
    }

    /// How often it was asked for that account.
    pub(crate) fn asked(&self, account: &str) -> u32 {
        self.0.state.lock().unwrap().asked.get(account).map_or(0, |(times, _)| *times)
    }

    /// By when it was to be done the last time, in seconds of the epoch.
    pub(crate) fn deadline(&self, account: &str) -> i64 {
        self.0.state.lock().unwrap().asked[account].1
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        let Ok(request) = serde_json::from_str::<Value>(&line) else { return }; // whoever asked is gone
        let answer = self.answer(&request);
        while self.0.state.lock().unwrap().mute.contains(request["account"].as_str().unwrap()) {
            thread::sleep(Duration::from_millis(50)); // between two looks
        }
        let _ = stream.write_all(answer.to_string().as_bytes());
    }

    fn answer(&self, request: &Value) -> Value {
        let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
        let (account, op, label) = (text("account"), text("op"), text("label"));
        assert_eq!((&request["version"], text("upstream").as_str()), (&json!(1), "exchange"), "{request}");
        let mut state = self.0.state.lock().unwrap();
        let asked = state.asked.entry(account.clone()).or_default();
        *asked = (asked.0 + 1, request["deadline"].as_i64().unwrap());
        let sandbox = &self.0.sandbox;
        match text("action").as_str() {
            "make" => {
                let number = state.made.len();
                let known = state.made.get(&(account.clone(), op.clone())).cloned();
                let secret = known.unwrap_or_else(|| {
                    let secret = Secret::new(format!("made{number:04}qwertyui"));
                    sandbox.add_password(&account, secret.clone());
                    secret
                });
                state.made.insert((account.clone(), op), secret.clone());
                state.labels.insert((account, label), secret.clone());
                json!({ "secret": secret.expose_text().unwrap() })
            }
            "set" => {
                let secret = Secret::new(text("secret"));
                if sandbox.passwords(&account).contains(&secret) {
                    return json!({ "error": "a password cannot be used again" });
                }
                sandbox.set_password(&account, secret);
                json!({ "ok": true })
            }
            "revoke" => {
                if let Some(secret) = state.labels.remove(&(account.clone(), label)) {
                    sandbox.remove_password(&account, &secret);
                }
                json!({ "ok": true })
            }
            other => json!({ "error": format!("what is {other}?") }),
        }
    }
}
