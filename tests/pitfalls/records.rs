//! Pitfalls 8 and 9: nobody is given the record of another, and no name leads to a place that was not meant.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::future::join_all;
use jiff::Timestamp;
use locum::broker::client_secret;
use locum::config::Config;
use locum::model::{
    Binding, Client, ClientSecret, Policy, Protocol, RecordId, RecordKind, Refusal, Secret, SecretSource, Verifier,
};
use locum::store::cache::{self, Cache};
use locum::store::memory::Memory;
use locum::store::{Changes, Expected, Feed, Position, Record, Store, StoreError, Version};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::answers::refused;
use crate::hands::{by_plain, is_in};
use crate::impostor::{Impostor, absent};
use crate::support::{Door, Lab, Plan, base64, plain, present};

/// Of `Hello world!`, as the specification of SHA-crypt has it: slow enough to be remembered when it was good.
const SHA_CRYPT: &str =
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

fn chosen(id: &str) -> ClientSecret {
    let (label, created, expires) = (String::new(), Timestamp::now(), None);
    let verifier = Verifier::Chosen { hash: SHA_CRYPT.into() };
    ClientSecret { id: id.into(), label, verifier, created, expires, source: SecretSource::Imported }
}

/// One login of the property below: who, with whose secret, where.
#[derive(Debug, Clone, Copy)]
struct Try {
    client: usize,
    secret: usize,
    protocol: Protocol,
    door: Door,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let one = (0_usize..4, 0_usize..4, 0_usize..3, 0_usize..3).prop_map(|(client, secret, protocol, door)| Try {
        client,
        secret,
        protocol: Protocol::ALL[protocol],
        door: Door::ALL[door],
    });
    proptest::collection::vec(one, 24)
}

/// What a node remembers (records, proofs that were good, what a provider let in) is never another's: of clients that differ
/// in their secret, their listeners and their protocols each is answered by its own record alone, whatever was answered just
/// before. Two of them have the same password; one was let in with it a moment ago and the other may not be.
#[tokio::test]
async fn pitfall_08_no_two_of_client_listener_and_protocol_share_an_answer() {
    let lab = Plan::new()
        .tune(|config| {
            (config.broker.failures_per_login_max, config.broker.failures_per_address_max) = (100_000, 100_000);
            (config.session.sessions_max, config.session.unproven_per_address_max) = (4000, 2000);
            for profile in config.upstreams.values_mut() {
                for endpoint in Arc::make_mut(profile).endpoints.values_mut() {
                    endpoint.sessions_max = 1000;
                }
            }
        })
        .start()
        .await;
    let policies = [
        Policy::default(),
        Policy { protocols: vec![Protocol::Imap], ..Policy::default() },
        Policy { listeners: Protocol::ALL.map(|it| Door::StartTls.listener(it)).to_vec(), ..Policy::default() },
        Policy { protocols: vec![Protocol::Pop3], listeners: vec!["pop3s".into()], ..Policy::default() },
    ];
    let mut clients = Vec::new();
    for (number, policy) in policies.iter().enumerate() {
        let login = format!("c{number}");
        let (mut record, mut secret) = {
            let (record, secret) = client_secret::issue("", None, Timestamp::now()).unwrap();
            (record, secret.expose_text().unwrap().to_owned())
        };
        // The last two: the same password, and the same hash of it.
        if number >= 2 {
            (record, secret) = (chosen(&login), "Hello world!".to_owned());
        }
        let bindings = vec![Binding::Account(lab.alice.address.clone())];
        let client = Client { login: login.clone(), secrets: vec![record], bindings, policy: policy.clone() };
        lab.directory.put_client(&client, None).await.unwrap();
        clients.push((login, secret));
    }
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..4 {
        let tries = tries().new_tree(&mut runner).unwrap().current();
        let each = tries.iter().map(async |one: &Try| {
            let ((login, _), (_, secret), policy) = (&clients[one.client], &clients[one.secret], &policies[one.client]);
            let mut wire = lab.connect(one.protocol, one.door).await;
            if one.protocol == Protocol::Submission {
                wire.ehlo().await;
            }
            let answer = by_plain(&mut wire, one.protocol, &plain("", login, secret)).await;
            let listener = one.door.listener(one.protocol);
            let is_permitted = (policy.protocols.is_empty() || policy.protocols.contains(&one.protocol))
                && (policy.listeners.is_empty() || policy.listeners.contains(&listener));
            let is_proven = secret == &clients[one.client].1;
            match (is_proven, is_permitted) {
                (false, _) => assert_eq!(answer, refused(one.protocol, Refusal::WrongCredentials), "{one:?}"),
                (true, false) => assert_eq!(answer, refused(one.protocol, Refusal::NotPermitted), "{one:?}"),
                (true, true) => assert!(is_in(&answer), "{one:?}: {answer}"),
            }
        });
        join_all(each).await;
    }
    // What was good a moment ago, and is remembered, is nothing once the record says otherwise.
    let mut found = lab.directory.client("c2").await.unwrap().unwrap();
    found.record.secrets.clear();
    lab.directory.put_client(&found.record, Some(found.version)).await.unwrap();
    let mut wire = lab.connect(Protocol::Imap, Door::StartTls).await;
    let answer = by_plain(&mut wire, Protocol::Imap, &plain("", "c2", "Hello world!")).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials));
}

proptest! {
    /// Names that differ have records that differ, of each kind, however they are written; a name is in no path.
    #[test]
    fn pitfall_08b_names_that_differ_have_records_that_differ(one in any::<String>(), other in any::<String>()) {
        let is_same = |a: &str, b: &str| a.trim().to_lowercase() == b.trim().to_lowercase();
        for kind in RecordKind::ALL {
            let (a, b) = (RecordId::new(kind, &one), RecordId::new(kind, &other));
            prop_assert_eq!(a == b, is_same(&one, &other));
            for other_kind in RecordKind::ALL.into_iter().filter(|it| *it != kind) {
                // Neither by itself, nor with what might be taken for the other kind's folder before it.
                for name in [one.clone(), format!("{}:{one}", kind.folder()), format!("{}/{one}", kind.folder())] {
                    let theirs = RecordId::new(other_kind, &name);
                    prop_assert_ne!(theirs.hash(), a.hash());
                }
            }
            let hash = a.hash();
            prop_assert_eq!(a.to_string(), format!("{}/{hash}", kind.folder()));
            prop_assert!(hash.len() == 32 && hash.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')));
        }
    }
}

/// A store that counts what it is asked for.
#[derive(Debug, Default)]
struct Counting {
    memory: Memory,
    reads: AtomicUsize,
}

#[async_trait]
impl Store for Counting {
    async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.memory.read(id).await
    }

    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
        self.memory.write(id, value, expected).await
    }

    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
        self.memory.delete(id, expected).await
    }

    async fn list(&self, kind: RecordKind, after: Option<&RecordId>, max: usize) -> Result<Vec<RecordId>, StoreError> {
        self.memory.list(kind, after, max).await
    }
}

#[async_trait]
impl Feed for Counting {
    async fn position(&self) -> Result<Position, StoreError> {
        Ok(Position::default())
    }

    async fn changes(&self, _: &Position, _: &Position) -> Result<Changes, StoreError> {
        Err(StoreError::Unavailable("nobody follows it here".into()))
    }
}

/// What a node remembers of logins that nobody has is bounded, for strangers cause it; and so is what it remembers of records.
#[tokio::test(start_paused = true)]
async fn pitfall_08c_what_is_remembered_of_absent_records_is_bounded() {
    let (store, max) = (Arc::new(Counting::default()), 500);
    let options = cache::Options { records_max: max as u64, ..cache::Options::default() };
    let cache = Cache::new(Arc::clone(&store), &options, Arc::default());
    let id = |name: &str| RecordId::new(RecordKind::Client, name);
    for number in 0..max + 100 {
        store.write(&id(&format!("there-{number}")), &Secret::new("{}"), Expected::Absent).await.unwrap();
    }
    for (name, many, kept) in [("nobody", 15_000, 10_000), ("there", max + 100, max)] {
        let id = |number: usize| id(&format!("{name}-{number}"));
        for number in 0..many {
            assert_eq!(cache.read(&id(number)).await.unwrap().is_some(), name == "there");
        }
        let asked = async |numbers: std::ops::Range<usize>| {
            let before = store.reads.load(Ordering::SeqCst);
            for number in numbers {
                cache.read(&id(number)).await.unwrap();
            }
            store.reads.load(Ordering::SeqCst) - before
        };
        assert_eq!(asked(many - kept..many).await, 0, "{name}: the newest are remembered");
        assert_eq!(asked(0..many - kept).await, many - kept, "{name}: and of the older ones none");
    }
}

/// Logins and addresses that would lead elsewhere if they stood in a path, a query or a pattern.
const ODD: [&str; 16] = [
    "../../sys/seal",
    "..%2f..%2fsys%2fseal",
    "a/../b",
    "/etc/passwd",
    "clients/alice",
    "alice?list=true",
    "alice#x",
    "*",
    "%",
    "alice%00",
    "alice;rm -rf",
    "' OR 1=1 --",
    "alice)(uid=*",
    "%{user}%n",
    "{{.Secret}}",
    "..",
];

/// Nothing of a login is in what a Vault is asked for: each path is that of a kind and a hash.
#[tokio::test]
async fn pitfall_09_no_name_becomes_a_path_of_the_store() {
    let server = Impostor::behind_proof(|_| Some(absent())).await;
    let lab = in_a_vault(&server).await;
    let each = ODD.iter().enumerate().map(async |(number, login)| {
        let protocol = Protocol::ALL[number % 3];
        let mut wire = lab.open(protocol).await;
        let answer = by_plain(&mut wire, protocol, &plain(login, login, "secret")).await;
        assert_eq!(answer, refused(protocol, Refusal::WrongCredentials), "{login}");
        let (_wire, answer) = lab.present(Protocol::Imap, &format!("\"{login}\""), "secret").await;
        assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials), "{login}");
    });
    join_all(each).await;
    let requests = server.requests();
    let paths: Vec<&str> = requests.iter().filter_map(|request| request.split(' ').nth(1)).collect();
    let asked: Vec<&str> = paths.iter().filter_map(|path| path.strip_prefix("/v1/locum/data/clients/")).collect();
    let asked: Vec<&str> = asked.into_iter().map(|hash| hash.trim_end_matches('?')).collect();
    assert!(asked.len() >= ODD.len(), "{paths:?}");
    for hash in asked {
        assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{hash}");
    }
    for request in &requests {
        for word in ["passwd", "seal", "alice", "uid=", "1=1", "list=true", "%2", "Secret}}", &base64("alice")] {
            assert!(!request.contains(word), "{word}: {request}");
        }
    }
}

/// The lab with its records in a Vault that this is.
async fn in_a_vault(server: &Impostor) -> Lab {
    let toml = format!(
        "[store]\nkind = \"vault\"\naddress = \"{}\"\nrequest-timeout = \"1s\"\n\
         [store.login]\nmethod = \"token\"\ntoken-environment = \"PATH\"\n",
        server.address()
    );
    Plan::new().store(&toml, Arc::new(Memory::new())).tune(many_failures).start().await
}

fn many_failures(config: &mut Config) {
    (config.broker.failures_per_login_max, config.broker.failures_per_address_max) = (1000, 1000);
}

/// A store that does not answer is never a wrong password, of a login that there is or of one that there is not: whoever is
/// told so throws its password away.
#[tokio::test]
async fn pitfall_16c_a_store_that_is_away_is_no_wrong_password() {
    let away = |_: &str| Some(("503 Service Unavailable".to_owned(), "{\"errors\":[\"Vault is sealed\"]}".to_owned()));
    let server = Impostor::behind_proof(away).await;
    let lab = in_a_vault(&server).await;
    for protocol in Protocol::ALL {
        for login in ["alice", "nobody"] {
            let mut wire = lab.open(protocol).await;
            let answer = present(&mut wire, protocol, login, "secret").await;
            assert_eq!(answer, refused(protocol, Refusal::Unavailable), "{login}");
            assert!(!answer.contains("sealed"), "{answer}");
        }
    }
}
