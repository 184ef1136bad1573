//! Names that somebody made up to do harm: the command line and the API take and refuse the same, with the same words, and
//! hand back what they took as it was.

use serde_json::{Value, json};

use crate::support::{Home, ask, escaped};

const CONFIG: &str = "[upstream.gmail]\npreset = \"gmail\"\n[admin]\nsocket = \"admin.sock\"\napi = true\n\
                      [[listener]]\nname = \"imap\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n";

/// The login names that the command line lists.
fn listed(home: &Home) -> Vec<String> {
    let clients = home.run(&["client", "list", "--json"]).succeeded().json();
    clients.as_array().unwrap().iter().map(|it| it["login"].as_str().unwrap().to_owned()).collect()
}

fn scene() -> Home {
    let home = Home::with_config(CONFIG);
    home.write("upstream.crt", home.read("tls.crt"));
    home
}

#[test]
fn strange_names_are_taken_as_they_are_by_both() {
    let home = scene();
    let node = home.serve();
    let long = "ä".repeat(512);
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "javascript:alert(1)//",
        "shared*admin@contoso.com",
        "CONTOSO\\scan",
        "scan@contoso.com/shared",
        "../../etc/passwd",
        "a?b#c%2Fd&e=f;g",
        "{{7*7}}${x}",
        "=cmd|' /C calc'!A0",
        "\u{202e}gnp.exe",
        "日本語",
        long.as_str(),
    ];
    for name in names {
        // What the one makes the other shows, and the other way round.
        home.run(&["client", "add", "--", name]).succeeded();
        let path = format!("/v1/clients/{}", escaped(name));
        let (status, shown) = ask(&home, "GET", &path, None);
        assert_eq!((status, &shown["login"]), (200, &name.into()), "{shown}");
        assert_eq!(ask(&home, "DELETE", &path, None).0, 200);
        let (status, added) = ask(&home, "POST", "/v1/clients", Some(&json!({ "login": name })));
        assert_eq!((status, &added["login"]), (201, &name.into()), "{added}");
        assert_eq!(listed(&home), [name]);
        let (status, changed) = ask(&home, "PATCH", &path, Some(&json!({ "policy": { "sessions_max": 3 } })));
        assert_eq!((status, &changed["policy"]["sessions_max"]), (200, &3.into()), "{changed}");
        home.run(&["client", "revoke", "--all", "--", name]).succeeded();
        assert_eq!(ask(&home, "GET", &path, None).0, 404);
    }
    node.stop();
}

#[test]
fn what_is_no_name_is_refused_by_both_with_the_same_words() {
    let home = scene();
    let node = home.serve();
    let long = "x".repeat(513);
    for name in ["", " \t", "a\u{1b}[2Jb", "a\r\nb", "a\u{85}b", "a\u{7f}", long.as_str()] {
        let run = home.run(&["client", "add", "--", name]).ended(65);
        let (status, problem) = ask(&home, "POST", "/v1/clients", Some(&json!({ "login": name })));
        assert_eq!(status, 422, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert_eq!(run.stderr.trim_end(), format!("locum: {detail}"), "{name:?}");
        for path in ["", "/secrets", "/bindings"] {
            let (method, body) = if path.is_empty() { ("GET", None) } else { ("POST", Some(json!({}))) };
            let (status, _) = ask(&home, method, &format!("/v1/clients/{}{path}", escaped(name)), body.as_ref());
            assert!([400, 404, 422].contains(&status), "{name:?} {path}: {status}");
        }
    }
    // Nothing that looks like a path becomes one.
    for path in
        ["/v1/clients/../reports/usage", "/v1/clients/%2e%2e", "/v1/clients/a/b", "/v1/clients//", "/v1/clients/%ff"]
    {
        let (status, _) = ask(&home, "GET", path, None);
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    assert_eq!(listed(&home), Vec::<String>::new());
    node.stop();
}

#[test]
fn limits_and_bindings_are_refused_by_both_with_the_same_words() {
    let home = scene();
    home.run(&["client", "add", "scan"]).succeeded();
    let node = home.serve();
    let cases: [(&[&str], &str, &str, Value, u16); 5] = [
        (
            &["client", "set", "scan", "--listener", "no"],
            "PATCH",
            "",
            json!({ "policy": { "listeners": ["no"] } }),
            400,
        ),
        (&["client", "set", "scan", "--class", "no"], "PATCH", "", json!({ "policy": { "class": "no" } }), 404),
        (&["client", "set", "scan"], "PATCH", "", json!({}), 400),
        (
            &["client", "bind", "scan", "--account", "no@x.test"],
            "POST",
            "/bindings",
            json!({ "account": "no@x.test" }),
            404,
        ),
        (&["client", "issue", "scan", "--length", "8"], "POST", "/secrets", json!({ "length": 8 }), 400),
    ];
    for (arguments, method, path, body, expected) in cases {
        let run = home.run(arguments);
        let (status, problem) = ask(&home, method, &format!("/v1/clients/scan{path}"), Some(&body));
        assert_eq!(status, expected, "{problem}");
        assert_eq!(run.stderr.trim_end(), format!("locum: {}", problem["detail"].as_str().unwrap()));
    }
    // What only programs can say wrongly.
    for body in [json!({ "policy": { "listener": ["imap"] } }), json!({ "policy": { "sessions_max": 0 } }), json!([])] {
        let (status, problem) = ask(&home, "PATCH", "/v1/clients/scan", Some(&body));
        assert_eq!(status, 422, "{problem}");
    }
    node.stop();
}
