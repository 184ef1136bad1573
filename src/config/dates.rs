//! `[[upstream.<name>.date]]`: days from which on a provider takes less than before, as an operator knows them beside those of
//! the preset. Nothing is switched by them; `locum report inventory` tells what they end.

use std::collections::BTreeMap;

use jiff::civil::Date;
use toml::de::DeValue;

use super::reader::Table;
use super::value::Value;
use crate::model::{CredentialKind, Endpoint, Protocol, ProviderDate};

/// The longest text: it has a line of a table.
const CHARS_MAX: usize = 200;

const DAY: &str = "a day such as \"2027-09-30\"";

/// `None` if one of them is wrong. Without protocols, those of `endpoints` are meant.
pub(super) fn dates(tables: Vec<Table<'_, '_>>, endpoints: &BTreeMap<Protocol, Endpoint>) -> Option<Vec<ProviderDate>> {
    // Not straight into an `Option`: that would stop at the first that is wrong.
    let dates: Vec<Option<ProviderDate>> = tables.into_iter().map(|table| one(table, endpoints)).collect();
    dates.into_iter().collect()
}

fn one(mut table: Table<'_, '_>, endpoints: &BTreeMap<Protocol, Endpoint>) -> Option<ProviderDate> {
    let day = table.require("day", "the first day, such as \"2027-09-30\"").and_then(|value| day(&value));
    let what = table.require("what", "what changes, in words for those who read the report").and_then(|it| what(&it));
    let protocols = match table.take("protocols") {
        Some(value) => value.list(|value| value.parsed::<Protocol>()),
        None => Some(endpoints.keys().copied().collect()),
    };
    let ends = match table.take("ends") {
        Some(value) => value.parsed::<CredentialKind>().map(Some),
        None => Some(None),
    };
    table.finish();
    Some(ProviderDate { day: Some(day?), protocols: protocols?, ends: ends?, what: what? })
}

/// As a string or as TOML writes a day.
fn day(value: &Value<'_, '_>) -> Option<Date> {
    let text = match &value.value {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(day) => day.to_string(),
        _ => return value.wrong(format!("\"day\" must be {DAY}"), None),
    };
    // A parser of dates takes more than days: what has a time, too, was meant otherwise.
    let parsed = text.parse().ok().filter(|day: &Date| day.to_string() == text);
    parsed.or_else(|| value.wrong(format!("\"day\" must be {DAY}"), None))
}

fn what(value: &Value<'_, '_>) -> Option<String> {
    let text = value.text()?.trim();
    if !text.is_empty() && text.chars().count() <= CHARS_MAX && !text.chars().any(char::is_control) {
        return Some(text.to_owned());
    }
    value.wrong("\"what\" must be one line of text", Some("200 characters at most"))
}
