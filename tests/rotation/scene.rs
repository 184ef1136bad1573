//! A node that serves, a provider that counts, and an operator whose commands end where they are told to.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use locum::broker::Directory;
use locum::credential;
use locum::model::{
    AppPasswordFormat, CredentialKind, Leftover, LeftoverReason, Previous, Secret, Slots, StoredCredential,
};
use locum::rotation::Point;
use tokio::runtime::Runtime;

use crate::hook::{Counterpart, SCRIPT};
use crate::openbao::Dev;
use crate::program::{Run, Served};
use crate::stage::{Stage, address};

/// Every account's first password.
pub(crate) const OLD: &str = "wvxgeyajcdzxnqlw";

/// What the hook is for: one file of settings each.
pub(crate) const MAKE: &str = "make.toml";
pub(crate) const SET: &str = "set.toml";
/// The same with time for a hook that hangs.
pub(crate) const MAKE_SLOWLY: &str = "make-slowly.toml";
pub(crate) const SET_SLOWLY: &str = "set-slowly.toml";

/// How long a hook has that hangs, and one that does not.
pub(crate) const SLOW: Duration = Duration::from_secs(5);
const QUICK: Duration = Duration::from_secs(1);

/// The signal of a process that gave itself up.
const ABORTED: i32 = 6;

const TIMES: &str = "
[rotation]
second-look = \"1s\"
patience = \"5s\"
";

pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) counterpart: Counterpart,
    _node: Served,
    port: u16,
    directory: Directory,
    pub(crate) runtime: Arc<Runtime>,
    _bao: Option<Dev>,
}

impl Scene {
    pub(crate) fn on_sqlite(accounts: usize) -> Self {
        Self::new(Stage::on_sqlite(), None, accounts, runtime())
    }

    pub(crate) fn on_openbao(accounts: usize) -> Self {
        let runtime = runtime();
        let bao = runtime.block_on(Dev::start());
        let stage = Stage::on_vault(&runtime, &bao, "");
        Self::new(stage, Some(bao), accounts, runtime)
    }

    fn new(mut stage: Stage, bao: Option<Dev>, accounts: usize, runtime: Arc<Runtime>) -> Self {
        let (counterpart, port) = Counterpart::start(stage.provider.sandbox.clone());
        let script = stage.home.path("hook.sh");
        fs::write(&script, SCRIPT).unwrap();
        let config = format!("{}{TIMES}", stage.home.read("locum.toml"));
        stage.home.write("locum.toml", &config);
        let (make, set) = (r#"["make", "revoke"]"#, r#"["set"]"#);
        for (file, actions, timeout) in
            [(MAKE, make, QUICK), (SET, set, QUICK), (MAKE_SLOWLY, make, SLOW), (SET_SLOWLY, set, SLOW)]
        {
            let seconds = timeout.as_secs();
            let command = format!(r#"["/bin/bash", "{}", "{port}"]"#, script.display());
            let hook = format!("[rotation.hook]\ncommand = {command}\ntimeout = \"{seconds}s\"\nactions = {actions}\n");
            stage.home.write(file, format!("{config}{hook}"));
        }
        runtime.block_on(stage.enrol(accounts, 8));
        for number in 0..accounts {
            counterpart.name(&address(number), "scanner", &Secret::new(OLD));
        }
        let directory = Directory::of_operator(runtime.block_on(stage.store()), "operator@scene");
        let node = Served::start(stage.home.command(&["serve"]));
        node.wait_for_log("ready");
        let port = node.port("imaps");
        Self { stage, counterpart, _node: node, port, directory, runtime, _bao: bao }
    }

    /// An operator's command, with that on its standard input, ended at a point if one is named.
    pub(crate) fn operator(&self, config: &str, arguments: &[&str], input: &str, at: Option<(Point, u32)>) -> Run {
        let arguments: Vec<&str> = ["--config", config].iter().chain(arguments).copied().collect();
        let mut command = self.stage.command(&arguments);
        command.stdin(Stdio::piped());
        if let Some((point, time)) = at {
            command.env("LOCUM_CRASH_AT", format!("{}:{time}", point.name()));
        }
        let mut child = command.spawn().unwrap();
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let [stdout, stderr] = [stdout, stderr].map(|it| String::from_utf8(it).unwrap());
        let run = Run { code: status.code(), stdout, stderr };
        match at {
            Some(at) => assert_eq!(status.signal(), Some(ABORTED), "never passed {at:?}: {run:#?}"),
            None => assert!(!run.stderr.contains("panicked"), "{run:#?}"),
        }
        run
    }

    /// The client of that number logs in by the node.
    pub(crate) fn client_logs_in(&self, number: usize) {
        let mut wire = self.stage.connect(self.port);
        self.stage.log_in(&mut wire, number);
    }

    /// What the record says.
    pub(crate) fn slots(&self, number: usize) -> Slots {
        let found = self.runtime.block_on(self.directory.latest_account(&address(number))).unwrap().unwrap();
        found.record.credentials.get(&CredentialKind::AppPassword).cloned().unwrap_or_default()
    }

    /// Every password that the provider takes is in the record, or named there; besides what somebody has in hand.
    #[track_caller]
    pub(crate) fn nothing_is_forgotten(&self, number: usize, in_hand: Option<&Secret>) {
        let slots = self.slots(number);
        let live = self.stage.provider.sandbox.passwords(&address(number));
        for password in live.into_iter().filter(|it| Some(it) != in_hand) {
            let in_place = locum::model::Slot::ALL.into_iter().filter_map(|slot| slots.in_slot(slot));
            let is_in_place = in_place.into_iter().any(|stored| *stored.material.part("secret").unwrap() == password);
            let label = self.counterpart.label_of(&address(number), &password);
            let is_named = slots.leftovers.iter().any(|left| label.as_ref() == Some(&left.label));
            assert!(is_in_place || is_named, "{label:?} is live and forgotten: {slots:#?}");
        }
    }

    /// The previous one is the first password; the current one is this.
    pub(crate) fn overlap(&self, number: usize, current: &str, label: &str) {
        let (secret, name) = (Secret::new(current), address(number));
        self.stage.provider.sandbox.add_password(&name, secret.clone());
        self.counterpart.name(&name, label, &secret);
        let now = Timestamp::now();
        self.change(number, |slots| {
            let before = slots.current.replace(stored(current, label)).unwrap();
            let retire_at = now + Duration::from_secs(3600);
            let (op, since) = (format!("id-{label}"), now); // what brought the current one
            slots.previous = Some(Previous { credential: before, op, since, retire_at, usable: true });
        });
    }

    /// One more that is to be deleted at the provider.
    pub(crate) fn leave(&self, number: usize, label: &str) {
        let (secret, name) = (Secret::new(format!("{label}password")), address(number));
        self.stage.provider.sandbox.add_password(&name, secret.clone());
        self.counterpart.name(&name, label, &secret);
        let (id, label, since) = (format!("id-{label}"), label.to_owned(), Timestamp::now());
        let (by, why) = ("operator@scene".to_owned(), LeftoverReason::Retired);
        self.change(number, |slots| {
            slots.leftovers.push(Leftover { id, label, since, by, why, until: None, upstream: None });
        });
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut Slots)) {
        self.runtime.block_on(async {
            let found = self.directory.latest_account(&address(number)).await.unwrap().unwrap();
            let mut account = found.record;
            change(account.credentials.get_mut(&CredentialKind::AppPassword).unwrap());
            self.directory.put_account(&account, Some(found.version)).await.unwrap();
        });
    }
}

fn runtime() -> Arc<Runtime> {
    Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// A credential as an operator would have stored it.
fn stored(secret: &str, label: &str) -> StoredCredential {
    let (secret, id) = (Secret::new(secret), format!("id-{label}"));
    credential::new_app_password(&secret, AppPasswordFormat::Verbatim, id, label, Timestamp::now()).unwrap()
}
