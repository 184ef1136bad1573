//! What nobody can: change something as a viewer, by a forged form, without being signed in, or by a name that is a script.

use locum::model::Role;
use locum::model::{Account, Client, Policy};

use crate::browser::{Browser, with};
use crate::stage::Stage;

/// A name that would run if it were not escaped.
const XSS: &str = "\"><img src=x onerror=\"document.title='pwned'\"></title><script>document.title='pwned'</script>";

/// All pages that need no name.
pub(crate) const PAGES: [&str; 9] = [
    "/console",
    "/console/sessions",
    "/console/accounts",
    "/console/clients",
    "/console/rotations?state=",
    "/console/usage",
    "/console/audit",
    "/console/operators",
    "/console/node",
];

/// The token of the forms of a page.
async fn csrf(browser: &Browser) -> String {
    browser.one("input[name=csrf]").await.attr("value").await.unwrap().unwrap()
}

#[test]
fn a_viewer_sees_no_form_and_is_refused_who_forges_one() {
    with(async |browser| {
        let stage = Stage::set().await;
        let token = stage.viewer.clone();
        stage.sign_in(browser, &token).await;
        let (account, client) = (stage.lab.alice.address.clone(), stage.lab.alice.login.clone());
        let own = [
            format!("/console/accounts/{account}"),
            format!("/console/clients/{client}"),
            format!("/console/rotations/{account}"),
        ];
        let seen = PAGES.iter().filter(|page| **page != "/console/operators").map(|page| (*page).to_owned());
        for page in seen.chain(own) {
            browser.open(&stage.url(&page)).await;
            assert_eq!(browser.count("form[method=post]").await, 1, "{page}: signing out alone");
            assert_eq!(browser.count("input[type=password]").await, 0, "{page}");
        }
        let (cookie, csrf) = (stage.cookie(browser).await, csrf(browser).await);
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
        for path in [
            format!("/console/clients/{client}/revoke"),
            format!("/console/accounts/{account}/remove"),
            "/console/sessions/close".to_owned(),
            "/console/operators".to_owned(),
            "/console/node/reload".to_owned(),
        ] {
            let (head, body) = stage.send(&path, &headers, &format!("csrf={csrf}&id=1&name=x&role=admin")).await;
            assert!(head.starts_with("HTTP/1.1 403 "), "{path}: {head}");
            assert!(body.contains("role operator"), "{path}: {body}");
        }
        assert!(stage.lab.directory.client(&client).await.unwrap().is_some());
        stage.audited("POST /console/clients/{login}/revoke", "refused").await;
        browser.open(&stage.url("/console/new/account")).await;
        browser.until("Not permitted").await;
    });
}

#[test]
fn a_form_is_believed_only_with_its_token_and_from_here() {
    with(async |browser| {
        let stage = Stage::set().await;
        let token = stage.operator.clone();
        stage.sign_in(browser, &token).await;
        let (cookie, csrf) = (stage.cookie(browser).await, csrf(browser).await);
        let client = stage.lab.alice.login.clone();
        let (path, cookie) = (format!("/console/clients/{client}/revoke"), ("cookie", cookie.as_str()));
        let own = format!("http://localhost:{}", stage.lab.address("admin").port());
        let good = format!("csrf={csrf}");
        let site = ("sec-fetch-site", "same-origin");
        for (headers, body) in [
            (vec![cookie, site], ""),
            (vec![cookie, site], "csrf=wrong"),
            (vec![cookie], good.as_str()),
            (vec![cookie, ("origin", "http://evil.test")], good.as_str()),
            (vec![cookie, site, ("origin", "http://evil.test")], good.as_str()),
            (vec![cookie, ("sec-fetch-site", "cross-site"), ("origin", own.as_str())], good.as_str()),
        ] {
            let (head, _) = stage.send(&path, &headers, body).await;
            assert!(head.starts_with("HTTP/1.1 403 "), "{headers:?} {body}: {head}");
        }
        let (head, _) = stage.send(&path, &[site], &good).await;
        assert!(head.contains("location: /console/sign-in"), "who is not signed in is sent to sign in: {head}");
        assert!(stage.lab.directory.client(&client).await.unwrap().is_some());
        let (head, _) = stage.send(&path, &[cookie, ("origin", own.as_str())], &good).await;
        assert!(head.starts_with("HTTP/1.1 303 "), "{head}");
        assert!(stage.lab.directory.client(&client).await.unwrap().is_none());
        stage.audited("POST /console/clients/{login}/revoke", "done").await;
        stage.audited("sign-in", "done").await;
        let (head, _) = stage.send(&path, &[cookie, site], &good).await;
        assert!(head.starts_with("HTTP/1.1 303 "), "{head}");
        stage.audited("POST /console/clients/{login}/revoke", "failed").await;
        for header in [
            "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'",
            "referrer-policy: no-referrer",
            "x-frame-options: DENY",
            "cross-origin-opener-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{header}: {head}");
        }
    });
}

#[test]
fn who_is_revoked_or_signs_out_is_out() {
    with(async |browser| {
        let stage = Stage::set().await;
        let token = stage.operator.clone();
        stage.sign_in(browser, &token).await;
        let cookie = stage.cookie(browser).await;
        browser.press("").await; // the button with a picture alone: sign out
        browser.until("Operator token").await;
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
        let (head, _) = stage.send("/console/sessions/close", &headers, "").await;
        assert!(head.contains("location: /console/sign-in"), "the old cookie is good for nothing: {head}");

        stage.sign_in(browser, &token).await;
        let mut found = stage.lab.directory.operator("olga.operator").await.unwrap().unwrap();
        found.record.role = Role::Viewer;
        found.record.tokens.clear();
        stage.lab.directory.put_operator(&found.record, Some(found.version)).await.unwrap();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            browser.open(&stage.url("/console/accounts")).await;
            if browser.text().await.contains("Operator token") {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "a revoked operator stays signed in");
        }
    });
}

#[test]
fn a_name_that_is_a_script_is_text() {
    with(async |browser| {
        let stage = Stage::set().await;
        let directory = &stage.lab.directory;
        let mut account = directory.account(&stage.lab.alice.address).await.unwrap().unwrap().record;
        account.name = XSS.to_owned();
        account.class = Some(XSS.to_owned());
        for slots in account.credentials.values_mut() {
            slots.current.as_mut().unwrap().label = XSS.to_owned();
        }
        put(&stage, &account).await;
        let mut client = directory.client(&stage.lab.alice.login).await.unwrap().unwrap().record;
        client.login = XSS.to_owned();
        client.secrets[0].label = XSS.to_owned();
        client.policy = Policy { class: Some(XSS.to_owned()), ..Policy::default() };
        directory.put_client(&Client { ..client }, None).await.unwrap();
        let _ = stage.lab.present(locum::model::Protocol::Imap, "x\\\"><script>document.title=1</script>", "y").await;
        let token = stage.admin.clone();
        stage.sign_in(browser, &token).await;
        let encoded: String = XSS.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let own = ["accounts", "clients", "rotations"].map(|noun| format!("/console/{noun}/{encoded}"));
        let asked = format!("/console/accounts?q={encoded}");
        for page in PAGES.iter().map(|page| (*page).to_owned()).chain(own).chain([asked]) {
            browser.open(&stage.url(&page)).await;
            let title = browser.client.title().await.unwrap();
            assert!(title.ends_with("· Locum"), "{page}: {title}");
            assert_eq!(browser.count("img:not([alt=''])").await, 0, "{page}");
            assert_eq!(browser.count("script:not([src^='/console/assets/'])").await, 0, "{page}");
        }
        browser.open(&stage.url(&format!("/console/accounts/{encoded}"))).await;
        assert!(browser.text().await.contains("document.title='pwned'"), "it is shown as it is");
    });
}

async fn put(stage: &Stage, account: &Account) {
    stage.lab.directory.put_account(account, None).await.unwrap();
}

#[test]
fn each_page_can_be_read_by_who_listens() {
    with(async |browser| {
        let stage = Stage::set().await;
        let token = stage.admin.clone();
        stage.sign_in(browser, &token).await;
        let (account, client) = (&stage.lab.alice.address, &stage.lab.alice.login);
        let own = [
            format!("/console/accounts/{account}"),
            format!("/console/clients/{client}"),
            format!("/console/clients/{client}/issue"),
            format!("/console/rotations/{account}"),
            "/console/new/account".to_owned(),
            "/console/new/client".to_owned(),
            "/console/usage/dates".to_owned(),
            "/console/no-such-page".to_owned(),
        ];
        for page in PAGES.iter().map(|page| (*page).to_owned()).chain(own) {
            browser.open(&stage.url(&page)).await;
            let script = r#"
                const wrong = [];
                if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
                if (document.documentElement.lang !== "en") wrong.push("no lang");
                if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
                if (!document.querySelector("a.skip")) wrong.push("no skip link");
                for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
                    if (!field.labels?.length && !field.getAttribute("aria-label")) wrong.push("no label: " + field.outerHTML);
                for (const button of document.querySelectorAll("button, a"))
                    if (!(button.textContent.trim() || button.getAttribute("aria-label"))) wrong.push("no name: " + button.outerHTML);
                for (const table of document.querySelectorAll("table"))
                    if (!table.caption?.textContent) wrong.push("no caption");
                const ids = [...document.querySelectorAll("[id]")].map((it) => it.id);
                for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push("twice: " + id);
                for (const it of document.querySelectorAll("[style], style")) wrong.push("inline: " + it.outerHTML);
                return wrong.join("\n");"#;
            assert_eq!(browser.script(script).await, "", "{page}");
        }
    });
}
