//! Whether alerts can be posted, as `locum check` finds out: the token, and the webhook itself on a dial.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::thread::{self, JoinHandle};

use crate::support::Home;

const CONFIG: i32 = 78;

/// A service on this machine that answers one request with that status, and gives back what it was told.
fn service(status: &'static str) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut heard, mut buffer) = (String::new(), [0; 4096]);
        while !heard.ends_with('}') {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "{heard}");
            heard.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        let answer = format!("HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        heard
    });
    (port, serving)
}

fn home(port: u16) -> Home {
    let home = Home::with_config(&format!(
        "[rotation.webhook]\nurl = \"http://127.0.0.1:{port}/alerts\"\ntoken-file = \"webhook-token\"\n"
    ));
    home.write("webhook-token", "canary-7f3a\n");
    fs::copy(home.path("tls.crt"), home.path("upstream.crt")).unwrap();
    home
}

#[test]
fn a_dial_posts_one_of_kind_test_with_the_token() {
    let (port, serving) = service("204 No Content");
    let run = home(port).run(&["check", "--dial"]).succeeded();
    assert!(run.stdout.contains("webhook: takes alerts"), "{run:?}");
    assert!(!format!("{run:?}").contains("canary"), "{run:?}");
    let heard = serving.join().unwrap();
    assert!(heard.starts_with("POST /alerts HTTP/1.1\r\n"), "{heard}");
    assert!(heard.to_ascii_lowercase().contains("authorization: bearer canary-7f3a\r\n"), "{heard}");
    assert!(heard.contains("{\"node\":\"localhost\",\"kind\":\"test\","), "{heard}");
}

#[test]
fn a_webhook_that_does_not_take_it_is_a_problem() {
    for (status, said) in [("401 Unauthorized", "status 401"), ("302 Found", "status 302"), ("503 X", "status 503")] {
        let (port, serving) = service(status);
        home(port).run(&["check", "--dial"]).ended(CONFIG).said(said);
        serving.join().unwrap();
    }
}

#[test]
fn a_token_that_everybody_reads_is_a_problem_without_a_dial() {
    let home = home(1);
    home.run(&["check"]).succeeded();
    fs::set_permissions(home.path("webhook-token"), Permissions::from_mode(0o644)).unwrap();
    let run = home.run(&["check"]).ended(CONFIG);
    run.said("open to everybody");
    assert!(!format!("{run:?}").contains("canary"), "{run:?}");
}
