//! What the values of right files come to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use locum::broker::SharedOptions;
use locum::config::Config;
use locum::model::{
    AppPasswordFormat, Authority, CredentialKind, Enrolment, EnrolmentMode, LoginForm, Mark, Mechanism, Protocol,
    Recognition, UnknownLogins, UpstreamTls, presets,
};
use locum::net::ValkeyOptions;
use locum::rotation::Action;
use locum::session::{FrontEnds, ListenerTls};
use locum::store::vault::Login;
use locum::store::{self, KeySource, cache, vault};
use locum::telemetry::LogFormat;
use locum::{broker, session, upstream};

fn parse(text: &str) -> Config {
    let text = format!("{text}\n[store]\nkey-file = \"locum.key\"\n");
    Config::parse(&text, Path::new("locum.toml")).unwrap_or_else(|errors| panic!("{errors}"))
}

fn load(name: &str) -> Config {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/valid").join(name);
    Config::load(&file).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_smallest_file_has_every_default() {
    let config = parse("");
    assert_eq!(config.name, "localhost");
    let key = KeySource::File("locum.key".into());
    assert_eq!(config.store, store::Options::Sqlite(store::sqlite::Options { path: "locum.db".into(), key }));
    assert_eq!(config.session, session::Options::default());
    assert_eq!(config.upstream, upstream::Options::default());
    assert_eq!(config.broker, broker::Options::default());
    assert_eq!((config.telemetry.log.as_str(), config.telemetry.format), ("info", LogFormat::Text));
    assert!(config.listeners.is_empty() && config.upstreams.is_empty() && config.admin.bind.is_empty());
}

#[test]
fn a_hook_is_a_program_and_what_it_is_for() {
    let hook = load("everything.toml").rotation.hook.unwrap();
    assert_eq!(hook.command, ["/usr/local/bin/hook", "--for", "us"]);
    assert_eq!((hook.timeout, hook.actions), (Duration::from_secs(90), vec![Action::Set, Action::Revoke]));
    let named = ["PATH", "HOME", "LANG"];
    assert!(hook.environment.iter().all(|(name, _)| named.contains(&name.as_str())), "it gets no more than that");
    let hook = parse("[rotation.hook]\ncommand = \"/bin/true\"").rotation.hook.unwrap();
    assert_eq!((hook.timeout, hook.actions), (Duration::from_secs(60), vec![Action::Make]));
    assert_eq!(parse("[rotation.hook]").rotation.hook, None);
}

#[test]
fn every_setting_arrives_in_its_place() {
    let config = load("everything.toml");
    let seconds = Duration::from_secs;
    assert_eq!(config.name, "mail.example.com");
    assert_eq!(config.tls.upstream_ca_files.len(), 2);
    let expected = session::Options {
        sessions_max: 1,
        unproven_per_address_max: 2,
        connections_per_address_max: Some(3),
        tls_handshake_timeout: seconds(2),
        login_timeout: seconds(180),
        write_timeout: seconds(4),
        idle_timeout: seconds(5 * 3600),
        stall_timeout: seconds(120),
        session_max_time: Some(seconds(3 * 86400)),
        drain_timeout: seconds(0),
        handover_timeout: seconds(7200),
        ..session::Options::default()
    };
    assert_eq!(config.session, expected);
    let migration = upstream::ClassOptions {
        sessions_max: Some(20),
        sessions_per_mailbox_max: Some(2),
        messages_per_minute: Some(600),
    };
    let classes = [("migration".to_owned(), migration), ("none".to_owned(), upstream::ClassOptions::default())];
    let expected = upstream::Options {
        classes: classes.into(),
        name: "mail.example.com".into(),
        dial_timeout: seconds(6),
        tls_handshake_timeout: seconds(2),
        login_timeout: seconds(70),
        gate_timeout: seconds(8),
        pace_timeout: seconds(9),
        probe_interval: seconds(86_400),
        ..upstream::Options::default()
    };
    assert_eq!(config.upstream, expected);
    let shared = config.broker.shared.as_ref().unwrap();
    assert!(shared.server.ca_file.as_ref().unwrap().ends_with("tests/config/valid/valkey.pem"));
    let server = ValkeyOptions {
        host: "valkey.example.com".to_owned(),
        port: 6380,
        tls: true,
        ca_file: shared.server.ca_file.clone(),
        username: Some("locum".to_owned()),
        timeout: Duration::from_millis(16),
    };
    let expected = broker::Options {
        failures_per_login_max: 11,
        failures_per_address_max: 12,
        failures_per_site_max: 14,
        failure_window: seconds(13),
        hold_back_max: seconds(900),
        shared: Some(SharedOptions {
            server,
            password: Some(KeySource::Credential("valkey".to_owned())),
            key: KeySource::Environment("LOCUM_SHARED".to_owned()),
            prefix: "mail:".to_owned(),
        }),
    };
    assert_eq!(config.broker, expected);
    assert_eq!(config.admin.bind, ["127.0.0.1:9465".parse().unwrap(), "[::1]:9465".parse().unwrap()]);
    assert!(config.admin.socket.as_ref().unwrap().ends_with("admin.sock"));
    assert!(config.admin.tls && config.admin.api && !config.admin.console);
    assert!(config.audit.path.as_ref().is_some_and(|path| path.ends_with("tests/config/valid/audit.jsonl")));
    assert_eq!((config.telemetry.log.as_str(), config.telemetry.format), ("warn,locum=debug", LogFormat::Json));

    let [listener] = &config.listeners[..] else { panic!("one listener") };
    assert_eq!((listener.name.as_str(), listener.protocol), ("office", Protocol::Pop3));
    assert_eq!(listener.bind, ["127.0.0.1:1110".parse().unwrap(), "[::1]:1110".parse().unwrap()]);
    assert_eq!(listener.tls, ListenerTls::StartTls);
    // Host bits are cut off, a bare address is a network of one.
    assert_eq!(listener.plaintext_networks, ["10.0.0.0/8".parse().unwrap(), "192.0.2.7/32".parse().unwrap()]);
    assert_eq!(listener.allow, ["2001:db8::/32".parse().unwrap()]);
    assert_eq!(listener.entrance.upstreams, ["own"]);
    assert_eq!(listener.entrance.login_forms, [LoginForm::Master, LoginForm::Slash]);

    let own = &config.upstreams["own"];
    assert_eq!((own.name.as_str(), own.app_password), ("own", AppPasswordFormat::SpacesAreCosmetic));
    let endpoint = &own.endpoints[&Protocol::Pop3];
    assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.tls), ("192.0.2.1", 1995, UpstreamTls::StartTls));
    assert_eq!(endpoint.mechanisms, [Mechanism::Login]);
    assert!(!endpoint.takes_passwords);
    assert_eq!(endpoint.keywords, ["TOP", "EXPIRE 0"]);
    assert_eq!((endpoint.sessions_max, endpoint.warm_max), (3, 0));
    assert_eq!(own.endpoints.len(), 1);
    let expected = Authority {
        token_url: "https://login.example.com:8443/{tenant}/token?api=2".into(),
        authorize_url: Some("https://192.0.2.1/authorize?prompt=consent".into()),
        device_url: Some("https://login.example.com/{tenant}/device".into()),
        application_scopes: vec!["mail/.default".into()],
        delegated_scopes: vec!["imap".into(), "offline_access".into()],
    };
    assert_eq!(own.authority, Some(expected));
}

#[test]
fn front_ends_and_devices_arrive() {
    let [listener] = &load("front.toml").listeners[..] else { panic!("one listener") };
    let networks = |all: &[&str]| all.iter().map(|it| it.parse().unwrap()).collect::<Vec<_>>();
    let expected =
        FrontEnds { proxy_protocol: networks(&["10.0.0.5/32", "2001:db8::/64"]), xclient: networks(&["10.0.0.6/32"]) };
    assert_eq!(listener.front_ends, expected);
    let fingerprint = "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865".parse().unwrap();
    let expected = [
        ("scanner-3f", Mark::Network("10.3.0.9/32".parse().unwrap())),
        ("third floor", Mark::Network("10.3.0.0/24".parse().unwrap())),
        ("plotter", Mark::Certificate(fingerprint)),
    ];
    let expected = expected.map(|(client, mark)| Recognition { client: client.into(), mark });
    assert_eq!(listener.entrance.recognitions, expected);
    // Nothing of it is on unless it is written.
    let [listener] = &load("everything.toml").listeners[..] else { panic!("one listener") };
    assert_eq!((&listener.front_ends, listener.entrance.recognitions.len()), (&FrontEnds::default(), 0));
}

#[test]
fn what_is_said_of_rotation_arrives() {
    use CredentialKind::{AppPassword, OAuth2};
    let rotation = load("everything.toml").rotation;
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    assert_eq!((rotation.grace, rotation.second_look), (days(2), Duration::from_secs(45)));
    let keeper = &rotation.keeper;
    assert_eq!((keeper.keeps, keeper.verify_every, keeper.rollback_after, keeper.retires), (false, None, 0, false));
    for (kind, class, age) in [
        (AppPassword, None, Some(180)),
        (OAuth2, None, None),
        (AppPassword, Some("printers"), Some(90)),
        (OAuth2, Some("printers"), Some(365)),
        (AppPassword, Some("scanners"), Some(180)),
    ] {
        assert_eq!(rotation.max_ages.of(kind, class), age.map(days), "{kind} {class:?}");
    }
    let webhook = rotation.webhook.unwrap();
    assert_eq!(webhook.url, "http://127.0.0.1:9093/locum?team=mail");
    assert!(webhook.token_file.unwrap().ends_with("tests/config/valid/webhook-token"));
}

#[test]
fn a_node_keeps_credentials_unless_its_store_is_a_vault() {
    assert!(parse("").rotation.keeper.keeps);
    assert!(!load("vault-smallest.toml").rotation.keeper.keeps);
    let text = std::fs::read_to_string("tests/config/valid/vault-smallest.toml").unwrap();
    let config = Config::parse(&format!("{text}\n[rotation]\nkeeper = true\n"), Path::new("locum.toml"));
    assert!(config.unwrap().rotation.keeper.keeps);
}

#[test]
fn a_preset_is_taken_whole() {
    for name in presets::NAMES {
        let config = parse(&format!("[upstream.work]\npreset = \"{name}\""));
        let expected = presets::preset(name).unwrap();
        assert_eq!(config.upstreams["work"].name, "work");
        assert_eq!(config.upstreams["work"].endpoints, expected.endpoints);
        assert_eq!(config.upstreams["work"].app_password, expected.app_password);
        assert_eq!(config.upstreams["work"].authority, expected.authority);
    }
}

#[test]
fn a_value_overrides_that_of_the_preset_and_no_other() {
    let config = parse("[upstream.gmail]\npreset = \"gmail\"\nimap.sessions-max = 3\nsubmission.tls = \"starttls\"");
    let mut expected = presets::preset("gmail").unwrap();
    expected.endpoints.get_mut(&Protocol::Imap).unwrap().sessions_max = 3;
    let submission = expected.endpoints.get_mut(&Protocol::Submission).unwrap();
    (submission.tls, submission.port) = (UpstreamTls::StartTls, 587);
    assert_eq!(*config.upstreams["gmail"], expected);
}

#[test]
fn a_mailbox_may_send_so_many_messages_a_minute() {
    let pace = |text: &str| {
        parse(&format!("[upstream.work]\n{text}")).upstreams["work"].endpoints[&Protocol::Submission]
            .messages_per_minute
    };
    assert_eq!(pace("preset = \"exchange-online\""), Some(30));
    assert_eq!(pace("preset = \"exchange-online\"\nsubmission.messages-per-minute = 12"), Some(12));
    assert_eq!(pace("preset = \"exchange-online\"\nsubmission.messages-per-minute = 0"), None);
    assert_eq!(pace("preset = \"gmail\""), None);
    assert_eq!(pace("submission = { host = \"mail.example.com\", messages-per-minute = 5 }"), Some(5));
}

#[test]
fn an_authority_is_that_of_the_preset_but_for_what_is_given() {
    let text = "preset = \"exchange-online\"\noauth2.token-url = \"https://login.example.com/token\"\n\
                oauth2.delegated-scopes = []";
    let config = parse(&format!("[upstream.work]\n{text}"));
    let preset = presets::preset("exchange-online").unwrap().authority.unwrap();
    let token_url = "https://login.example.com/token".into();
    let expected = Authority { token_url, delegated_scopes: Vec::new(), ..preset };
    assert_eq!(config.upstreams["work"].authority, Some(expected));
}

#[test]
fn an_authority_can_be_given_where_there_is_none() {
    let url = "https://login.example.com/token";
    for provider in ["preset = \"yahoo\"", "imap.host = \"mail.example.com\""] {
        let config = parse(&format!("[upstream.own]\n{provider}\noauth2.token-url = \"{url}\""));
        let authority = config.upstreams["own"].authority.as_ref().unwrap();
        assert_eq!((authority.token_url.as_str(), &authority.authorize_url), (url, &None));
        assert!(authority.application_scopes.is_empty() && authority.delegated_scopes.is_empty());
    }
    assert_eq!(parse("[upstream.own]\nimap.host = \"mail.example.com\"").upstreams["own"].authority, None);
}

#[test]
fn an_endpoint_can_be_added_to_a_preset_that_lacks_it() {
    let config = parse("[upstream.icloud]\npreset = \"icloud\"\npop3.host = \"pop.example.com\"");
    let endpoint = &config.upstreams["icloud"].endpoints[&Protocol::Pop3];
    assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.sessions_max), ("pop.example.com", 995, 8));
    assert_eq!(endpoint.mechanisms, Mechanism::ALL);
    assert_eq!(config.upstreams["icloud"].endpoints.len(), 3);
}

#[test]
fn ports_follow_protocol_and_tls() {
    for (protocol, implicit, starttls) in
        [(Protocol::Imap, 993, 143), (Protocol::Pop3, 995, 110), (Protocol::Submission, 465, 587)]
    {
        for (tls, port) in [("implicit", implicit), ("starttls", starttls)] {
            let config = parse(&format!("[upstream.own.{protocol}]\nhost = \"mail.example.com\"\ntls = \"{tls}\""));
            assert_eq!(config.upstreams["own"].endpoints[&protocol].port, port, "{protocol} {tls}");
        }
    }
}

#[test]
fn a_listener_without_upstreams_takes_all_that_serve_its_protocol() {
    let config = load("every-upstream.toml");
    let upstreams: Vec<&[String]> = config.listeners.iter().map(|listener| &listener.entrance.upstreams[..]).collect();
    assert_eq!(upstreams, [&["gmail".to_owned(), "icloud".to_owned()][..], &["gmail".to_owned()][..]]);
}

#[test]
fn keys_of_the_store_are_named_in_three_ways() {
    let key = |line: &str| {
        let config = Config::parse(&format!("[store]\n{line}"), Path::new("/etc/locum.toml")).unwrap();
        let store::Options::Sqlite(options) = config.store else { panic!("sqlite") };
        options.key
    };
    assert_eq!(key("key-file = \"k\""), KeySource::File(PathBuf::from("/etc/k")));
    assert_eq!(key("key-credential = \"locum.key\""), KeySource::Credential("locum.key".into()));
    assert_eq!(key("key-environment = \"LOCUM_KEY\""), KeySource::Environment("LOCUM_KEY".into()));
}

/// What `[store]` of a file in `valid/` comes to.
fn vault(name: &str) -> vault::Options {
    let store::Options::Vault(options) = load(name).store else { panic!("a Vault") };
    options
}

#[test]
fn every_setting_of_a_vault_arrives_in_its_place() {
    let seconds = Duration::from_secs;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/valid");
    let expected = vault::Options {
        addresses: ["https://vault1.example.com:8200", "https://[2001:db8::2]", "http://127.0.0.1:8200"]
            .map(str::to_owned)
            .to_vec(),
        mount: "mail/locum".into(),
        namespace: Some("team 1/mail".into()),
        ca_file: Some(folder.join("vault-ca.pem")),
        login: Login::AppRole {
            mount: "mail-approle".into(),
            role_id: "7c1f9b5e-22aa-4c3e-9d0b-0123456789ab".into(),
            secret_id: KeySource::File(folder.join("secret-id")),
            wrapped: true,
        },
        request_timeout: seconds(7),
        cache: cache::Options {
            refresh_after: seconds(0),
            max_stale: seconds(0),
            records_max: 123,
            poll_interval: seconds(1),
        },
        peers: vec!["locum2.example.com:9466".into(), "[2001:db8::3]:9466".into()],
        peer_bind: Some("[::]:9466".parse().unwrap()),
    };
    assert_eq!(vault("vault-everything.toml"), expected);
}

#[test]
fn a_vault_needs_an_address_and_a_login_and_has_defaults_for_the_rest() {
    let expected = vault::Options {
        addresses: vec!["https://vault.example.com".into()],
        mount: "locum".into(),
        namespace: None,
        ca_file: None,
        login: Login::Token(KeySource::Environment("VAULT_TOKEN".into())),
        request_timeout: Duration::from_secs(5),
        cache: cache::Options::default(),
        peers: Vec::new(),
        peer_bind: None,
    };
    assert_eq!(vault("vault-smallest.toml"), expected);
}

#[test]
fn a_login_without_secrets_has_its_own_defaults() {
    let expected = Login::Kubernetes {
        mount: "kubernetes".into(),
        role: "locum".into(),
        token_file: "/var/run/secrets/kubernetes.io/serviceaccount/token".into(),
    };
    assert_eq!(vault("vault-kubernetes.toml").login, expected);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/valid");
    let expected = Login::Certificate {
        mount: "cert".into(),
        role: None,
        certificate: folder.join("client.crt"),
        key: folder.join("client.key"),
    };
    assert_eq!(vault("vault-certificate.toml").login, expected);
}

#[test]
fn secrets_for_a_vault_are_found_in_three_places() {
    let login = |lines: &str| {
        let text = format!("[store]\nkind = \"vault\"\naddress = \"https://v\"\n[store.login]\n{lines}");
        let config = Config::parse(&text, Path::new("/etc/locum.toml")).unwrap_or_else(|errors| panic!("{errors}"));
        let store::Options::Vault(options) = config.store else { panic!("a Vault") };
        options.login
    };
    for (place, expected) in [
        ("file = \"v\"", KeySource::File("/etc/v".into())),
        ("credential = \"v\"", KeySource::Credential("v".into())),
        ("environment = \"V\"", KeySource::Environment("V".into())),
    ] {
        assert_eq!(login(&format!("method = \"token\"\ntoken-{place}")), Login::Token(expected.clone()));
        let found = login(&format!("method = \"approle\"\nrole-id = \"r\"\nsecret-id-{place}"));
        let expected =
            Login::AppRole { mount: "approle".into(), role_id: "r".into(), secret_id: expected, wrapped: false };
        assert_eq!(found, expected);
    }
}

#[test]
fn what_is_said_of_enrolment_arrives_and_is_off_without() {
    let config = load("enrolment.toml");
    let [office, scanners] = &config.listeners[..] else { panic!("two listeners") };
    let time = |text: &str| text.parse().unwrap();
    let expected = Enrolment {
        mode: EnrolmentMode::Learn { upstream: "own".into() },
        domain: Some("contoso.com".into()),
        networks: vec!["10.3.0.0/16".parse().unwrap()],
        from: Some(time("2026-11-02T06:00:00Z")),
        until: time("2026-11-16T17:00:00Z"),
    };
    assert_eq!(office.entrance.enrolment, Some(expected));
    let networks = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    let passes = UnknownLogins::Passthrough { upstream: "gmail".into(), networks };
    assert_eq!(office.entrance.unknown_logins, passes);
    let first = scanners.entrance.enrolment.as_ref().unwrap();
    assert_eq!((&first.mode, &first.domain, first.from), (&EnrolmentMode::FirstLogin, &None, None));
    assert_eq!(scanners.entrance.unknown_logins, UnknownLogins::Reject);
    let off = &load("everything.toml").listeners[0].entrance;
    assert_eq!((&off.enrolment, &off.unknown_logins), (&None, &UnknownLogins::Reject));
}
