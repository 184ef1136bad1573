//! The whole life of an account, in the console alone.

use fantoccini::Locator;
use locum::model::Protocol;
use locum::sandbox::Behaviour;

use crate::browser::{Browser, with};
use crate::stage::Stage;

const ADDRESS: &str = "dora@gmail.test";
const FIRST: &str = "mnbvcxzlkjhgfdsa";
const SECOND: &str = "poiuytrewqasdfgh";

/// Everything but signing in, which scripts or none make no difference to.
async fn live(stage: &Stage, browser: &Browser, login: &str) {
    stage.lab.gmail.add_mailbox(ADDRESS, FIRST, Behaviour::Normal);
    // Create.
    browser.open(&stage.url("/console/new/account")).await;
    browser.fill("Account name", ADDRESS).await;
    browser.choose("Upstream", "gmail").await;
    browser.fill("App password", FIRST).await;
    browser.fill("Label in the portal", "first").await;
    browser.press("Make account").await;
    browser.until(&format!("Made {ADDRESS}")).await;

    // Issue a secret; it is shown once.
    browser.follow("Give a client the right to it").await;
    browser.fill("Login name", login).await;
    browser.press("Make secret").await;
    browser.until("This is shown once").await;
    let secret = browser.one("#secret").await.text().await.unwrap();
    browser.client.refresh().await.unwrap();
    browser.until("It was shown already").await;
    assert!(!browser.client.source().await.unwrap().contains(&secret));

    // Log in with it, and see the session.
    let (mut session, answer) = stage.lab.present(Protocol::Imap, login, &secret).await;
    assert!(answer.starts_with("a OK "), "{answer}");
    browser.open(&stage.url("/console/sessions")).await;
    let said = browser.until(login).await;
    assert!(said.contains(ADDRESS) && said.contains("127.0.0.1"), "{said}");

    rotate(stage, browser).await;

    // Close the session, which was there all the time.
    assert!(session.ask("b NOOP").await.starts_with("b OK"));
    browser.open(&stage.url("/console/sessions")).await;
    browser.press("Close").await;
    browser.until("Closed the session.").await;
    session.rest().await;
    browser.until("Nobody is connected").await;

    // Revoke.
    browser.open(&stage.url(&format!("/console/clients/{login}"))).await;
    browser.client.find(Locator::Css("details.card:last-of-type summary")).await.unwrap().click().await.unwrap();
    browser.press("Revoke client").await;
    browser.until(&format!("Revoked {login}")).await;
    let (_, answer) = stage.lab.present(Protocol::Imap, login, &secret).await;
    assert!(answer.starts_with("a NO [AUTHENTICATIONFAILED]"), "{answer}");
}

/// Another app password takes the place of the first, and the first is ticked off.
async fn rotate(stage: &Stage, browser: &Browser) {
    stage.lab.gmail.add_mailbox(ADDRESS, SECOND, Behaviour::Normal);
    browser.open(&stage.url(&format!("/console/accounts/{ADDRESS}"))).await;
    browser.follow("Rotate").await;
    let said = browser.until("New app password").await;
    assert!(said.contains("Google: app passwords") && said.contains("2-Step Verification"), "{said}");
    browser.fill("New app password", SECOND).await;
    browser.fill("Label in the portal", "second").await;
    browser.press("Stage it").await;
    browser.until("Staged. Verify it next").await;
    browser.press("Verify it").await;
    browser.until("The provider takes it, by imap").await;
    assert!(stage.lab.gmail.has_seen(SECOND));
    // What a page that was read again shows beside that is of before; the next one has the next step.
    let path = browser.client.current_url().await.unwrap();
    browser.open(path.as_str()).await;
    browser.press("Promote it").await;
    browser.until("Promoted: clients use the new one").await;
    browser.press("Retire it now").await;
    browser.until("Retired. Delete it in the portal").await;
    browser.one("input[name=deleted]").await.click().await.unwrap();
    browser.press("Tick off what was deleted").await;
    let said = browser.until("Ticked off.").await;
    assert!(said.contains("Nothing is left over"), "{said}");
}

#[test]
fn an_operator_does_the_whole_life_of_an_account() {
    with(async |browser| {
        let stage = Stage::set().await;
        browser.open(&stage.url("/")).await;
        browser.fill("Operator token", "locum_wrong").await;
        browser.press("Sign in").await;
        browser.until("good for nothing here").await;
        let token = stage.operator.clone();
        stage.sign_in(browser, &token).await;
        assert!(browser.text().await.contains("olga.operator"));
        let _ = browser.complaints().await; // that the wrong token was answered by 401
        live(&stage, browser, "scanner-9").await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}

#[test]
fn all_of_it_goes_without_a_script() {
    with(async |browser| {
        let stage = Stage::set().await;
        browser.scripts(false).await;
        let token = stage.operator.clone();
        stage.sign_in(browser, &token).await;
        live(&stage, browser, "scanner-8").await;
    });
}
