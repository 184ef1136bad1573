//! Records as they lie in a store, written by whatever hand: a record or an error that quotes nothing; and what is read and
//! written again is the same.
//!
//! An input is: kind (1 byte), and the document.

use std::cell::OnceCell;
use std::sync::Arc;

use jiff::Timestamp;
use locum::broker::{Directory, DirectoryError, Versioned};
use locum::credential::{self, oauth2};
use locum::model::{
    Account, CredentialKind, KeptTicketKey, Protocol, RecordId, RecordKind, Secret, Slots, StoredCredential,
    TicketKeys, presets,
};
use locum::net::tls::TicketKey;
use locum::store::memory::Memory;
use locum::store::{Expected, Store, Version};
use tokio::runtime::{Builder, Runtime};

use super::Input;

/// Under which the document is found, whatever name is in it.
const NAME: &str = "found@x.test";

pub(crate) fn run(data: &[u8]) {
    thread_local! {
        static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
    }
    let build = || Builder::new_current_thread().enable_time().build().expect("a runtime on this thread");
    RUNTIME.with(|runtime| runtime.get_or_init(build).block_on(read(data)));
}

async fn read(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = RecordKind::ALL[usize::from(input.byte()) % RecordKind::ALL.len()];
    let document = Secret::new(input.rest());
    let store = Arc::new(Memory::new());
    // Of the keys of tickets there is one record, by a name of its own.
    let id = RecordId::new(kind, if kind == RecordKind::Tickets { TicketKeys::NAME } else { NAME });
    store.write(&id, &document, Expected::Absent).await.expect("an empty store takes it");
    let directory = Directory::new(store);
    match kind {
        RecordKind::Account => {
            let Some(account) = found(directory.account(NAME).await) else { return };
            use_account(&account);
            let version = write(&directory.put_account(&account, None).await);
            let again = found(directory.account(&account.name).await);
            assert!(version.is_none() || again == Some(account), "it was changed by being written");
        }
        RecordKind::Client => {
            let Some(client) = found(directory.client(NAME).await) else { return };
            let version = write(&directory.put_client(&client, None).await);
            let again = found(directory.client(&client.login).await);
            assert!(version.is_none() || again == Some(client), "it was changed by being written");
        }
        RecordKind::Tenant => {
            let Some(tenant) = found(directory.tenant(NAME).await) else { return };
            use_slots(&tenant.oauth2);
            let version = write(&directory.put_tenant(&tenant, None).await);
            let again = found(directory.tenant(&tenant.domain).await);
            assert!(version.is_none() || again == Some(tenant), "it was changed by being written");
        }
        RecordKind::Token => {
            let Some(token) = found(directory.token(NAME, true).await) else { return };
            let version = write(&directory.put_token(&token, None).await);
            let again = found(directory.token(&token.credential, true).await);
            assert!(version.is_none() || again == Some(token), "it was changed by being written");
        }
        RecordKind::Usage => {
            let Some(report) = found(directory.usage(NAME).await) else { return };
            let version = write(&directory.put_usage(&report, None).await);
            let again = found(directory.usage(&report.node).await);
            assert!(version.is_none() || again == Some(report), "it was changed by being written");
        }
        RecordKind::Seen => {
            let Some(sighting) = found(directory.seen(NAME).await) else { return };
            let mut sum = sighting.clone();
            sum.add(&sighting);
            sum.came_from([192, 0, 2, 7].into(), Timestamp::UNIX_EPOCH);
            sum.add_refusals("auth-bad", 1);
            let _ = (sum.beyond(&sighting), sum.refusals(), sum.has_weak_tls());
            let version = write(&directory.put_seen(&sighting, None).await);
            let again = found(directory.seen(&sighting.key.name()).await);
            assert!(version.is_none() || again == Some(sighting), "it was changed by being written");
        }
        RecordKind::Tickets => {
            let Some(keys) = found(directory.ticket_keys().await) else { return };
            let usable = |key: &KeptTicketKey| TicketKey::new(&key.id, &key.secret, key.made).is_some();
            let _ = keys.keys.iter().filter(|key| usable(key)).count();
            let written = directory.ticket_keys().await.expect("it was read").map(|found| found.version);
            assert!(directory.put_ticket_keys(&keys, written).await.is_ok());
            assert!(found(directory.ticket_keys().await) == Some(keys), "it was changed by being written");
        }
        RecordKind::Operator => {
            let Some(operator) = found(directory.operator(NAME).await) else { return };
            let version = write(&directory.put_operator(&operator, None).await);
            let again = found(directory.operator(&operator.name).await);
            assert!(version.is_none() || again == Some(operator), "it was changed by being written");
        }
    }
}

/// The record, if it is one; otherwise an error that says where it is wrong and not what stands there.
fn found<T: std::fmt::Debug>(read: Result<Option<Versioned<T>>, DirectoryError>) -> Option<T> {
    match read {
        Ok(found) => {
            let found = found.expect("it was written");
            if let Some(changed) = &found.changed {
                assert!(!changed.by.contains(char::is_control), "it goes onto terminals");
            }
            let _ = format!("{found:?}");
            Some(found.record)
        }
        Err(error) => {
            assert!(matches!(error, DirectoryError::Malformed { .. }), "{error}");
            let text = format!("{error} {error:?}");
            assert!(text.len() < 400 && !text.contains("canary"), "{text}");
            None
        }
    }
}

/// The version, if it was written; one may have the name that the document was found under.
fn write(written: &Result<Version, DirectoryError>) -> Option<Version> {
    match written {
        Ok(version) => Some(*version),
        Err(DirectoryError::Changed { .. } | DirectoryError::Malformed { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// All that is asked of an account at a login and in a rotation.
fn use_account(account: &Account) {
    let profile = presets::preset("gmail").expect("a preset");
    for protocol in Protocol::ALL {
        let _ = (account.identity(protocol), account.preferred(protocol));
        let Some(endpoint) = profile.endpoints.get(&protocol) else { continue };
        for (kind, slots) in &account.credentials {
            for (_, stored) in slots.usable(Timestamp::UNIX_EPOCH) {
                match kind {
                    CredentialKind::AppPassword => {
                        if let Ok(ready) = credential::app_password(account, stored, protocol, endpoint) {
                            assert!(!ready.credentials.secret.has_control_characters(), "it would end its line");
                        }
                    }
                    CredentialKind::OAuth2 => use_oauth2(stored),
                }
            }
        }
    }
    account.credentials.values().for_each(use_slots);
}

fn use_slots(slots: &Slots) {
    assert!(slots.at_provider() >= slots.to_delete().count(), "what is to be deleted exists");
    let _ = (slots.known_at_provider(), oauth2::kept_in(slots));
    slots.usable(Timestamp::UNIX_EPOCH).for_each(|(_, stored)| use_oauth2(stored));
}

fn use_oauth2(stored: &StoredCredential) {
    let _ = (credential::is_to_be_deleted(stored, [stored]), oauth2::is_made_here(stored), oauth2::kept_under(stored));
    match oauth2::OAuth2::from_stored(stored) {
        Ok(credential) => {
            assert!(credential.client_id.bytes().all(|byte| byte.is_ascii_graphic()), "it goes into a form");
            let url = credential.url("https://x.test/{tenant}/token");
            assert!(
                url.is_err() || credential.tenant.as_deref().is_none_or(|tenant| !tenant.contains(['/', '?', '#']))
            );
            let _ = (credential.expires(), credential.version(&stored.id));
        }
        Err(error) => assert!(!error.to_string().contains("canary"), "{error}"),
    }
}
