//! Pictures of the pages, for `docs/console.md`. They are made only where `LOCUM_PICTURES` names a folder.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use locum::model::{CredentialKind, Leftover, LeftoverReason, NextState, Protocol};
use locum::sandbox::Behaviour;

use crate::browser::{Browser, with};
use crate::stage::Stage;
use crate::support::{credential, next, previous};

const WIDE: u32 = 1280;
const NARROW: u32 = 400;

/// A fleet with something of everything.
async fn furnish(stage: &Stage) -> Vec<crate::support::Wire> {
    let mut open = Vec::new();
    let scanners = ["scanner-1f", "scanner-2f", "erp-billing", "nas-backup", "crm-import", "door-camera"];
    for (number, login) in scanners.iter().enumerate() {
        let password = format!("zxcvbnmasdfgh{}", ["abc", "def", "ghi", "jkl", "mno", "pqr"][number]);
        let actor = stage.lab.enrol(login, "gmail", &password).await;
        stage.lab.gmail.add_mailbox(&actor.address, &password, Behaviour::Normal);
        for _ in 0..=number {
            open.push(stage.lab.log_in(Protocol::Imap, &actor).await);
        }
        stage
            .lab
            .place(&actor, CredentialKind::AppPassword, |slots| {
                slots.current.as_mut().unwrap().label = format!("locum 2026-0{}", number + 3);
                match number {
                    0 => slots.next = Some(next(credential("qwertyuiopasdfgh"), NextState::Staged)),
                    1 => {
                        slots.previous = Some(previous(credential("asdfghjklqwertyu"), SignedDuration::from_hours(20)))
                    }
                    2 => {
                        let (at, cause) =
                            (Timestamp::now(), "imap: the provider refuses it: Invalid credentials".to_owned());
                        slots.next = Some(next(credential("yuiophjklnmqwert"), NextState::Failed { at, cause }));
                    }
                    3 => slots.leftovers.push(Leftover {
                        id: "k3v8q2aa".to_owned(),
                        label: "locum 2025-11".to_owned(),
                        since: Timestamp::now() - SignedDuration::from_hours(24 * 12),
                        by: "olga.operator".to_owned(),
                        why: LeftoverReason::Retired,
                        until: None,
                        upstream: None,
                    }),
                    _ => {}
                }
            })
            .await;
    }
    for _ in 0..3 {
        let _ = stage.lab.present(Protocol::Imap, "scanner-1f", "not-the-secret").await;
    }
    let _ = stage.lab.present(Protocol::Pop3, "printer-old", "not-the-secret").await;
    open
}

#[test]
fn pictures_are_made_where_somebody_wants_them() {
    let Some(folder) = std::env::var_os("LOCUM_PICTURES").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    with(async |browser| {
        let stage = Stage::set().await;
        let open = furnish(&stage).await;
        browser.open(&stage.url("/console/sign-in")).await;
        browser.picture(folder.join("sign-in.png"), WIDE).await;
        let token = stage.admin.clone();
        stage.sign_in(browser, &token).await;
        all(&stage, browser, &folder).await;
        drop(open);
    });
}

async fn all(stage: &Stage, browser: &Browser, folder: &Path) {
    let account = "scanner-1f@mail.test";
    let pages = [
        ("overview", "/console".to_owned()),
        ("sessions", "/console/sessions".to_owned()),
        ("accounts", "/console/accounts".to_owned()),
        ("account", "/console/accounts/scanner-2f@mail.test".to_owned()),
        ("new-account", "/console/new/account".to_owned()),
        ("clients", "/console/clients".to_owned()),
        ("client", "/console/clients/scanner-2f".to_owned()),
        ("issue", "/console/clients/scanner-2f/issue".to_owned()),
        ("rotations", "/console/rotations".to_owned()),
        ("rotation-stage", "/console/rotations/door-camera@mail.test".to_owned()),
        ("rotation-verify", format!("/console/rotations/{account}")),
        ("usage", "/console/usage".to_owned()),
        ("dates", "/console/usage/dates".to_owned()),
        ("audit", "/console/audit".to_owned()),
        ("operators", "/console/operators".to_owned()),
        ("node", "/console/node".to_owned()),
    ];
    for (name, page) in &pages {
        browser.open(&stage.url(page)).await;
        browser.picture(folder.join(format!("{name}.png")), WIDE).await;
    }
    browser.open(&stage.url("/console/clients/scanner-2f/issue")).await;
    browser.fill("Label", "second floor, new device").await;
    browser.press("Make secret").await;
    browser.picture(folder.join("secret.png"), WIDE).await;
    browser.open(&stage.url("/console")).await;
    browser.dark(true).await;
    browser.picture(folder.join("overview-dark.png"), WIDE).await;
    browser.open(&stage.url(&format!("/console/rotations/{account}"))).await;
    browser.picture(folder.join("rotation-dark.png"), WIDE).await;
    browser.dark(false).await;
    browser.open(&stage.url("/console")).await;
    browser.picture(folder.join("overview-narrow.png"), NARROW).await;
    browser.open(&stage.url("/console/accounts")).await;
    browser.picture(folder.join("accounts-narrow.png"), NARROW).await;
}
