//! `locum report usage` and `locum report inventory`, on what nodes are made to have seen: as a table, as CSV and as JSON, with
//! names that somebody made up to do harm.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use locum::broker::Directory;
use locum::config::Config;
use locum::model::{CredentialKind, Protocol, SecretSource, SeenKey, SeenUpstream, Sighting};
use locum::store;
use tokio::runtime::Runtime;

use crate::support::Home;

const SECRET: &str = "abcdefghijklmnop";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const CONFIG: &str = r#"
[upstream.exchange]
preset = "exchange-online"
[[upstream.exchange.date]]
day = "2030-01-02"
what = "the house moves away"
ends = "app-password"
protocols = "submission"
"#;

struct Scene {
    home: Home,
    runtime: Runtime,
    directory: Directory,
}

impl Scene {
    /// With accounts of these names, each with an app password.
    fn set(accounts: &[&str]) -> Self {
        let home = Home::with_config(CONFIG);
        home.write("upstream.crt", home.read("tls.crt"));
        home.write("secret", SECRET);
        for account in accounts {
            home.run(&["account", "add", account, "--upstream", "exchange", "--secret-file", "secret"]).succeeded();
        }
        let runtime = Runtime::new().unwrap();
        let config = Config::load(&home.path("locum.toml")).unwrap();
        let store = runtime.block_on(store::open(&config.store)).unwrap();
        Self { home, runtime, directory: Directory::of_operator(store, "operator@test") }
    }

    /// A client that was there so long ago.
    fn seen(&self, login: &str, account: &str, tls: Option<&str>, ago: Duration) {
        let at = Timestamp::now() - ago;
        let key = SeenKey {
            login: login.to_owned(),
            account: Some(account.to_owned()),
            protocol: Protocol::Submission,
            listener: "submission".to_owned(),
            tls: tls.map(str::to_owned),
            method: "AUTH LOGIN".to_owned(),
            secret: Some("s1".to_owned()),
        };
        let mut seen = Sighting::new(key, at);
        (seen.logins, seen.bytes_up, seen.source) = (3, 4096, Some(SecretSource::Issued));
        seen.came_from(IpAddr::from([192, 0, 2, 7]), at);
        let kind = CredentialKind::AppPassword;
        seen.upstream = Some(SeenUpstream { profile: "exchange".to_owned(), kind, credential: "c1".to_owned(), at });
        self.runtime.block_on(self.directory.put_seen(&seen, None)).unwrap();
    }

    fn stdout(&self, arguments: &[&str]) -> String {
        let run = self.home.run(arguments).succeeded();
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(SECRET), "{run:#?}");
        run.stdout
    }
}

/// The records of a CSV file, by a reader of another make than what wrote it.
fn csv(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn every_client_is_a_row_and_can_be_asked_for_by_name_account_and_time() {
    let scene = Scene::set(&[]);
    scene.seen("scanner", "scan@x.test", Some("TLSv1.2"), DAY * 2);
    scene.seen("fax", "fax@x.test", None, DAY * 40);
    let table = scene.stdout(&["report", "usage"]);
    let line = table.lines().find(|line| line.contains("scanner")).unwrap();
    for part in ["scan@x.test", "submission", "TLSv1.2", "AUTH LOGIN", "s1", "app password c1"] {
        assert!(line.contains(part), "{part}: {table}");
    }
    for (asked, login) in [
        (["--client", "SCANNER"], "scanner"),
        (["--account", "fax@x.test"], "fax"),
        (["--since", &Timestamp::now().strftime("%Y-%m-01").to_string()], "scanner"),
    ] {
        let rows = scene.home.run(&[&["report", "usage", "--json"], &asked[..]].concat()).succeeded().json();
        let names: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["login"].as_str().unwrap()).collect();
        // At the beginning of a month two days ago are in the one before.
        assert!(names == [login] || (asked[0] == "--since" && names.is_empty()), "{asked:?}: {names:?}");
    }
    let row = scene.home.run(&["report", "usage", "--json", "--client", "scanner"]).succeeded().json()[0].clone();
    assert_eq!((&row["logins"], &row["tls"], &row["bytes_up"]), (&3.into(), &"TLSv1.2".into(), &4096.into()));
    assert_eq!(row["networks"][0]["network"], "192.0.2.7/32");
    assert_eq!((&row["source"], row.get("messages")), (&"issued".into(), None), "nobody counted them");
    scene.home.run(&["report", "usage", "--json", "--csv"]).ended(64);
    scene.home.run(&["report", "usage", "--since", "yesterday"]).ended(64);
}

#[test]
fn a_login_name_is_no_formula_and_no_command_to_a_terminal() {
    let scene = Scene::set(&[]);
    for login in ["=cmd|' /C calc'!A0", "@SUM(A1)", "\u{1b}[2Jx\r\ny\",z"] {
        scene.seen(login, "scan@x.test", None, DAY);
    }
    let text = scene.stdout(&["report", "usage", "--csv"]);
    assert!(text.lines().all(|line| line.chars().all(|c| !c.is_control())), "{text:?}");
    let rows = csv(&text);
    assert_eq!((rows.len(), rows[0][0].as_str()), (4, "client"));
    let mut logins: Vec<&str> = rows[1..].iter().map(|row| row[0].as_str()).collect();
    logins.sort_unstable();
    assert_eq!(logins, ["'=cmd|' /C calc'!A0", "'@SUM(A1)", "[2Jxy\",z"]);
    for format in [&["report", "usage"][..], &["report", "usage", "--json"], &["report", "inventory"]] {
        let text = scene.stdout(format);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n') && !text.contains("\\u001b"), "{text:?}");
    }
}

#[test]
fn what_was_there_long_ago_is_forgotten_and_nothing_else() {
    let scene = Scene::set(&[]);
    scene.seen("scanner", "scan@x.test", None, DAY * 2);
    scene.seen("fax", "fax@x.test", None, DAY * 400);
    let before = (Timestamp::now() - DAY * 300).to_string();
    scene.home.run(&["report", "usage", "--forget-before", &before]).succeeded().said("1 forgotten");
    let left = scene.home.run(&["report", "usage", "--json"]).succeeded().json();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["login"]), (1, &"scanner".into()));
}

#[test]
fn an_inventory_says_what_ends_on_which_day_and_what_to_do() {
    let scene = Scene::set(&["scan@x.test", "fax@x.test"]);
    scene.seen("scanner", "scan@x.test", None, DAY);
    for (login, account) in [("scanner", "scan@x.test"), ("spare", "scan@x.test")] {
        scene.home.run(&["client", "issue", login, "--account", account]).succeeded();
    }
    let told = scene.home.run(&["report", "inventory", "--json"]).succeeded().json();
    let dates = told["dates"].as_array().unwrap();
    let days: Vec<&str> = dates.iter().map(|date| date["day"].as_str().unwrap_or("-")).collect();
    assert_eq!(days, ["2023-01-01", "2026-07-01", "2026-12-31", "2027-01-01", "2030-01-02", "-"]);
    let of_day = &dates[2];
    assert_eq!((&of_day["upstream"], &of_day["ends"]), (&"exchange".into(), &"app-password".into()));
    let accounts = of_day["accounts"].as_array().unwrap();
    let names: Vec<&str> = accounts.iter().map(|it| it["account"].as_str().unwrap()).collect();
    assert_eq!(names, ["fax@x.test", "scan@x.test"]);
    assert_eq!(accounts[0]["clients"], serde_json::json!([]), "nobody was seen");
    let todo = accounts[1]["todo"].as_str().unwrap();
    assert_eq!(todo, "locum oauth add-tenant x.test, or locum oauth login scan@x.test");
    let clients = accounts[1]["clients"].as_array().unwrap();
    assert_eq!((&clients[0]["client"], &clients[0]["logins"]), (&"scanner".into(), &3.into()));
    assert_eq!(clients[1], serde_json::json!({"client": "spare"}), "it has never been there");
    assert_eq!(dates[0]["accounts"], serde_json::json!([]), "no password is used for IMAP there");
    assert_eq!(dates[4]["accounts"].as_array().unwrap().len(), 2, "a day that the operator named");
    assert_eq!(told["weak_tls"][0]["client"], "scanner");

    let table = scene.stdout(&["report", "inventory"]);
    let heading = table.lines().find(|line| line.contains("2026-12-31")).unwrap();
    assert!(heading.contains("exchange, submission app password: passwords are off by default"), "{table}");
    assert!(table.contains("scanner, (spare)") && table.contains("never"), "{table}");
    assert!(table.contains("clients without TLS of today:"), "{table}");
    let rows = csv(&scene.stdout(&["report", "inventory", "--csv"]));
    let of_day: Vec<&Vec<String>> = rows.iter().filter(|row| row[0] == "2026-12-31").collect();
    let pairs: Vec<(&str, &str)> = of_day.iter().map(|row| (row[6].as_str(), row[10].as_str())).collect();
    assert_eq!(pairs, [("fax@x.test", ""), ("scan@x.test", "scanner"), ("scan@x.test", "spare")]);
    let of_domain = scene.home.run(&["report", "inventory", "--json", "--domain", "y.test"]).succeeded().json();
    assert_eq!((&of_domain["weak_tls"], &of_domain["credentials"]), (&serde_json::json!([]), &serde_json::json!([])));
}
