//! The overview and the reports over HTTP: what they say of a small house, and what they cost in a large one.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use locum::broker::{Directory, client_secret};
use locum::config::Config;
use locum::credential;
use locum::model::{
    Account, AppPasswordFormat, Binding, Client, CredentialKind, Identity, Policy, Preference, Secret, Slots,
};
use locum::store;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::{DEADLINE, Home, Served, ask};

const CONFIG: &str = "[upstream.exchange]\npreset = \"exchange-online\"\n[admin]\nsocket = \"admin.sock\"\napi = true\n\
                      [[listener]]\nname = \"imap\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n";

const SECRET: &str = "abcdefghijklmnop";

fn scene() -> Home {
    let home = Home::with_config(CONFIG);
    home.write("upstream.crt", home.read("tls.crt"));
    home.write("secret", SECRET);
    home
}

/// The overview, once there is one in which that holds.
fn overview(home: &Home, is_it: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let (status, overview) = ask(home, "GET", "/v1/overview", None);
        if status == 200 && is_it(&overview) {
            return overview;
        }
        assert!(began.elapsed() < DEADLINE, "{status} {overview}");
    }
}

#[test]
fn an_overview_says_what_is_there_what_ends_and_who_breaks() {
    let home = scene();
    for account in ["a@contoso.test", "b@contoso.test"] {
        home.run(&["account", "add", account, "--upstream", "exchange", "--secret-file", "secret"]).succeeded();
    }
    let soon = format!("{:.0}", Timestamp::now() + Duration::from_secs(5 * 24 * 60 * 60));
    home.run(&["client", "issue", "scan", "--account", "a@contoso.test", "--expires", &soon]).succeeded();
    home.run(&["client", "add", "bare", "--account", "a@contoso.test"]).succeeded();
    let node = home.serve();
    let overview = overview(&home, |_| true);
    let at = |path: &str| overview.pointer(path).unwrap_or(&Value::Null).clone();
    assert_eq!((at("/accounts/total"), at("/accounts/without_client")), (2.into(), 1.into()), "{overview}");
    assert_eq!((at("/clients/total"), at("/clients/without_secret")), (2.into(), 1.into()), "{overview}");
    assert_eq!(at("/inventory/exchange/app_passwords"), 2, "{overview}");
    assert_eq!((at("/sessions"), at("/readiness/ready")), (0.into(), true.into()), "{overview}");
    let attention = overview["attention"].as_array().unwrap();
    assert!(attention.iter().any(|it| it["why"] == "secret-ends" && it["client"] == "scan"), "{overview}");
    let day = overview["dates"].as_array().unwrap().iter().find(|day| day["breaking"] == 2);
    assert_eq!(day.map(|day| &day["clients"]), Some(&2.into()), "{overview}");
    assert!(!overview.to_string().contains(SECRET));

    // The same accounts, in parts that follow one another.
    let (_, first) = ask(&home, "GET", "/v1/reports/dates?limit=1", None);
    let (_, second) = ask(&home, "GET", "/v1/reports/dates?limit=1&after=1", None);
    let account = |part: &Value| part["items"][0]["account"].as_str().unwrap().to_owned();
    assert_eq!((account(&first), account(&second)), ("a@contoso.test".to_owned(), "b@contoso.test".to_owned()));
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let (status, part) = ask(&home, "GET", &format!("/v1/reports/inventory?limit=1{after}"), None);
        assert_eq!(status, 200, "{part}");
        names.extend(part["items"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()));
        let Some(next) = part["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    names.sort();
    assert_eq!(names, ["a@contoso.test", "b@contoso.test"]);
    let (status, rotation) = ask(&home, "GET", "/v1/reports/rotation", None);
    assert_eq!((status, &rotation["items"]), (200, &Value::Array(Vec::new())), "{rotation}");
    node.stop();
}

/// The largest resident set that a process has had, in KiB.
fn peak_kib(node: &Served) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn account(number: usize) -> Account {
    let (id, format, now) = (client_secret::random_id().unwrap(), AppPasswordFormat::Verbatim, Timestamp::now());
    let stored = credential::new_app_password(&Secret::new(SECRET), format, id, "scanner", now).unwrap();
    Account {
        name: format!("mailbox-{number:05}@contoso.test"),
        upstream: "exchange".to_owned(),
        identity: Identity::default(),
        credentials: BTreeMap::from([(CredentialKind::AppPassword, Slots::of(stored))]),
        preference: Preference::default(),
        class: None,
    }
}

fn client(number: usize) -> Client {
    let (secret, _) = client_secret::issue("first", None, Timestamp::now()).unwrap();
    let bindings = vec![Binding::Account(format!("mailbox-{number:05}@contoso.test"))];
    Client { login: format!("scanner-{number:05}"), secrets: vec![secret], bindings, policy: Policy::default() }
}

/// What `docs/benchmarks.md` says of the overview: run it with `--ignored --nocapture`.
#[test]
#[expect(clippy::print_stdout, reason = "it measures, and is run by hand")]
#[ignore = "it makes 20,000 records"]
fn an_overview_of_ten_thousand() {
    const COUNT: usize = 10_000;
    let home = scene();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let config = Config::load(&home.path("locum.toml")).unwrap();
        let directory = Directory::of_operator(store::open(&config.store).await.unwrap(), "operator@test");
        let directory = &directory;
        let put = |number| async move {
            directory.put_account(&account(number), None).await.unwrap();
            directory.put_client(&client(number), None).await.unwrap();
        };
        stream::iter((0..COUNT).map(put)).buffer_unordered(32).collect::<Vec<()>>().await;
    });
    let node = home.serve();
    let before = peak_kib(&node);
    let timed = |path: &str| {
        let began = Instant::now();
        let (status, answer) = ask(&home, "GET", path, None);
        println!("{path}: {status} after {:?}, {} bytes", began.elapsed(), answer.to_string().len());
        answer
    };
    timed("/v1/overview");
    let overview = overview(&home, |overview| overview["accounts"]["total"] == COUNT);
    println!("all records read in {} ms", overview["took_ms"]);
    let again = Instant::now();
    timed("/v1/overview");
    assert!(again.elapsed() < Duration::from_secs(1), "it reads nothing");
    for path in
        ["/v1/clients", "/v1/clients?limit=200", "/v1/reports/inventory?limit=200", "/v1/reports/dates?limit=200"]
    {
        timed(path);
    }
    timed("/v1/reports/rotation?limit=200");
    let after = peak_kib(&node);
    println!("memory of the node at its most: {before} KiB, then {after} KiB");
    assert!(after < before + 200 * 1024, "{before} KiB, then {after} KiB");
    node.stop();
}
