//! Windows of enrolment as an operator meets them: they are told of by `check` and at each start, and a configuration that could
//! enrol nobody is refused.

use crate::support::Home;

const LISTENER: &str = r#"
[upstream.gmail]
preset = "gmail"
[[listener]]
name = "office"
protocol = "imap"
bind = "127.0.0.1:0"
"#;

fn home(more: &str) -> Home {
    let home = Home::made();
    let (certificate, config) = (home.read("tls.crt"), format!("{LISTENER}{more}"));
    home.write("upstream.crt", certificate);
    home.configure(&config);
    home
}

const OPEN: &str = r#"
unknown-logins = "passthrough"
passthrough-upstream = "gmail"
passthrough-networks = "10.5.0.0/16"
[listener.enrolment]
mode = "learn"
upstream = "gmail"
networks = ["10.3.0.0/16"]
until = 2999-01-31T18:00:00Z
"#;

#[test]
fn what_is_open_is_told_by_check_and_at_the_start() {
    let home = home(OPEN);
    let checked = home.run(&["check"]).succeeded();
    for said in [
        "warning: listener office: the window of enrolment (learn) is OPEN, and closes at 2999-01-31T18:00:00Z: to 10.3.0.0/16",
        "warning: listener office: unknown logins from 10.5.0.0/16 are shown to gmail as they come",
    ] {
        checked.said(said);
    }
    let served = home.serve();
    let log = served.log();
    assert!(log.contains("WARN") && log.contains("the window of enrolment (learn) is OPEN"), "{log}");
    assert!(log.contains("unknown logins from 10.5.0.0/16 are shown to gmail"), "{log}");
    served.stop();
}

#[test]
fn who_is_revoked_while_a_window_is_open_may_come_in_by_it_again() {
    let home = home(OPEN);
    let add = ["account", "add", "scan@gmail.test", "--upstream", "gmail", "--secret-stdin"];
    home.run_with(&add, "abcd efgh ijkl mnop\n").succeeded();
    let issue = || home.run(&["client", "issue", "scan", "--account", "scan@gmail.test", "--json"]).succeeded().json();
    let (first, second) = (issue()["id"].clone(), issue()["id"].clone());
    let revoke = |more: &[&str]| home.run(&[&["client", "revoke", "scan"], more].concat()).succeeded();
    let warned = "warning: listener office has a window of enrolment until 2999-01-31T18:00:00Z";
    let one = revoke(&["--secret", first.as_str().unwrap()]);
    assert!(!one.stderr.contains("warning"), "it has another: {one:#?}");
    revoke(&["--secret", second.as_str().unwrap()]).said(warned);
    revoke(&["--all"]).said(warned);
}

#[test]
fn a_window_that_is_not_open_is_told_as_that_and_none_as_nothing() {
    let over = OPEN.replace("until = 2999-01-31T18:00:00Z", "until = 2024-01-31T18:00:00Z");
    home(&over).run(&["check"]).succeeded().said("closed at 2024-01-31T18:00:00Z; take [listener.enrolment] out");
    let later = format!("{OPEN}from = 2998-01-31T18:00:00Z\n");
    home(&later).run(&["check"]).succeeded().said("(learn) opens at 2998-01-31T18:00:00Z, and closes at");
    let off = home("").run(&["check"]).succeeded();
    assert!(!off.stderr.contains("warning"), "{off:#?}");
}

#[test]
fn a_window_without_an_end_or_networks_is_refused() {
    let without = home("[listener.enrolment]\nmode = \"first-login\"\n").run(&["check"]).ended(78);
    without.said("\"networks\" is missing").said("\"until\" is missing");
}
