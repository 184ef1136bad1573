//! A node with a console, operators of each role, and the browser before it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::browser::Browser;
use crate::support::{Lab, Plan};

/// A node and the tokens of its operators.
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) admin: String,
    pub(crate) operator: String,
    pub(crate) viewer: String,
}

const TOML: &str = r#"
[admin]
bind = "127.0.0.1:0"
socket = "admin.sock"
api = true
"#;

impl Stage {
    pub(crate) async fn set() -> Self {
        let lab = Plan::new().toml(TOML).start().await;
        let mut stage = Self { lab, admin: String::new(), operator: String::new(), viewer: String::new() };
        stage.admin = stage.operator("ada.admin", "admin").await;
        stage.operator = stage.operator("olga.operator", "operator").await;
        stage.viewer = stage.operator("victor.viewer", "viewer").await;
        stage
    }

    /// Makes an operator by the socket of this machine; its token.
    pub(crate) async fn operator(&self, name: &str, role: &str) -> String {
        let answer = self.ask("POST", "/v1/operators", &json!({ "name": name, "role": role, "label": "laptop" })).await;
        answer["token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Asks the API by the socket of this machine.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut socket = UnixStream::connect(self.lab.path("admin.sock")).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }

    /// The address of a page.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.lab.address("admin").port())
    }

    /// Signs in.
    pub(crate) async fn sign_in(&self, browser: &Browser, token: &str) {
        browser.open(&self.url("/console/sign-in")).await;
        browser.fill("Operator token", token).await;
        browser.press("Sign in").await;
        browser.until("Overview").await;
    }

    /// Sends a form without a browser, with these headers; the head of the answer and its body.
    pub(crate) async fn send(&self, path: &str, headers: &[(&str, &str)], body: &str) -> (String, String) {
        let address = self.lab.address("admin");
        let own: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost:{}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n{own}\r\n{body}",
            address.port(),
            body.len()
        );
        let sending = async {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            (head.to_owned(), body.to_owned())
        };
        tokio::time::timeout(Duration::from_secs(20), sending).await.unwrap()
    }

    /// Waits until the audit says that this came out so.
    pub(crate) async fn audited(&self, action: &str, outcome: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        let is_it = |event: &serde_json::Value| event["action"] == action && event["outcome"] == outcome;
        while !self.lab.audit().iter().any(is_it) {
            assert!(tokio::time::Instant::now() < deadline, "{action} {outcome}: {:?}", self.lab.audit());
            tokio::task::yield_now().await;
        }
    }

    /// The cookie by which the browser is signed in.
    pub(crate) async fn cookie(&self, browser: &Browser) -> String {
        let all = browser.client.get_all_cookies().await.unwrap();
        let cookie = all.iter().find(|cookie| cookie.name() == "locum").expect("it is signed in");
        assert_eq!(cookie.http_only(), Some(true));
        format!("locum={}", cookie.value())
    }
}
