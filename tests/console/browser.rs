//! A browser without a screen, driven by WebDriver. One for all tests: they take turns. It ends with the test process,
//! however that ends: the driver is killed with it, and the browser goes when its pipe to the driver is closed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::child::{Server, free_port};

/// How long a page may take that is awaited.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Where Debian puts them.
const DRIVER: &str = "/usr/bin/chromedriver";
const CHROMIUM: &str = "/usr/bin/chromium";

/// The browser.
pub(crate) struct Browser {
    pub(crate) client: Client,
    _driver: Server,
    _dir: TempDir,
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
static BROWSER: LazyLock<Mutex<Browser>> = LazyLock::new(|| Mutex::new(RUNTIME.block_on(Browser::start())));

/// Runs a test while no other has the browser. It has no cookies, runs scripts, and is as wide as a screen.
pub(crate) fn with(test: impl AsyncFnOnce(&Browser)) {
    let browser = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    RUNTIME.block_on(async {
        browser.client.delete_all_cookies().await.unwrap();
        browser.scripts(true).await;
        browser.dark(false).await;
        browser.size(1280, 860).await;
        test(&browser).await;
    });
}

impl Browser {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let log = dir.path().join("driver.log");
        let mut command = Command::new(DRIVER);
        command.arg(format!("--port={port}")).arg(format!("--log-path={}", log.display()));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut driver = Server::spawn("chromedriver", &mut command, vec![log]);
        assert!(driver.listens(&[port]), "chromedriver ended");
        let profile = format!("--user-data-dir={}", dir.path().join("profile").display());
        let quiet = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--disable-extensions",
            "--disable-default-apps",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--remote-debugging-pipe",
            "--window-size=1280,860",
        ];
        let arguments: Vec<&str> = quiet.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({
            "goog:chromeOptions": { "binary": CHROMIUM, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
            "unhandledPromptBehavior": "accept",
        });
        let Value::Object(wanted) = wanted else { unreachable!() };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Self { client, _driver: driver, _dir: dir }
    }

    /// Goes to a page.
    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// What the page says.
    pub(crate) async fn text(&self) -> String {
        self.client.find(Locator::Css("body")).await.unwrap().text().await.unwrap()
    }

    /// Waits until the page says that.
    pub(crate) async fn until(&self, text: &str) -> String {
        let waiting = async {
            loop {
                // Between two pages there is none.
                if let Ok(body) = self.client.find(Locator::Css("body")).await
                    && let Ok(said) = body.text().await
                    && said.contains(text)
                {
                    return said;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(WAIT_MAX, waiting).await {
            Ok(said) => said,
            Err(_) => panic!("the page never said {text:?}; it says:\n{}", self.text().await),
        }
    }

    /// The one element of that selector.
    pub(crate) async fn one(&self, css: &str) -> Element {
        match self.client.find(Locator::Css(css)).await {
            Ok(found) => found,
            Err(error) => panic!("no {css}: {error}; the page says:\n{}", self.text().await),
        }
    }

    /// How many elements there are of that selector.
    pub(crate) async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    /// Types into the field that the label of that text is for, in place of what was there.
    pub(crate) async fn fill(&self, label: &str, text: &str) {
        let label = self.by_text("label", label).await;
        let id = label.attr("for").await.unwrap().unwrap();
        let field = self.client.find(Locator::Id(&id)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Chooses in the list that the label of that text is for.
    pub(crate) async fn choose(&self, label: &str, value: &str) {
        let label = self.by_text("label", label).await;
        let id = label.attr("for").await.unwrap().unwrap();
        self.client.find(Locator::Id(&id)).await.unwrap().select_by_value(value).await.unwrap();
    }

    /// Presses the button of that text, and waits for the page that follows.
    pub(crate) async fn press(&self, text: &str) {
        let button = self.by_text("button", text).await;
        let before = self.one("html").await;
        button.click().await.unwrap();
        self.left(before).await;
    }

    /// Follows the link of that text.
    pub(crate) async fn follow(&self, text: &str) {
        let link = self.by_text("a", text).await;
        let before = self.one("html").await;
        link.click().await.unwrap();
        self.left(before).await;
    }

    /// Waits until a page is gone and the next one is there.
    async fn left(&self, before: Element) {
        let waiting = async {
            while before.tag_name().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            while self.script("return document.readyState").await != "complete" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WAIT_MAX, waiting).await.unwrap();
    }

    async fn by_text(&self, tag: &str, text: &str) -> Element {
        let path = format!("//{tag}[starts-with(normalize-space(.), {text:?})]");
        let found = self.client.find_all(Locator::XPath(&path)).await.unwrap();
        for element in found {
            if element.is_displayed().await.unwrap_or(false) {
                return element;
            }
        }
        panic!("no {tag} {text:?}; the page says:\n{}", self.text().await)
    }

    /// What a script comes to. It runs even where those of pages do not.
    pub(crate) async fn script(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap_or_default()
    }

    /// Whether scripts of pages run.
    pub(crate) async fn scripts(&self, run: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !run })).await;
    }

    /// How large the page is.
    pub(crate) async fn size(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Whether it is night.
    pub(crate) async fn dark(&self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": value },
            // A picture shows no half of a change.
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Puts a picture of the page into a file, as high as the page is, within reason.
    pub(crate) async fn picture(&self, file: PathBuf, width: u32) {
        const HEIGHT_MAX: u64 = 1700;
        self.size(width, 700).await;
        let height = self.script("return document.documentElement.scrollHeight").await.as_u64().unwrap_or(700);
        self.size(width, u32::try_from(height.min(HEIGHT_MAX)).unwrap()).await;
        std::fs::write(file, self.client.screenshot().await.unwrap()).unwrap();
    }

    /// What the browser has to complain of since it was last asked: refused styles and scripts, and what is missing.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let said = self.client.issue_cmd(Own("se/log", json!({ "type": "browser" }))).await.unwrap();
        let lines = said.as_array().cloned().unwrap_or_default();
        lines.iter().map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn devtools(&self, method: &str, parameters: Value) {
        let command = Own("goog/cdp/execute", json!({ "cmd": method, "params": parameters }));
        self.client.issue_cmd(command).await.unwrap();
    }
}

/// A command of Chromium's own driver.
#[derive(Debug)]
struct Own(&'static str, Value);

impl fantoccini::wd::WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}
