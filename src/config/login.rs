//! `[store.login]`: how a node proves to a Vault who it is. It must never take a secret, only the place of one.

use super::reader::Table;
use super::store::Places;
use super::value::{Value, one_of};
use super::vault::name;
use crate::store::vault::Login;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Token,
    AppRole,
    Kubernetes,
    Certificate,
}

use Method::{AppRole, Certificate, Kubernetes, Token};

const METHODS: [(&str, Method); 4] =
    [("token", Token), ("approle", AppRole), ("kubernetes", Kubernetes), ("certificate", Certificate)];

/// Every key but `method`, and the methods that take it.
const KEYS: [(&str, &[Method]); 13] = [
    ("mount", &[AppRole, Kubernetes, Certificate]),
    ("token-file", &[Token]),
    ("token-credential", &[Token]),
    ("token-environment", &[Token]),
    ("role-id", &[AppRole]),
    ("secret-id-file", &[AppRole]),
    ("secret-id-credential", &[AppRole]),
    ("secret-id-environment", &[AppRole]),
    ("secret-id-wrapped", &[AppRole]),
    ("role", &[Kubernetes, Certificate]),
    ("service-account-token-file", &[Kubernetes]),
    ("certificate", &[Certificate]),
    ("key", &[Certificate]),
];

const TOKEN: Places = Places {
    keys: ["token-file", "token-credential", "token-environment"],
    secret: "token",
    why: "set one of token-file (an agent's sink, for one), token-credential and token-environment",
    examples: ("vault-token", "VAULT_TOKEN"),
};

const SECRET_ID: Places = Places {
    keys: ["secret-id-file", "secret-id-credential", "secret-id-environment"],
    secret: "secret id",
    why: "set one of secret-id-file, secret-id-credential and secret-id-environment",
    examples: ("secret-id", "LOCUM_SECRET_ID"),
};

/// Where Kubernetes puts it in a pod, unless it is told otherwise.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// `[store.login]`.
pub(super) fn login(mut table: Table<'_, '_>) -> Option<Login> {
    let value =
        table.require("method", "how a node logs in: one of \"token\", \"approle\", \"kubernetes\", \"certificate\"");
    let method = value.and_then(|value| value.one_of(&METHODS));
    if let Some(method) = method {
        for (key, methods) in KEYS.iter().filter(|(_, methods)| !methods.contains(&method)) {
            let names: Vec<&str> =
                METHODS.iter().filter(|(_, it)| methods.contains(it)).map(|(name, _)| *name).collect();
            table.refuse(key, &format!("method = {}", one_of(&names)));
        }
    }
    let login = match method {
        Some(Token) => TOKEN.read(&mut table).map(Login::Token),
        Some(AppRole) => approle(&mut table),
        Some(Kubernetes) => kubernetes(&mut table),
        Some(Certificate) => certificate(&mut table),
        // Each key belongs to some method.
        None => KEYS.iter().fold(None, |none, (key, _)| table.take(key).and(none)),
    };
    table.finish();
    login
}

fn approle(table: &mut Table<'_, '_>) -> Option<Login> {
    let mount = mount(table, "approle");
    let role_id = table.require("role-id", "what `vault read auth/approle/role/<role>/role-id` shows; it is no secret");
    let role_id = role_id.and_then(|value| name(&value));
    let secret_id = SECRET_ID.read(table);
    let wrapped = table.take("secret-id-wrapped").map_or(Some(false), |value| value.boolean());
    Some(Login::AppRole { mount: mount?, role_id: role_id?, secret_id: secret_id?, wrapped: wrapped? })
}

fn kubernetes(table: &mut Table<'_, '_>) -> Option<Login> {
    let mount = mount(table, "kubernetes");
    let role = table.require("role", "the role that the service account is bound to").and_then(|value| name(&value));
    let token_file = match table.take("service-account-token-file") {
        Some(value) => value.path(),
        None => Some(SERVICE_ACCOUNT_TOKEN.into()),
    };
    Some(Login::Kubernetes { mount: mount?, role: role?, token_file: token_file? })
}

fn certificate(table: &mut Table<'_, '_>) -> Option<Login> {
    let mount = mount(table, "cert");
    let role = table.take("role").map_or(Some(None), |value| name(&value).map(Some));
    let certificate = table.require("certificate", "the file of the certificate chain, PEM");
    let key = table.require("key", "the file of its private key, PEM");
    let (certificate, key) = (certificate.and_then(|value| value.path()), key.and_then(|value| value.path()));
    Some(Login::Certificate { mount: mount?, role: role?, certificate: certificate?, key: key? })
}

/// Where the method is mounted.
fn mount(table: &mut Table<'_, '_>, default: &str) -> Option<String> {
    table.take("mount").map_or(Some(default.to_owned()), |value| login_mount(&value))
}

fn login_mount(value: &Value<'_, '_>) -> Option<String> {
    let mount = name(value)?;
    if mount.starts_with("auth/") {
        return value.wrong("\"mount\" in [store.login] is what comes after \"auth/\"", Some("leave \"auth/\" out"));
    }
    Some(mount)
}
