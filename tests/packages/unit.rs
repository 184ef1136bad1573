//! The life of the package on a machine of its own, as an operator sees it: installed, set up, started, asked, reloaded,
//! replaced while clients log in, refused for a bad configuration, and purged. What runs is the shipped unit, by systemd.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::child::{self, eventually};
use crate::deb::Package;
use crate::machine::Machine;

const CONFIG: &str = "/etc/locum/locum.toml";
/// More than `systemd-analyze security` may find, times ten: 2.0.
const EXPOSURE_MAX: &str = "20";
/// Exit code of a configuration that is wrong.
const BAD_CONFIG: &str = "78";

/// A machine with the package, and what its one client logs in with.
struct Site {
    machine: Machine,
    login: Login,
}

struct Login {
    address: String,
    secret: String,
    /// The certificate, beside the machine.
    authority: tempfile::NamedTempFile,
}

#[test]
fn the_package_lives_its_whole_life_on_a_clean_debian() {
    let package = Package::make();
    let machine = Machine::start();
    machine.copy(&package.file, "/locum.deb");
    machine.sh("dpkg --install /locum.deb");
    what_is_there_is_locked_and_nothing_runs(&machine);
    let login = set_up(&machine);
    let site = Site { machine, login };
    site.serves_as_its_own_user_in_its_cage();
    site.takes_its_key_from_the_service_manager();
    site.reloads();
    site.is_replaced_while_clients_log_in();
    site.does_not_start_again_and_again_with_a_bad_configuration();
    site.leaves_what_nobody_could_bring_back();
}

fn what_is_there_is_locked_and_nothing_runs(machine: &Machine) {
    let modes = machine.sh("stat -c '%U:%G %a %n' /etc/locum /etc/locum/private /var/lib/locum /var/log/locum");
    assert_eq!(
        modes,
        "root:root 755 /etc/locum\nlocum:locum 700 /etc/locum/private\nlocum:locum 700 /var/lib/locum\n\
         locum:locum 750 /var/log/locum\n"
    );
    machine.sh("! systemctl --quiet is-active locum.service && ! systemctl --quiet is-active locum.socket");
    let shell = machine.sh("getent passwd locum");
    assert!(shell.trim_end().ends_with("nologin"), "{shell}");
    let said = machine.sh("systemd-analyze verify --man=no /usr/lib/systemd/system/locum.* 2>&1");
    assert!(!said.contains("locum"), "{said}");
    let unit = "/usr/lib/systemd/system/locum.service";
    let found = machine.sh(&format!(
        "systemd-analyze security --no-pager --offline=true --threshold={EXPOSURE_MAX} {unit} | tail -n 1"
    ));
    assert!(found.contains("Overall exposure level for locum.service: "), "{found}");
}

/// Sets it up as docs/install.md says, with the providers of the demo.
fn set_up(machine: &Machine) -> Login {
    machine.sh("systemd-run --quiet --unit provider /usr/bin/locum demo");
    let said = eventually("the providers", || {
        let said = machine.sh("journalctl --unit provider --output cat --no-pager");
        said.contains("Ctrl-C ends it").then_some(said)
    });
    let after = |text: &str, word: &str| text.split_once(word).unwrap().1.lines().next().unwrap().trim().to_owned();
    let address = said.lines().find_map(|line| line.trim().strip_suffix(" at gmail")).unwrap().to_owned();
    let app_password = after(&said, "the provider knows the app password");
    machine.sh("install -o locum -m 644 /tmp/locum-demo-*/gmail.crt /etc/locum/private/");

    let providers = machine.sh("cat /tmp/locum-demo-*/locum.toml");
    let providers: toml::Table = providers.parse().unwrap();
    let gmail = toml::Table::from_iter([("gmail".to_owned(), providers["upstream"]["gmail"].clone())]);
    let mut config: toml::Table = machine.sh(&format!("cat {CONFIG}")).parse().unwrap();
    config.insert("name".to_owned(), "mail.example.com".into());
    config.insert("upstream".to_owned(), gmail.into());
    config["tls"].as_table_mut().unwrap().insert("upstream-ca-files".to_owned(), "private/gmail.crt".into());
    machine.write(CONFIG, toml::to_string(&config).unwrap());

    machine.sh("runuser -u locum -- locum init");
    assert_eq!(
        machine.sh("cd /etc/locum/private && stat -c '%U %a %n' locum.key tls.key /var/lib/locum/locum.db"),
        "locum 600 locum.key\nlocum 600 tls.key\nlocum 600 /var/lib/locum/locum.db\n"
    );
    let add = format!("runuser -u locum -- locum account add {address} --upstream gmail --secret-stdin");
    machine.sh_with(&add, &app_password);
    let secret = machine.sh(&format!("runuser -u locum -- locum client issue alice --account {address}"));
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), machine.sh("cat /etc/locum/private/tls.crt")).unwrap();
    Login { address, secret: secret.trim().to_owned(), authority }
}

impl Site {
    fn serves_as_its_own_user_in_its_cage(&self) {
        let Self { machine, .. } = self;
        machine.sh("systemctl enable --now locum.service");
        machine.sh("systemctl is-active locum.service locum.socket && systemctl is-enabled locum.service locum.socket");
        let said = machine.sh("runuser -u locum -- locum health");
        assert!(said.contains("\"ready\":true"), "{said}");
        self.a_client_logs_in();
        let status = machine.sh(&format!("cat /proc/{}/status", self.pid()));
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let user = machine.sh("id -u locum");
        assert_eq!(of("Uid:").split_whitespace().collect::<Vec<_>>(), [user.trim(); 4]);
        assert_eq!((of("CapEff:"), of("CapBnd:")), ("0".repeat(16), "0".repeat(16)));
        assert_eq!((of("NoNewPrivs:"), of("Seccomp:")), ("1".to_owned(), "2".to_owned()));
        let audit = machine.sh("stat -c '%U %a' /var/log/locum/audit.jsonl && cat /var/log/locum/audit.jsonl");
        assert!(audit.starts_with("locum 600\n") && audit.contains("\"outcome\":\"accepted\""), "{audit}");
        // It complains of nothing that it would do and may not.
        let said = machine.sh("journalctl --unit locum --output cat --no-pager");
        assert!(!said.contains("core dumps") && !said.contains("not permitted"), "{said}");
    }

    /// As docs/install.md shows it for a key that a TPM seals, but for the sealing.
    fn takes_its_key_from_the_service_manager(&self) {
        let Self { machine, .. } = self;
        machine.sh("mkdir -p /etc/systemd/system/locum.service.d && systemctl stop locum.service");
        machine.write(
            "/etc/systemd/system/locum.service.d/key.conf",
            "[Service]\nLoadCredential=locum.key:/etc/locum/private/locum.key\n",
        );
        machine.sh(&format!("sed -i 's,^key-file = .*,key-credential = \"locum.key\",' {CONFIG}"));
        machine.sh("systemctl daemon-reload && systemctl start locum.service");
        self.a_client_logs_in();
        let by_hand = "runuser -u locum -- env CREDENTIALS_DIRECTORY=/etc/locum/private locum account list";
        assert!(machine.sh(by_hand).contains(&self.login.address));
    }

    fn reloads(&self) {
        let before = self.pid();
        self.machine.sh("systemctl reload locum.service");
        self.a_client_logs_in();
        assert_eq!(self.pid(), before);
        self.machine.sh("systemctl is-active locum.service");
    }

    fn is_replaced_while_clients_log_in(&self) {
        let (before, is_over) = (self.pid(), AtomicBool::new(false));
        let logins = thread::scope(|scope| {
            let clients = scope.spawn(|| {
                let mut logins = 0;
                while !is_over.load(Ordering::Relaxed) {
                    self.a_client_logs_in();
                    logins += 1;
                }
                logins
            });
            self.machine.sh("dpkg --install /locum.deb");
            eventually("a successor", || (self.pid() != before).then_some(()));
            is_over.store(true, Ordering::Relaxed);
            clients.join().unwrap()
        });
        assert!(logins > 0, "no client came meanwhile");
        self.a_client_logs_in();
        // Without sessions the one before has nothing to stay for.
        self.machine.sh(&format!("while test -d /proc/{before}; do sleep 0.1; done"));
        self.machine.sh("systemctl is-active locum.service");
    }

    fn does_not_start_again_and_again_with_a_bad_configuration(&self) {
        let Self { machine, .. } = self;
        machine.sh(&format!("cp {CONFIG} /good.toml && echo 'colour = 1' >>{CONFIG}"));
        machine.sh("! systemctl restart locum.service 2>/dev/null");
        let shown = machine.sh("systemctl show --property ExecMainStatus,NRestarts,ActiveState locum.service");
        let wanted = [&format!("ExecMainStatus={BAD_CONFIG}"), "NRestarts=0", "ActiveState=failed"];
        assert!(wanted.iter().all(|it| shown.lines().any(|line| line == *it)), "{shown}");
        machine.sh(&format!("mv /good.toml {CONFIG} && systemctl reset-failed && systemctl start locum.service"));
        self.a_client_logs_in();
    }

    fn leaves_what_nobody_could_bring_back(&self) {
        let Self { machine, .. } = self;
        machine.sh("dpkg --purge locum");
        machine.sh("! systemctl --quiet is-active locum.service && ! systemctl --quiet is-active locum.socket");
        machine.sh("! test -e /usr/bin/locum && ! test -e /etc/locum/locum.toml");
        machine.sh("test -s /etc/locum/private/locum.key && test -s /var/lib/locum/locum.db");
    }

    fn pid(&self) -> String {
        self.machine.sh("systemctl show --property MainPID --value locum.service").trim().to_owned()
    }

    /// It lists its folders, through Locum, at the provider.
    #[track_caller]
    fn a_client_logs_in(&self) {
        let Login { secret, authority, .. } = &self.login;
        let mut curl = self.machine.beside("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20", "--config", "-", "--cacert"]).arg(authority.path());
        curl.arg("imaps://localhost:993/");
        let output = child::run(&mut curl, format!("user = \"alice:{secret}\"\n").as_bytes());
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("INBOX"), "{said}{complained}\n{}", self.machine.sh("journalctl -u locum --no-pager"));
    }
}

/// What lintian may say: cargo-deb takes the synopsis from the description of the crate; there is no bug of a distribution to
/// close; and no helper of Debian's sends a signal.
const LINTIAN_MAY_SAY: &[&str] = &[
    "description-synopsis-starts-with-article",
    "synopsis-too-long",
    "initial-upload-closes-no-bugs",
    "maintainer-script-calls-systemctl",
];

#[test]
fn lintian_finds_nothing_in_the_package() {
    // Looking through the program takes it a minute, and is the compiler's to answer for.
    let package = Package::with("/bin/true".as_ref());
    // Perl, and many packages of it: on a busy machine it takes its time.
    let output =
        Command::new("lintian").args(["--fail-on", "none", "--allow-root"]).arg(&package.file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let strange: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("E: ") || line.starts_with("W: "))
        .filter(|line| !LINTIAN_MAY_SAY.iter().any(|tag| line.contains(tag)))
        .collect();
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}
