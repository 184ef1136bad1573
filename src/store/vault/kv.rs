//! A record as an entry of a KV engine of version 2: one string in it, so that the server's audit log has one hash for it and
//! its limits on JSON do not matter. A deleted record leaves an entry without one, for the engine deletes without comparing
//! and counts versions anew after that.

use data_encoding::{BASE32_NOPAD, BASE64};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};
use vaultrs::api::kv2::responses::ReadSecretResponse;

use super::super::{StoreError, Version};
use crate::model::{RecordId, Secret};

/// The record, where it is text.
const TEXT: &str = "record";
/// The record, where it is not.
const BYTES: &str = "record-base64";
/// Stands for a record that was deleted.
const DELETED: &str = "deleted";
/// Which attempt to write it is: a writer whose answer was lost knows its own again.
const ATTEMPT: &str = "attempt";

/// What is under a key.
#[derive(Debug)]
pub(super) struct Entry {
    /// Counted by the engine, for each key from 1.
    pub(super) version: u64,
    /// The record; `None` if it was deleted.
    pub(super) value: Option<Secret>,
    attempt: Option<String>,
}

impl Entry {
    /// Takes an answer apart.
    pub(super) fn parse(id: &RecordId, answer: ReadSecretResponse) -> Result<Self, StoreError> {
        let version = answer.metadata.version;
        let corrupt = || StoreError::Corrupt { id: id.clone(), version: Version(version) };
        let Value::Object(mut fields) = answer.data else { return Err(corrupt()) };
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let attempt = text(ATTEMPT);
        let value = match (text(TEXT), text(BYTES), text(DELETED)) {
            (Some(record), None, None) => Some(Secret::new(record)),
            (None, Some(coded), None) => Some(Secret::new(BASE64.decode(coded.as_bytes()).map_err(|_| corrupt())?)),
            (None, None, Some(_)) => None,
            _ => return Err(corrupt()),
        };
        Ok(Self { version, value, attempt })
    }

    /// What the engine itself deleted.
    pub(super) fn deleted(version: u64) -> Self {
        Self { version, value: None, attempt: None }
    }

    /// Whether that attempt wrote it.
    pub(super) fn is_of(&self, attempt: &Attempt) -> bool {
        self.attempt.as_ref() == Some(&attempt.0)
    }

    /// The version, if there is a record under it.
    pub(super) fn record_version(&self) -> Option<Version> {
        self.value.is_some().then_some(Version(self.version))
    }
}

/// The name of one attempt to write.
pub(super) struct Attempt(String);

impl Attempt {
    pub(super) fn new() -> Result<Self, StoreError> {
        Ok(Self(random_name()?))
    }

    /// The fields of an entry with that record, or of one that was deleted.
    pub(super) fn fields(&self, value: Option<&Secret>) -> Value {
        let (name, text) = match value.map(|value| (value, value.expose_text())) {
            Some((_, Some(text))) => (TEXT, text.to_owned()),
            Some((value, None)) => (BYTES, BASE64.encode(value.expose())),
            None => (DELETED, "true".to_owned()),
        };
        Value::Object(Map::from_iter([(name.to_owned(), json!(text)), (ATTEMPT.to_owned(), json!(self.0))]))
    }
}

/// 128 random bits as text.
pub(super) fn random_name() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    let no_random = |_| StoreError::Unavailable("the operating system gives no random numbers".into());
    SystemRandom::new().fill(&mut bytes).map_err(no_random)?;
    Ok(BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}
