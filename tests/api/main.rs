//! The HTTP API of a whole broker: who is let in and to what, what every route refuses and how, and what its own document says
//! of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod fuzz;
mod idempotency;
mod operators;
mod problems;
mod roles;
mod sign_in;

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "it is made for the tests of the broker, and a part of it does here")]
mod support;

use serde_json::{Value, json};
use support::{Api, Lab, Plan};

const ADMIN: &str = "[admin]\nbind = \"127.0.0.1:0\"\nsocket = \"admin.sock\"\napi = true\n";

/// A broker with an API, and somebody who asks it over TCP and is not signed in.
async fn lab() -> (Lab, Api) {
    let lab = Plan::new().toml(ADMIN).start().await;
    let api = Api::at(lab.address("admin"));
    (lab, api)
}

/// By the Unix socket: an admin.
fn here(lab: &Lab) -> Api {
    Api::here(&lab.path("admin.sock"))
}

/// A new operator, and its token.
async fn operator(lab: &Lab, name: &str, role: &str) -> Value {
    let new = json!({"name": name, "role": role});
    here(lab).post("/v1/operators", new).await.is(201).value()
}

/// Somebody who is signed in with that role.
async fn signed_in(lab: &Lab, api: &Api, role: &str) -> Api {
    let made = operator(lab, role, role).await;
    api.with(made["token"].as_str().unwrap())
}
