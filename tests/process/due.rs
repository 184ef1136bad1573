//! What is due, as an operator sees it, and classes of accounts.

use crate::support::Home;

const NOT_FOUND: i32 = 66;

/// Two accounts of an hour ago's making at most, and terms by which one of them is too old in a month.
fn home() -> Home {
    let home = Home::with_config(
        "[upstream.gmail]\npreset = \"gmail\"\n[rotation.max-age]\napp-password = \"180d\"\n\
         [rotation.class.printers]\napp-password = \"20d\"\n",
    );
    home.write("secret", "abcdefghijklmnop");
    for name in ["alice@one.test", "printer@two.test"] {
        home.run(&["account", "add", name, "--upstream", "gmail", "--secret-file", "secret"]).succeeded();
    }
    home.run(&["account", "set", "printer@two.test", "--class", "printers"]).succeeded();
    home
}

fn due(home: &Home, more: &[&str]) -> Vec<(String, String)> {
    let listed = home.run(&[&["rotate", "due", "--json"], more].concat()).succeeded().json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(|row| (text(&row["account"]), text(&row["why"]))).collect()
}

#[test]
fn what_becomes_due_is_shown_with_the_command_for_it() {
    let home = home();
    home.run(&["rotate", "due"]).succeeded().said("nothing is due");
    assert_eq!(due(&home, &[]), []);
    let printer = ("printer@two.test".to_owned(), "too-old".to_owned());
    assert_eq!(due(&home, &["--within", "30d"]), std::slice::from_ref(&printer));
    assert_eq!(due(&home, &["--within", "200d", "--domain", "TWO.test"]), [printer]);
    assert_eq!(due(&home, &["--within", "200d"]).len(), 2);
    let table = home.run(&["rotate", "due", "--within", "30d"]).succeeded().stdout;
    for piece in ["ACCOUNT", "printer@two.test", "too old", "locum rotate run printer@two.test"] {
        assert!(table.contains(piece), "{piece}: {table}");
    }
    assert!(!table.contains("abcdefghijklmnop"));
}

#[test]
fn an_account_is_put_into_a_class_that_there_is_and_taken_out_of_it() {
    let home = home();
    let class =
        |home: &Home| home.run(&["account", "show", "printer@two.test", "--json"]).succeeded().json()["class"].clone();
    assert_eq!(class(&home), "printers");
    home.run(&["account", "show", "printer@two.test"]).succeeded();
    home.run(&["account", "set", "printer@two.test", "--class", "printer"])
        .ended(NOT_FOUND)
        .said("no [rotation.class.printer]; it has printers");
    home.run(&["account", "set", "printer@two.test", "--class", ""]).succeeded();
    assert_eq!(class(&home), serde_json::Value::Null);
}
