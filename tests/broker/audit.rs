//! The audit of a whole node: verified by others' tools, kept before anybody is let in where that is asked for, and read by
//! fail2ban.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use locum::audit::{self, What};
use locum::model::{Protocol, Refusal};

use crate::answers::{accepted, refused};
use crate::support::{Door, Lab, Plan, Wire, present};

/// The whole rule, in the words of `docs/operations.md`.
const VERIFY: &str = r#"
prev=$(printf '%064d' 0); seq=0
while IFS= read -r line; do
    seq=$((seq + 1))
    [ "$(printf %s "$line" | jq -r '"\(.seq) \(.prev)"')" = "$seq $prev" ] || { echo "line $seq is wrong"; exit 1; }
    prev=$(printf %s "$line" | sha256sum | cut -d' ' -f1)
done
echo "$seq:$prev"
"#;

#[tokio::test]
async fn anybody_can_verify_the_audit_with_jq_and_sha256sum() {
    let lab = Lab::start().await;
    for _ in 0..3 {
        lab.log_in(Protocol::Imap, &lab.alice).await.finish().await;
        lab.present(Protocol::Pop3, "nobody \"€\\", "x").await.0.finish().await;
    }
    let lines = lab.audit().len();
    let path = lab.path("audit.jsonl");
    let run = |path: &Path| {
        let run = Command::new("sh").args(["-c", VERIFY]).stdin(fs::File::open(path).unwrap()).output().unwrap();
        (run.status.success(), String::from_utf8(run.stdout).unwrap().trim().to_owned())
    };
    let (is_good, said) = run(&path);
    assert!(is_good, "{said}");
    let report = audit::verify(&path, &[], &[said.parse().unwrap()]).unwrap();
    assert!(report.ok && report.last_seq >= Some(lines as u64), "{report:?}");

    let changed = lab.path("changed.jsonl");
    fs::write(&changed, fs::read_to_string(&path).unwrap().replacen("unknown login", "unknown l0gin", 1)).unwrap();
    assert!(!run(&changed).0);
    assert_eq!(
        audit::verify(&changed, std::slice::from_ref(&changed), &[]).unwrap().broken.unwrap().what,
        What::Changed
    );
}

#[tokio::test]
async fn nobody_is_let_in_unseen_where_the_audit_fails_closed() {
    let lab = Plan::new().tune(|config| config.audit.fail_closed = true).start().await;
    lab.log_in(Protocol::Imap, &lab.alice).await.finish().await;
    let seen = lab.audit().len();
    // A folder in its place: not even root can write that.
    let (path, aside) = (lab.path("audit.jsonl"), lab.path("aside"));
    fs::rename(&path, &aside).unwrap();
    fs::create_dir(&path).unwrap();
    for protocol in Protocol::ALL {
        let (_, reply) = lab.present(protocol, &lab.alice.login, &lab.alice.secret).await;
        assert_eq!(reply, refused(protocol, Refusal::Unavailable));
    }
    fs::remove_dir(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    // The writer looks again after a second.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let (_wire, reply) = lab.present(Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
        if reply == accepted(Protocol::Imap) || reply.contains("Logged in") {
            break;
        }
        assert!(std::time::Instant::now() < until, "{reply}");
    }
    let events = lab.audit();
    assert!(events.iter().any(|event| event["event"] == "lost"), "what is not in the file is counted there");
    assert!(events.len() > seen);
    assert!(audit::verify(&path, &[], &[]).unwrap().ok);
}

const PROXIED: &str = r#"
[[listener]]
name = "proxied"
protocol = "imap"
bind = "127.0.0.1:0"
proxy-protocol-from = "127.0.0.2"
"#;

/// The addresses that fail2ban takes out of a file of lines.
fn banned(path: &Path) -> Vec<String> {
    let filter = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/deploy/fail2ban/filter.d/locum.conf");
    let run = Command::new("fail2ban-regex").args(["-o", "ip"]).arg(path).arg(filter).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn fail2ban_bans_who_fails_and_nobody_whom_they_name() {
    let plan = Plan::new().toml(PROXIED).tune(|config| config.broker.failures_per_login_max = 2);
    let lab = plan.start().await;
    let from = |last: u8| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    let fail = async |last: u8, login: &str, secret: &str| {
        let address = lab.address(&Door::Plain.listener(Protocol::Submission));
        let mut wire = Wire::connect_from(from(last), address).await;
        wire.line().await;
        wire.ehlo().await;
        present(&mut wire, Protocol::Submission, login, secret).await;
    };
    // Let in: not banned.
    fail(3, &lab.alice.login, &lab.alice.secret).await;
    fail(4, &lab.alice.login, "wrong").await;
    fail(5, "nobody", "wrong").await;
    let forged =
        r#"x","peer":"203.0.113.1","tls":true,"event":"decision","outcome":"deny","reason":"unknown login","login":"y"#;
    fail(6, forged, "wrong").await;
    let whole = format!(
        r#"{{"seq":1,"prev":"{}","run":"0","time":"2026-01-01T00:00:00Z","session":1,"listener":"a","protocol":"imap","peer":"203.0.113.2","tls":true,"event":"decision","outcome":"deny","reason":"unknown login","login":"y"}}"#,
        "0".repeat(64)
    );
    fail(7, &whole, "wrong").await;
    fail(8, "203.0.113.3", "203.0.113.4").await;

    // Behind a front end it is the client that fails, and the front end that is never banned.
    let mut wire = Wire::connect_from(from(2), lab.address("proxied")).await;
    wire.write("PROXY TCP4 192.0.2.9 198.51.100.1 50000 993\r\n").await;
    let mut wire = wire.start_tls(&lab.client_tls).await;
    wire.line().await;
    present(&mut wire, Protocol::Imap, "nobody", "wrong").await;

    // Until the throttle holds it back: that is one line, and the same address.
    for guess in ["one", "two", "three"] {
        fail(9, "nobody", guess).await;
    }
    assert!(
        lab.audit().iter().any(|event| event["reason"].as_str().is_some_and(|it| it.starts_with("too many failed")))
    );
    let mut found = banned(&lab.path("audit.jsonl"));
    found.sort();
    found.dedup();
    let expected = ["127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7", "127.0.0.8", "127.0.0.9", "192.0.2.9"];
    assert_eq!(found, expected);
}
