//! The whole life of an account, by the HTTP API alone: it is made, a client gets a secret and logs in, the app password is
//! rotated under a live session, the client is revoked, the account goes. And what the API refuses on the way.

use std::time::Duration;

use locum::model::{Protocol, Secret};
use locum::sandbox::Behaviour;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Answer, Api, Lab, Plan};

const CAROL: &str = "carol@gmail.test";
const OLD: &str = "qwertzuiopasdfgh";
const NEW: &str = "yxcvbnmlkjhgfdsa";

/// Time for an operation to end, and for what is counted to be told.
const PATIENCE: Duration = Duration::from_secs(20);

/// The API of a stage, for an operator of each role; and all that it ever answered.
struct Office {
    lab: Lab,
    viewer: Api,
    operator: Api,
    heard: Vec<String>,
}

impl Office {
    async fn open() -> Self {
        let admin = "[admin]\nbind = \"127.0.0.1:0\"\nsocket = \"admin.sock\"\napi = true\n";
        let lab = Plan::new().toml(admin).start().await;
        lab.gmail.add_mailbox(CAROL, OLD, Behaviour::Normal);
        let (here, there) = (Api::here(&lab.path("admin.sock")), Api::at(lab.address("admin")));
        let mut tokens = Vec::new();
        for (name, role) in [("victor", "viewer"), ("olga", "operator")] {
            let made = here.post("/v1/operators", json!({"name": name, "role": role})).await.is(201).value();
            tokens.push(there.with(made["token"].as_str().unwrap()));
        }
        let (Some(operator), Some(viewer)) = (tokens.pop(), tokens.pop()) else { panic!("two were made") };
        Self { lab, viewer, operator, heard: Vec::new() }
    }

    fn hear(&mut self, answer: Answer, status: u16) -> Value {
        self.heard.push(answer.body.clone());
        let answer = answer.is(status);
        if answer.body.is_empty() { Value::Null } else { answer.value() }
    }

    async fn get(&mut self, path: &str) -> Value {
        let answer = self.viewer.get(path).await;
        self.hear(answer, 200)
    }

    async fn post(&mut self, path: &str, body: Value, status: u16) -> Value {
        let answer = self.operator.post(path, body).await;
        self.hear(answer, status)
    }

    async fn delete(&mut self, path: &str) -> Value {
        let answer = self.operator.delete(path).await;
        self.hear(answer, 200)
    }

    /// A step of carol's rotation.
    async fn step(&mut self, step: &str, body: Value, status: u16) -> Value {
        self.post(&format!("/v1/accounts/{CAROL}/rotation/{step}"), body, status).await
    }

    /// An operation, when it has ended.
    async fn ended(&mut self, begun: &Value) -> Value {
        let path = format!("/v1/operations/{}", begun["id"].as_str().unwrap());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let operation = self.get(&path).await;
            if operation["state"] != "running" {
                return operation;
            }
            assert!(Instant::now() < deadline, "{operation}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn add_carol(&mut self) {
        let new = json!({"name": CAROL, "upstream": "gmail", "app_password": OLD, "label": "locum 2026"});
        let made = self.post("/v1/accounts", new, 201).await;
        assert_eq!(made["account"]["credentials"][0]["label"], "locum 2026");
    }
}

#[tokio::test]
async fn the_whole_life_of_an_account_by_the_api_alone() {
    let mut office = Office::open().await;
    office.add_carol().await;
    let issued = json!({"accounts": [CAROL], "label": "scanner"});
    let answer = office.operator.post("/v1/clients/carol-scanner/secrets", issued).await.is(201).value();
    let secret = answer["secret"].as_str().unwrap().to_owned();

    let (mut wire, said) = office.lab.present(Protocol::Imap, "carol-scanner", &secret).await;
    assert!(said.contains(" OK"), "{said}");
    let client = office.get("/v1/clients/carol-scanner").await;
    assert_eq!(client["accounts"], json!([CAROL]));

    let staged = office.step("stage", json!({"secret": NEW, "label": "locum 2027"}), 200).await;
    assert_eq!((&staged["staged_as"], &staged["rotation"]["state"]), (&json!("next"), &json!("staged")));
    assert_eq!(staged["rotation"]["possible"]["verify"], json!({"possible": true}));
    let open = office.get("/v1/rotations?state=staged").await;
    assert_eq!((open["items"].as_array().unwrap().len(), &open["items"][0]["name"]), (1, &json!(CAROL)));

    assert!(office.lab.gmail.sandbox.add_password(CAROL, Secret::new(NEW)));
    let begun = office.step("verify", json!({}), 202).await;
    let verified = office.ended(&begun).await;
    assert_eq!((&verified["state"], &verified["by"]), (&json!("done"), &json!("olga")));
    assert_eq!(verified["result"]["protocols"], json!(["imap", "pop3", "submission"]));

    let promoted = office.step("promote", json!({}), 200).await;
    assert_eq!(promoted["current"]["label"], "locum 2027");
    assert!(wire.ask("a1 NOOP").await.starts_with("a1 OK"), "the session survives");
    // Only the new one opens the mailbox from here on.
    assert!(office.lab.gmail.sandbox.remove_password(CAROL, &Secret::new(OLD)));
    let (_, said) = office.lab.present(Protocol::Imap, "carol-scanner", &secret).await;
    assert!(said.contains(" OK"), "{said}");

    let retired = office.step("retire", json!({"now": true}), 200).await;
    assert_eq!((&retired["retired"]["label"], &retired["retired"]["to_delete"]), (&json!("locum 2026"), &json!(true)));
    let left = office.get(&format!("/v1/accounts/{CAROL}/rotation")).await;
    assert_eq!(left["to_delete"][0]["label"], "locum 2026");
    let done = office.step("deleted", json!({"names": ["locum 2026"]}), 200).await;
    assert_eq!((&done["to_delete"], &done["state"]), (&json!([]), &json!("")));

    office.delete("/v1/clients/carol-scanner").await;
    wire.rest().await; // it ends with the client
    let removed = office.delete(&format!("/v1/accounts/{CAROL}")).await;
    assert_eq!(removed["to_delete"][0]["label"], "locum 2027");
    office.viewer.get(&format!("/v1/accounts/{CAROL}")).await.is(404);
    for word in [OLD, NEW, secret.as_str()] {
        assert!(!office.heard.iter().any(|body| body.contains(word)), "a secret is in an answer");
    }
    let audit = office.lab.audit().into_iter().map(|event| event.to_string()).collect::<String>();
    assert!(audit.contains("\"actor\":\"olga\"") && ![OLD, NEW].iter().any(|word| audit.contains(word)));
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_reason() {
    let mut office = Office::open().await;
    office.add_carol().await;
    let path = format!("/v1/accounts/{CAROL}");
    let twice = json!({"name": CAROL, "upstream": "gmail", "app_password": OLD});
    let refused = office.post("/v1/accounts", twice, 409).await;
    assert!(
        refused["detail"].as_str().unwrap().starts_with("there is an account carol@gmail.test already"),
        "{refused}"
    );

    let refused = office.step("verify", json!({}), 202).await;
    let refused = office.ended(&refused).await;
    assert_eq!((&refused["state"], &refused["problem"]["fault"]), (&json!("failed"), &json!("conflict")));
    office.step("stage", json!({"secret": NEW, "label": "one"}), 200).await;
    let again = office.step("stage", json!({"secret": "abcdabcdabcdabcd"}), 409).await;
    let said = again["detail"].as_str().unwrap();
    assert!(said.starts_with("olga staged another one at 20") && said.contains("(staged)"), "{said}");
    let early = office.step("promote", json!({}), 409).await;
    assert!(early["detail"].as_str().unwrap().starts_with("nobody has logged in with it yet"), "{early}");
    let rotation = office.get(&format!("{path}/rotation")).await;
    assert_eq!(rotation["possible"]["promote"]["possible"], json!(false));
    assert_eq!(rotation["possible"]["roll_back"]["why_not"], "there is no previous one to go back to");
    office.step("discard", json!({}), 200).await;

    // Somebody else was faster.
    let shown = office.viewer.get(&path).await.is(200);
    let tag = shown.header("etag").unwrap().to_owned();
    let headers = [("content-type", "application/json"), ("if-match", tag.as_str())];
    let label = json!({"label": "two"}).to_string();
    office.operator.send("PATCH", &path, &headers, &label).await.is(200);
    office.operator.send("PATCH", &path, &headers, &label).await.is(409);

    for (body, status) in [
        (json!({"name": "dave@gmail.test", "upstream": "nowhere", "app_password": OLD}), 400),
        (json!({"name": "a\nb", "upstream": "gmail", "app_password": OLD}), 422),
        (json!({"name": "dave@gmail.test", "upstream": "gmail", "app_password": ""}), 422),
        (json!({"name": "dave@gmail.test", "upstream": "gmail", "app-password": OLD}), 422),
    ] {
        office.post("/v1/accounts", body, status).await;
    }
    office.viewer.post("/v1/accounts", json!({"name": "dave@gmail.test", "upstream": "gmail"})).await.is(403);
    for word in [OLD, NEW, "abcdabcdabcdabcd"] {
        assert!(!office.heard.iter().any(|body| body.contains(word)), "a secret is in an answer");
    }
}

#[tokio::test]
async fn many_are_made_and_probed_as_operations() {
    let mut office = Office::open().await;
    office.add_carol().await;
    let row = |name: &str, password: &str| json!({"name": name, "upstream": "gmail", "app_password": password});
    let rows = json!({"rows": [row(CAROL, OLD), row("dave@gmail.test", NEW), row("erin@gmail.test", "")]});
    let begun = office.post("/v1/accounts:import", rows, 202).await;
    let refused = office.ended(&begun).await;
    let outcomes = |operation: &Value| {
        let rows = operation["result"]["rows"].as_array().unwrap().iter();
        rows.map(|row| row["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(&refused), ["there already", "added", "refused"]);
    assert_eq!(refused["result"]["nothing_written"], json!(true));
    office.viewer.get("/v1/accounts/dave@gmail.test").await.is(404);
    let rows = json!({"rows": [row(CAROL, OLD), row("dave@gmail.test", NEW)]});
    let begun = office.post("/v1/accounts:import", rows, 202).await;
    assert_eq!(outcomes(&office.ended(&begun).await), ["there already", "added"]);

    let wanted = json!({"accounts": [CAROL, "dave@gmail.test"], "protocols": ["imap"]});
    let begun = office.post("/v1/probes", wanted, 202).await;
    let probed = office.ended(&begun).await;
    let logins = &probed["result"]["logins"];
    assert_eq!((&logins[0]["ok"], &logins[0]["messages"]), (&json!(true), &json!(1)), "{probed}");
    assert_eq!((&logins[1]["ok"], &logins[1]["trouble"]["cause"]), (&json!(false), &json!("auth-bad")), "{probed}");
    let all = office.get("/v1/operations").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    assert!(!office.heard.iter().any(|body| body.contains(OLD) || body.contains(NEW)), "a secret is in an answer");
}
