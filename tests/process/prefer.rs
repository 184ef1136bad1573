//! Which kind of credential is used, switched for one account, for a list, and for a domain.

use crate::support::{Home, Run};

const USAGE: i32 = 64;
const DATA: i32 = 65;
const NOT_FOUND: i32 = 66;

/// A folder with three accounts of contoso.test, which has a credential for all, and one of another domain.
fn home() -> Home {
    let home = Home::made();
    home.write("secret", "x~secret");
    for (name, upstream) in [
        ("alice@contoso.test", "exchange-online"),
        ("Bob@Contoso.test", "exchange-online"),
        ("carol@contoso.test", "gmail"),
        ("dave@sub.contoso.test", "exchange-online"),
    ] {
        home.run(&["account", "add", name, "--upstream", upstream, "--secret-file", "secret"]).succeeded();
    }
    let named = ["--upstream", "exchange-online", "--tenant", "contoso.test", "--client-id", "app"];
    let tenant = [&["oauth", "add-tenant", "contoso.test", "--secret-file", "secret"], &named[..]].concat();
    home.run(&tenant).succeeded();
    home
}

fn preference(home: &Home, account: &str) -> serde_json::Value {
    home.run(&["account", "show", account, "--json"]).succeeded().json()["preference"].clone()
}

fn set(home: &Home, more: &[&str]) -> Run {
    home.run(&[&["account", "set"], more].concat())
}

#[test]
fn one_account_is_switched_and_switched_back() {
    let home = home();
    let alice = "alice@contoso.test";
    let run = set(&home, &[alice, "--prefer", "oauth2", "--prefer-for", "submission=app-password,oauth2"]).succeeded();
    run.said(
        "changed; the app password stays\n  imap        OAuth2\n  pop3        OAuth2\n  submission  app password\n",
    );
    let wanted = serde_json::json!({ "all": ["oauth2"], "submission": ["app-password", "oauth2"] });
    assert_eq!(preference(&home, alice), wanted);
    let text = home.run(&["account", "show", alice]).succeeded().stdout;
    assert!(text.contains("prefers     OAuth2; submission: app password, then OAuth2\n"), "{text}");
    let text = home.run(&["account", "list"]).succeeded().stdout;
    assert!(text.contains("OAuth2; submission: app password, then OAuth2"), "{text}");

    set(&home, &[alice, "--prefer-for", "submission=none"]).succeeded();
    assert_eq!(preference(&home, alice), serde_json::json!({ "all": ["oauth2"] }));
    let run = set(&home, &[alice, "--prefer", "none", "--label", "x"]).succeeded();
    run.said("  imap        OAuth2\n").said("  submission  app password\n");
    assert_eq!(preference(&home, alice), serde_json::Value::Null);
    let run = set(&home, &[alice, "--prefer", "app-password"]).succeeded();
    run.said("  imap        nothing that exchange-online takes: logins fail\n");
}

#[test]
fn a_kind_that_is_not_there_is_not_preferred() {
    let home = home();
    // Its domain has one, but for another upstream; and another domain's counts for nobody else.
    for account in ["carol@contoso.test", "dave@sub.contoso.test"] {
        let run = set(&home, &[account, "--prefer", "oauth2"]).ended(DATA);
        run.said(&format!("{account} has no OAuth2 credential that could be preferred"));
        set(&home, &[account, "--prefer-for", "imap=oauth2"]).ended(DATA);
        assert_eq!(preference(&home, account), serde_json::Value::Null);
        set(&home, &[account, "--prefer", "oauth2,app-password"]).succeeded();
    }
    home.run(&["account", "add", "erin@contoso.test", "--upstream", "exchange-online", "--oauth2-only"]).succeeded();
    set(&home, &["erin@contoso.test", "--prefer", "app-password"]).ended(DATA).said("has no app password");
    set(&home, &["nobody@contoso.test", "--prefer", "oauth2"]).ended(NOT_FOUND);
    set(&home, &["alice@contoso.test", "--prefer", "oauth3"])
        .ended(USAGE)
        .said("expected \"oauth2\", \"app-password\"");
    set(&home, &["alice@contoso.test", "--prefer-for", "smtp=oauth2"]).ended(USAGE).said("\"submission\"");
}

#[test]
fn a_domain_is_switched_and_what_cannot_be_is_told() {
    let home = home();
    let domain = ["--domain", "@CONTOSO.test", "--prefer", "oauth2"];
    let run = set(&home, &domain).ended(DATA);
    assert_eq!(run.stdout, "3 accounts: 2 changed, 0 as wanted already, 1 refused\n");
    run.said("locum: carol@contoso.test has no OAuth2 credential").said("1 of 3 accounts are not as wanted");
    for account in ["alice@contoso.test", "bob@contoso.test"] {
        assert_eq!(preference(&home, account), serde_json::json!({ "all": ["oauth2"] }));
    }
    assert_eq!(preference(&home, "dave@sub.contoso.test"), serde_json::Value::Null);
    home.run(&["account", "remove", "carol@contoso.test"]).succeeded();
    let run = set(&home, &domain).succeeded();
    assert_eq!(run.stdout, "2 accounts: 0 changed, 2 as wanted already, 0 refused\n");
    set(&home, &["--domain", "nowhere.test", "--prefer", "oauth2"]).ended(NOT_FOUND).said("no account of nowhere.test");
    set(&home, &["--domain", "contoso.test"]).ended(USAGE).said("--prefer oauth2");
    set(&home, &["--domain", "contoso.test", "--prefer", "oauth2", "--label", "x"]).ended(USAGE).said("nothing else");
    set(&home, &["--domain", "contoso.test", "--prefer", "oauth2", "--upstream", "gmail"]).ended(USAGE);
    set(&home, &["alice@contoso.test", "--domain", "contoso.test", "--prefer", "oauth2"]).ended(USAGE);
}

#[test]
fn a_list_is_worked_off_whatever_is_wrong_with_some_lines() {
    let home = home();
    home.write(
        "list.csv",
        "\u{feff}\"Display name\";account;prefer\r\n\
         \"Alice; the first\";alice@contoso.test;oauth2\r\n\
         ;;\r\n\
         \"Bob;bob@contoso.test;oauth2\r\n\
         Bob;BOB@contoso.test;\r\n\
         Carol;carol@contoso.test;oauth2\r\n\
         Nobody;nobody@contoso.test;oauth2\r\n\
         Dave;dave@sub.contoso.test;\"oauth2,app-password\"\r\n\
         Dave;dave@sub.contoso.test;password\r\n",
    );
    let run = set(&home, &["--csv", "list.csv", "--prefer-for", "pop3=app-password"]).ended(DATA);
    let complaints: Vec<&str> = run.stderr.lines().filter_map(|line| line.strip_prefix("locum: line ")).collect();
    let begins: Vec<&str> = complaints.iter().map(|line| line.split(" (").next().unwrap()).collect();
    for (complaint, beginning) in begins.iter().zip([
        "4: a quote is opened and not closed",
        "6: carol@contoso.test has no OAuth2 credential",
        "7: there is no account nobody@contoso.test",
        "9: what is preferred: expected \"oauth2\"",
    ]) {
        assert!(complaint.starts_with(beginning), "{complaint}");
    }
    assert_eq!(begins.len(), 4, "{run:#?}");
    assert_eq!(run.stdout, "7 accounts: 3 changed, 0 as wanted already, 4 refused\n");
    let pop3 = serde_json::json!(["app-password"]);
    assert_eq!(preference(&home, "alice@contoso.test"), serde_json::json!({ "all": ["oauth2"], "pop3": pop3 }));
    assert_eq!(preference(&home, "bob@contoso.test"), serde_json::json!({ "pop3": pop3 }), "by --prefer-for alone");

    home.write("list.csv", "account\nalice@contoso.test\nbob@contoso.test\n");
    let run = set(&home, &["--csv", "list.csv"]).ended(DATA);
    run.said("line 2: it does not say what is preferred for alice@contoso.test, and no --prefer is given");
    let run = set(&home, &["--csv", "list.csv", "--prefer", "oauth2"]).succeeded();
    assert_eq!(run.stdout, "2 accounts: 1 changed, 1 as wanted already, 0 refused\n");
    set(&home, &["--csv", "list.csv", "--prefer", "none"]).succeeded();

    home.write("list.csv", "address,prefer\nalice@contoso.test,oauth2\n");
    set(&home, &["--csv", "list.csv"]).ended(DATA).said("list.csv: its first line must name the columns");
    set(&home, &["--csv", "nowhere.csv", "--prefer", "oauth2"]).ended(NOT_FOUND).said("cannot read nowhere.csv");
    set(&home, &["--csv", "list.csv", "--secret-file", "secret"]).ended(USAGE).said("nothing else");
    set(&home, &["--csv", "list.csv", "--domain", "x"]).ended(USAGE);
}

#[test]
fn an_account_that_moves_leaves_its_oauth2_behind() {
    let home = home();
    let own = ["oauth", "set", "alice@contoso.test", "--tenant", "contoso.test", "--client-id", "app"];
    home.run(&[&own[..], &["--secret-file", "secret"]].concat()).succeeded();
    set(&home, &["alice@contoso.test", "--prefer", "oauth2"]).succeeded();
    let run = set(&home, &["alice@contoso.test", "--upstream", "gmail", "--secret-file", "secret"]).succeeded();
    run.said("its OAuth2 credential was for the other provider and is removed");
    let shown = home.run(&["account", "show", "alice@contoso.test", "--json"]).succeeded().json();
    assert_eq!(shown["credentials"].as_array().unwrap().len(), 1);
    assert_eq!(shown["preference"], serde_json::Value::Null);
}
