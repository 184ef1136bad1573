//! The OpenAPI document: what frames it, and what holds for all operations.

use axum::Extension;
use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, Required, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::admin::caller::Viewing;
use crate::admin::problem::Problem;

/// What each operation may answer, whatever it does.
const PROBLEMS: [(&str, &str); 9] = [
    ("400", "The request is not of the form that belongs here."),
    ("401", "Nobody signed in, or with a token that is good for nothing."),
    ("403", "The role does not permit it, or the store or a provider does not."),
    ("404", "There is no such thing."),
    ("409", "It is there already, or it is not possible in this state."),
    ("422", "What was asked for makes no sense."),
    ("429", "Too many failed sign-ins, or too much at once; `Retry-After` says when there is room."),
    ("500", "The configuration or a record is wrong."),
    ("503", "The store or a provider does not answer; it may work later."),
];

/// What else an operation that takes a body may answer.
const PROBLEMS_OF_BODIES: [(&str, &str); 3] = [
    ("408", "The body did not come in time."),
    ("413", "The body is larger than it may be."),
    ("415", "The body is no JSON, by its `content-type`."),
];

/// The document as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Text(Bytes);

/// The document without its operations.
pub(super) fn frame() -> OpenApi {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of an operator; `locum operator add` makes one. The scope that an operation names is the role that it needs: viewer, operator or admin, each of which may do what those before it may."))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(token))
        .schema(Problem::name(), Problem::schema())
        .build();
    let info = InfoBuilder::new()
        .title("Locum")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A credential broker for mail clients that cannot change."))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// The document with all that holds for every operation, as it is sent.
pub(super) fn text(mut document: OpenApi) -> Text {
    document.paths.paths.values_mut().filter_map(|item| item.post.as_mut()).for_each(add_key);
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| {
        [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
    });
    operations.for_each(add_problems);
    // No map in it has keys that are no strings.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    mend_flattened(&mut document);
    Text(document.to_string().into())
}

/// What is flattened into an object and may be missing (`#[serde(flatten)] Option<_>`) is described as that or null, of which
/// an object is neither where it is missing. It is that, or any object.
fn mend_flattened(value: &mut Value) {
    let parts = value.get_mut("allOf").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten() {
        let Some(choices) = part.get("oneOf").and_then(Value::as_array) else { continue };
        let is_null = |choice: &Value| choice["type"] == "null";
        if choices.iter().any(is_null) {
            let others = choices.iter().filter(|choice| !is_null(choice)).cloned();
            *part = json!({ "anyOf": others.chain([json!({ "type": "object" })]).collect::<Vec<_>>() });
        }
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(mend_flattened),
        Value::Array(items) => items.iter_mut().for_each(mend_flattened),
        _ => {}
    }
}

/// What may stand in the head of each request that makes or does something.
fn add_key(operation: &mut Operation) {
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("By this, a request that is sent again within ten minutes is done once."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(128))))
        .build();
    operation.parameters.get_or_insert_default().push(key.into());
}

fn add_problems(operation: &mut Operation) {
    let of_bodies = operation.request_body.iter().flat_map(|_| PROBLEMS_OF_BODIES);
    for (status, description) in PROBLEMS.into_iter().chain(of_bodies) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let response =
            ResponseBuilder::new().description(description).content("application/problem+json", content).build();
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
    }
}

/// This document.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "node",
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The document", content_type = "application/json", body = serde_json::Value))
)]
pub(super) async fn openapi(_: Viewing, Extension(Text(text)): Extension<Text>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_missing_from_an_object_is_no_null() {
        let known = json!({ "$ref": "#/components/schemas/Known" });
        let own = json!({ "type": "object", "properties": {} });
        let nothing = json!({ "type": "null" });
        let mut schema = json!({ "a": { "allOf": [{ "oneOf": [known, nothing], "description": "" }, own] } });
        mend_flattened(&mut schema);
        assert_eq!(schema, json!({ "a": { "allOf": [{ "anyOf": [known, { "type": "object" }] }, own] } }));
        let mut other = json!({ "properties": { "a": { "oneOf": [known, nothing] } } });
        let before = other.clone();
        mend_flattened(&mut other);
        assert_eq!(other, before);
    }
}
