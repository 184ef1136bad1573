//! `locum client bind` and `unbind` as an operator meets them.

use crate::support::Home;

const USAGE: i32 = 64;
const DATA: i32 = 65;
const NOT_FOUND: i32 = 66;

fn home() -> Home {
    let home = Home::made();
    let add = ["account", "add", "alice@gmail.test", "--upstream", "gmail", "--secret-stdin"];
    home.run_with(&add, "abcd efgh ijkl mnop\n").succeeded();
    home
}

#[test]
fn a_client_is_bound_shown_and_unbound() {
    let home = home();
    home.write("locum.toml", home.read("locum.toml") + "\n[limits.class.migration]\nsessions-max = 4\n");
    let bind = |more: &[&str]| home.run(&[&["client", "bind", "migrator"], more].concat());
    let full = ["--mailboxes", "*@Contoso.test", "--expires", "2199-01-31T00:00:00Z", "--network", "192.0.2.7"];
    let run = bind(&[&full[..], &["--class", "migration"]].concat()).succeeded();
    assert_eq!(
        run.stderr,
        "migrator: may act as *@contoso.test, until 2199-01-31 00:00 UTC, from 192.0.2.7/32, in class migration\n\
         migrator: it is new and has no secret; make one with `locum client issue migrator`\n"
    );
    home.run(&["client", "issue", "migrator"]).succeeded();
    bind(&["--account", "Alice@gmail.test"]).succeeded();
    let shown = home.run(&["client", "show", "migrator", "--json"]).succeeded().json();
    assert_eq!(shown["accounts"], serde_json::json!(["alice@gmail.test"]));
    assert_eq!(
        shown["delegations"],
        serde_json::json!([{
            "pattern": "*@contoso.test",
            "expires": "2199-01-31T00:00:00Z",
            "networks": ["192.0.2.7/32"],
            "class": "migration",
        }])
    );
    let text = home.run(&["client", "show", "migrator"]).succeeded().stdout;
    let line = "delegation  *@contoso.test, until 2199-01-31 00:00 UTC, from 192.0.2.7/32, in class migration";
    assert!(text.lines().any(|it| it == line), "{text}");
    let table = home.run(&["client", "list"]).succeeded().stdout;
    assert!(table.contains("alice@gmail.test, *@contoso.test (until 2199-01-31)"), "{table}");

    bind(&["--mailboxes", "scan@fabrikam.test"]).succeeded();
    let table = home.run(&["client", "list"]).succeeded().stdout;
    assert!(
        table.contains("*@contoso.test (until 2199-01-31) and 1 more  1"),
        "no line grows with what it holds: {table}"
    );
    home.run(&["client", "unbind", "migrator", "--mailboxes", "scan@fabrikam.test"]).succeeded();

    // The same pattern again: what is said now stands in place of what was said before.
    let run = bind(&["--mailboxes", "*@contoso.test"]).succeeded();
    run.said("warning: the right to *@contoso.test has no end").said("holds from everywhere");
    let shown = home.run(&["client", "show", "migrator", "--json"]).succeeded().json();
    assert_eq!(shown["delegations"], serde_json::json!([{ "pattern": "*@contoso.test" }]));

    let unbind = |more: &[&str]| home.run(&[&["client", "unbind", "migrator"], more].concat());
    unbind(&["--mailboxes", "*@CONTOSO.test"]).succeeded().said("migrator: may act as *@contoso.test no more");
    unbind(&["--mailboxes", "*@contoso.test"]).ended(NOT_FOUND).said("see `locum client show migrator`");
    unbind(&["--account", "ALICE@gmail.test"]).succeeded().said("nothing is left that it may act as");
}

#[test]
fn what_would_be_too_wide_or_never_hold_is_refused() {
    let home = home();
    let bind = |more: &[&str]| home.run(&[&["client", "bind", "migrator"], more].concat());
    for pattern in ["*", "*@*", "contoso.test", "*@con*so.test", "@contoso.test", "a b@contoso.test", ""] {
        bind(&["--mailboxes", pattern]).ended(USAGE).said("expected an address or a pattern of addresses");
    }
    bind(&["--mailboxes", "*@x.test", "--expires", "2020-01-01T00:00:00Z"]).ended(DATA).said("would never hold");
    bind(&["--mailboxes", "*@x.test", "--expires", "soon"]).ended(USAGE).said("2027-01-31T00:00:00Z");
    bind(&["--mailboxes", "*@x.test", "--network", "10.0.0.0/33"]).ended(USAGE).said("expected a network");
    bind(&["--mailboxes", "*@x.test", "--class", "none"]).ended(NOT_FOUND).said("add [limits.class.none]");
    bind(&["--account", "nobody@gmail.test"]).ended(NOT_FOUND).said("see `locum account list`");
    bind(&["--account", "alice@gmail.test", "--mailboxes", "*@x.test"]).ended(USAGE).said("cannot be used with");
    bind(&["--account", "alice@gmail.test", "--network", "10.0.0.0/8"]).ended(USAGE).said("cannot be used with");
    bind(&[]).ended(USAGE).said("--account");
    home.run(&["client", "bind", "a\nb", "--mailboxes", "*@x.test"]).ended(DATA).said("control characters");
    home.run(&["client", "unbind", "nobody", "--mailboxes", "*@x.test"]).ended(NOT_FOUND);
    home.run(&["client", "show", "migrator"]).ended(NOT_FOUND);
}
