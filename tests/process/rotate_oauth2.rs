//! What an application shows to its authority, rotated as an operator types it: a secret, and a key that is made here and
//! that nobody ever sees.

use std::fs;

use locum::broker::Directory;
use locum::config::Config;
use locum::credential::oauth2::{Authentication, proof};
use locum::model::{Secret, Slots};
use locum::sandbox::{Application, ApplicationProof, Face, Mailboxes};
use locum::store;

use crate::support::{Canaries, Home, Provider, Run, trusted};

const DATA: i32 = 65;
const TEMPORARY: i32 = 75;

const DOMAIN: &str = "contoso.test";
const ALICE: &str = "alice@contoso.test";
const TENANT: &str = "contoso.onmicrosoft.com";
const DAEMON: &str = "7d3a2f60-0000-4000-8000-00000000dae0";
const OLD: &str = "Zq8~Q~wX3vBn7mKp2Lr9TgHs5JdF-of-last-year";
const NEW: &str = "Kt4~Q~pR6cYh1nWz8Dx5MbVj3GsE-of-this-year";

/// Locum beside a look-alike of Exchange with its authority, and the credential of a domain.
struct Scene {
    home: Home,
    provider: Provider,
}

impl Scene {
    fn set() -> Self {
        let home = Home::made();
        let pems = trusted(&home);
        let provider = Provider::new(Face::ExchangeWithPasswords, &pems);
        home.configure(&format!(
            "[rotation]\nsecond-look = \"1s\"\npatience = \"0s\"\n[upstream.exchange]\npreset = \"exchange-online\"\n{}\n{}\n",
            provider.serve(),
            provider.serve_authority(),
        ));
        provider.sandbox.register(Application {
            client_id: DAEMON.to_owned(),
            tenant: TENANT.to_owned(),
            authentication: ApplicationProof::Secret(Secret::new(OLD)),
            may_act_as: Mailboxes::All,
            consented: true,
        });
        provider.add(ALICE, "unused");
        home.write("old", OLD);
        home.write("new", NEW);
        let scene = Self { home, provider };
        let of = ["--upstream", "exchange", "--tenant", TENANT, "--client-id", DAEMON, "--secret-file", "old"];
        scene.run(&[&["oauth", "add-tenant", DOMAIN, "--label", "last year"], &of[..]].concat()).succeeded();
        scene
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.home.run(arguments)
    }

    /// A verb for the domain.
    fn rotate(&self, verb: &str, more: &[&str]) -> Run {
        self.run(&[&["rotate", verb, "@contoso.test"], more].concat())
    }

    /// The places as they are stored.
    fn slots(&self) -> Slots {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let config = Config::load(&self.home.path("locum.toml")).unwrap();
            let directory = Directory::of_operator(store::open(&config.store).await.unwrap(), "test");
            directory.tenant(DOMAIN).await.unwrap().unwrap().record.oauth2
        })
    }
}

#[test]
fn the_secret_of_a_domain_is_rotated_with_an_overlap() {
    let scene = Scene::set();
    let staged = ["--secret-file", "new", "--secret-expires", "2100-01-31"];
    let run = scene.rotate("stage", &staged).succeeded();
    let next = scene.slots().next.unwrap().credential;
    run.said(&format!("staged {}; logins still use", next.id)).said("  ends 2100-01-31");
    assert!(next.label.is_empty() && !run.stderr.contains(&NEW[..3]), "no part of a secret is a name: {run:#?}");
    let status = scene.run(&["oauth", "status", DOMAIN, "--json"]).succeeded().json();
    assert_eq!(status[0]["others"][0]["place"], "next", "{status}");
    assert_eq!(status[0]["others"][0]["ends"], "2100-01-31T00:00:00Z", "{status}");
    // Nobody has made it at the authority.
    scene.rotate("verify", &["--mailbox", ALICE]).ended(DATA).said("AADSTS7000215");
    scene.rotate("discard", &[]).succeeded();

    scene.provider.sandbox.add_application_proof(DAEMON, ApplicationProof::Secret(Secret::new(NEW)));
    let rotated = scene.rotate("run", &[&staged[..], &["--mailbox", ALICE, "--label", "this year"]].concat());
    rotated.succeeded();
    let slots = scene.slots();
    assert_eq!(slots.current.unwrap().label, "this year");
    assert_eq!(slots.previous.unwrap().credential.label, "last year");

    // No account is of that domain: the mailbox to look into is named on the way back, too, and forward again.
    for label in ["last year", "this year"] {
        let back = scene.rotate("rollback", &["--to", label, "--mailbox", ALICE]).succeeded();
        back.said(&format!("logins use {label:?}"));
        assert!(back.stdout.contains("imap        logged in"), "{back:#?}");
        assert_eq!(scene.slots().current.unwrap().label, label);
    }

    scene.rotate("retire", &["--now", "--yes"]).succeeded();
    assert_eq!(scene.slots().leftovers.last().unwrap().label, "last year");
    scene.run(&["oauth", "remove-tenant", DOMAIN]).succeeded().said("this year").said("last year");
}

#[test]
fn a_key_is_made_here_and_its_public_half_is_uploaded() {
    let scene = Scene::set();
    let made = ["--new-key", "--key-bits", "2048", "--certificate-out", "upload.crt"];
    let staged = scene.rotate("stage", &made).succeeded();
    staged.said("the certificate is in upload.crt").said("upload that certificate").said("staged thumbprint ");
    let next = scene.slots().next.unwrap().credential;
    let Some(Authentication::Certificate { certificate, key }) = proof(&next) else { panic!("no certificate") };
    assert_eq!(fs::read_to_string(scene.home.path("upload.crt")).unwrap(), certificate);

    // Twice in vain: it waits for its upload.
    let mut runs = vec![staged];
    for _ in 0..2 {
        runs.push(scene.rotate("run", &["--mailbox", ALICE]).ended(TEMPORARY));
        runs.last().unwrap().said("does not know this certificate yet: upload it");
    }
    assert_eq!(scene.slots().next.unwrap().refused, None);
    runs.push(scene.rotate("export", &[]).succeeded());
    assert_eq!(runs.last().unwrap().stdout.trim_end(), certificate.trim_end());

    scene.provider.sandbox.add_application_proof(DAEMON, ApplicationProof::Certificate(certificate));
    runs.push(scene.rotate("run", &["--mailbox", ALICE]).succeeded());
    scene.provider.sandbox.remove_application_proof(DAEMON, &ApplicationProof::Secret(Secret::new(OLD)));
    runs.push(scene.run(&["oauth", "status", DOMAIN, "--try"]).succeeded());
    runs.push(scene.rotate("status", &[]).succeeded());

    // The modulus stands first in a key and in the certificate, too: what is behind it is secret, line by line.
    let mut canaries = Canaries::default();
    let lines: Vec<&str> = key.expose_text().unwrap().lines().filter(|line| line.len() > 40).collect();
    assert!(lines.len() > 20, "it is a key of 2048 bits");
    for line in &lines[8..] {
        canaries.add("the private key", line);
    }
    canaries.add("the old secret", OLD);
    for run in runs {
        canaries.assert_absent("what was said", format!("{}{}", run.stdout, run.stderr));
    }
    canaries.assert_absent("the exported file", fs::read(scene.home.path("upload.crt")).unwrap());
}
