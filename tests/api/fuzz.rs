//! The document against the running server: schemathesis makes requests of all that it describes, and of what it does not. No
//! answer may be one of ours that is broken, nor other than the document says.

use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;

use super::{here, lab};

/// Time for all of it; it takes a quarter of that.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Requests for each operation: enough to find what a type lets in and the code does not, in seconds.
const EXAMPLES: &str = "12";

/// What of an answer is looked at.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,unsupported_method";

/// Where `tests/install` puts it, unless `LOCUM_TEST_SCHEMATHESIS` names another.
fn schemathesis() -> PathBuf {
    if let Ok(path) = std::env::var("LOCUM_TEST_SCHEMATHESIS") {
        return path.into();
    }
    let cache = std::env::var("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|_| PathBuf::from(std::env::var("HOME").unwrap()).join(".cache"));
    let path = cache.join("locum-tests/schemathesis-4.32.5/bin/schemathesis");
    assert!(path.exists(), "{} is missing: run tests/install", path.display());
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_what_the_document_says() {
    let (lab, _) = lab().await;
    let made = super::operator(&lab, "fuzz", "admin").await;
    let document = here(&lab).get("/v1/openapi.json").await.is(200).body;
    let file = lab.path("openapi.json");
    std::fs::write(&file, document).unwrap();
    let header = format!("Authorization: Bearer {}", made["token"].as_str().unwrap());
    let running = Command::new(schemathesis())
        .args(["run", file.to_str().unwrap()])
        .args(["--url", &format!("http://{}", lab.address("admin"))])
        .args(["--header", &header])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--max-time", "25"])
        .args(["--workers", "2", "--seed", "1", "--no-shrink", "--request-timeout", "30", "--warnings", "off"])
        .args(["--checks", CHECKS, "--generation-database", "none", "--no-color", "--suppress-health-check", "all"])
        .current_dir(lab.path(""))
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIMEOUT, running).await.expect("it takes too long").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
