//! Each route of the document refuses who is not signed in, and who has less than the role that it names; and lets in who has it.

use serde_json::Value;

use super::support::{Answer, Api};
use super::{here, lab, signed_in};

const ROLES: [&str; 3] = ["viewer", "operator", "admin"];

/// A way to ask for something: method and path, and the role that the document names.
struct Operation {
    method: String,
    path: String,
    role: usize,
    has_body: bool,
}

impl Operation {
    async fn ask(&self, api: &Api) -> Answer {
        if self.has_body {
            return api.json(&self.method, &self.path, serde_json::json!({})).await;
        }
        api.send(&self.method, &self.path, &[], "").await
    }
}

/// All of the document, with names of nothing in their paths.
fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let roles = &operation["security"][0]["token"];
            let named = roles[0].as_str().unwrap_or_else(|| panic!("{method} {path} names no role"));
            let role = ROLES.iter().position(|role| *role == named).unwrap();
            let parts = path.split('/').map(|part| if part.starts_with('{') { "nobody" } else { part });
            operations.push(Operation {
                method: method.to_uppercase(),
                path: parts.collect::<Vec<_>>().join("/"),
                role,
                has_body: operation["requestBody"].is_object(),
            });
        }
    }
    operations
}

#[tokio::test]
async fn each_route_is_for_its_role_and_those_above() {
    let (lab, api) = lab().await;
    let document = here(&lab).get("/v1/openapi.json").await.is(200).value();
    let operations = operations(&document);
    assert!(operations.len() > 10, "the document is gone");
    let mut signed_in_as = Vec::new();
    for role in ROLES {
        signed_in_as.push(signed_in(&lab, &api, role).await);
    }
    for it in &operations {
        let what = format!("{} {}", it.method, it.path);
        let answer = it.ask(&api).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("bearer")), "{what}");
        for (role, signed_in) in signed_in_as.iter().enumerate() {
            let answer = it.ask(signed_in).await;
            let is_let_in = !matches!(answer.status, 401 | 403);
            assert_eq!(is_let_in, role >= it.role, "{what} as {}: {answer:?}", ROLES[role]);
        }
    }
    assert!(signed_in_as[2].get("/v1/whoami").await.status == 200, "nobody was revoked on the way");
}

#[tokio::test]
async fn a_cookie_and_another_scheme_are_nothing() {
    let (lab, api) = lab().await;
    let token = super::operator(&lab, "alice", "admin").await["token"].as_str().unwrap().to_owned();
    for header in [("cookie", format!("token={token}")), ("authorization", format!("Basic {token}"))] {
        api.send("GET", "/v1/whoami", &[(header.0, &header.1)], "").await.is(401);
    }
    api.with(&token).get("/v1/whoami").await.is(200);
}
