//! What Locum is built from, as cargo resolves it for this machine, tests included: one TLS library with one provider of
//! cryptography, no C library for TLS, nothing from outside the registry, and only licences that its users can live with.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::Command;

use serde_json::Value;

use crate::{report, top};

/// Crates that must not come in by any way, and why.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-rs", "ring is rustls' provider; a second one makes rustls panic where it must choose"),
    ("aws-lc-sys", "ring is rustls' provider; this one needs CMake and a C compiler"),
    ("openssl", "TLS is rustls' alone"),
    ("openssl-sys", "TLS is rustls' alone"),
    ("native-tls", "TLS is rustls' alone"),
    ("async-std", "tokio is the only runtime"),
    ("smol", "tokio is the only runtime"),
];

/// Crates of which two versions would not know each other's types.
const ONCE: &[&str] = &["ring", "rustls", "rustls-pki-types", "tokio", "tokio-rustls", "tokio-util"];

/// Licences whose terms a distributor of the binary fulfils by naming them.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    // Terms added to a licence, granting more than it does.
    "Apache-2.0 WITH LLVM-exception",
];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A crate in the build.
#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    /// An SPDX expression.
    licence: Option<String>,
    source: Option<String>,
    features: Vec<String>,
}

#[test]
fn nothing_unwanted_is_built_in() {
    let packages = packages();
    let mut complaints = Vec::new();
    for Package { name, version, .. } in &packages {
        let banned = BANNED.iter().find(|(banned, _)| banned == name);
        complaints.extend(banned.map(|(_, why)| format!("{name} {version}: {why} (`cargo tree -i {name}`)")));
        if name == "reqwest" && is_before(version, (0, 13)) {
            complaints.push(format!("reqwest {version}: 0.13 is the first without a TLS library of its own choice"));
        }
    }
    report(&complaints);
}

#[test]
fn what_must_be_one_is_one() {
    report(&not_once(&packages()));
}

#[test]
fn ring_is_the_provider_of_cryptography() {
    let packages = packages();
    for name in ["rustls", "tokio-rustls"] {
        let package = packages.iter().find(|it| it.name == name).expect("Locum speaks TLS through it");
        let has = |feature: &str| package.features.iter().any(|it| it == feature);
        assert!(has("ring"), "{name} is built without ring: {:?}", package.features);
        for other in ["aws_lc_rs", "aws-lc-rs", "fips"] {
            assert!(!has(other), "{name} is built with {other}: {:?}", package.features);
        }
    }
}

#[test]
fn every_licence_is_one_that_users_can_live_with() {
    let mut complaints = Vec::new();
    for Package { name, version, licence, .. } in packages() {
        match licence {
            Some(licence) if is_allowed(&licence) => {}
            Some(licence) => complaints.push(format!("{name} {version}: {licence}")),
            None => complaints.push(format!("{name} {version}: names no licence")),
        }
    }
    report(&complaints);
}

#[test]
fn everything_comes_from_the_registry() {
    let mut complaints = Vec::new();
    for Package { name, version, source, .. } in packages() {
        match source.as_deref() {
            Some(REGISTRY) => {}
            Some(source) => complaints.push(format!("{name} {version}: from {source}")),
            None => complaints.push(format!("{name} {version}: from a folder")),
        }
    }
    report(&complaints);
}

/// What Locum is built from, itself left out.
fn packages() -> Vec<Package> {
    let metadata = metadata();
    let features = reached(&metadata["resolve"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let package = |it: &Value| {
        Some(Package {
            name: text(&it["name"])?,
            version: text(&it["version"])?,
            licence: text(&it["license"]),
            source: text(&it["source"]),
            features: features.get(it["id"].as_str()?)?.clone(),
        })
    };
    let packages = metadata["packages"].as_array().expect("metadata lists packages");
    let packages: Vec<Package> = packages.iter().filter_map(package).collect();
    assert!(packages.len() > 50, "cargo says of hardly any crate that it is built in: {packages:?}");
    packages
}

/// The packages that the crate needs, by id, with the features they are built with.
fn reached(resolve: &Value) -> BTreeMap<String, Vec<String>> {
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let nodes = resolve["nodes"].as_array().expect("metadata says how dependencies were resolved");
    let nodes: BTreeMap<&str, &Value> = nodes.iter().filter_map(|it| Some((it["id"].as_str()?, it))).collect();
    let root = resolve["root"].as_str().expect("there is one crate");
    let mut waiting = vec![root.to_owned()];
    let mut reached = BTreeMap::new();
    while let Some(id) = waiting.pop() {
        let node = nodes[id.as_str()];
        if reached.insert(id, list(&node["features"])).is_none() {
            waiting.extend(list(&node["dependencies"]));
        }
    }
    reached.remove(root);
    reached
}

/// What `cargo metadata` says for this machine. Other machines' crates need not be here: without `--filter-platform`
/// cargo would fetch them.
fn metadata() -> Value {
    let host = run(&env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()), &["-vV"]).expect("rustc runs");
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned();
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &host];
    let metadata = run(&cargo, &[&arguments[..], &["--offline"]].concat()).or_else(|_| run(&cargo, &arguments));
    let metadata = metadata.unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    serde_json::from_str(&metadata).expect("cargo writes JSON")
}

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new(program).args(arguments).current_dir(top()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        String::from_utf8(output.stdout).map_err(|error| error.to_string())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn not_once(packages: &[Package]) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in ONCE {
        let versions: BTreeSet<&str> =
            packages.iter().filter(|it| it.name == *name).map(|it| it.version.as_str()).collect();
        if versions.len() != 1 {
            complaints.push(format!("{name}: there must be one version, not {versions:?} (`cargo tree -d`)"));
        }
    }
    complaints
}

fn is_before(version: &str, (major, minor): (u64, u64)) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().expect("crates have versions of three numbers"));
    let mut next = || numbers.next().expect("crates have versions of three numbers");
    (next(), next()) < (major, minor)
}

/// Whether an SPDX expression can be fulfilled with the licences of the list. `/` is the old way to write `OR`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest) == Some(true) && rest.is_empty()
}

/// `a OR b`; `None` if it is no expression.
fn any_of(rest: &mut &[&str]) -> Option<bool> {
    let mut is_allowed = all_of(rest)?;
    while let ["OR", after @ ..] = rest {
        *rest = after;
        is_allowed |= all_of(rest)?;
    }
    Some(is_allowed)
}

/// `a AND b`, which binds closer.
fn all_of(rest: &mut &[&str]) -> Option<bool> {
    let mut is_allowed = one(rest)?;
    while let ["AND", after @ ..] = rest {
        *rest = after;
        is_allowed &= one(rest)?;
    }
    Some(is_allowed)
}

fn one(rest: &mut &[&str]) -> Option<bool> {
    match rest {
        ["(", after @ ..] => {
            *rest = after;
            let is_allowed = any_of(rest)?;
            *rest = rest.strip_prefix(&[")"])?;
            Some(is_allowed)
        }
        [licence, "WITH", exception, after @ ..] => {
            let licence = format!("{licence} WITH {exception}");
            *rest = after;
            Some(LICENCES.contains(&licence.as_str()))
        }
        ["AND" | "OR" | "WITH" | ")", ..] | [] => None,
        [licence, after @ ..] => {
            *rest = after;
            Some(LICENCES.contains(licence))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn licence_expressions_are_understood() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "MIT OR GPL-3.0-only",
            "GPL-3.0-only OR (MIT AND ISC)",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "MIT AND (ISC OR",
            "MIT ISC",
            "MIT OR",
            "OR",
            "(MIT OR ISC) AND AGPL-3.0-only",
            "GPL-2.0 WITH Classpath-exception-2.0",
            // AND binds closer than OR.
            "GPL-3.0-only OR MIT AND AGPL-3.0-only",
        ] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(is_before("0.12.9", (0, 13)) && is_before("0.9.0", (0, 13)));
        assert!(!is_before("0.13.0", (0, 13)) && !is_before("1.0.0", (0, 13)));
    }

    #[test]
    fn two_versions_and_none_are_not_one() {
        let package = |name: &str, version: &str| Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: None,
            source: None,
            features: Vec::new(),
        };
        let mut packages: Vec<Package> = ONCE.iter().map(|name| package(name, "1.0.0")).collect();
        assert!(not_once(&packages).is_empty());
        packages.push(package("ring", "0.16.0"));
        assert_eq!(
            not_once(&packages),
            [r#"ring: there must be one version, not {"0.16.0", "1.0.0"} (`cargo tree -d`)"#]
        );
        packages.retain(|it| it.name != "ring");
        assert_eq!(not_once(&packages), ["ring: there must be one version, not {} (`cargo tree -d`)"]);
    }

    #[test]
    fn only_what_is_needed_counts() {
        let reached = reached(&json!({ "root": "us", "nodes": [
            { "id": "us", "dependencies": ["a"], "features": [] },
            { "id": "a", "dependencies": ["b"], "features": ["x"] },
            { "id": "b", "dependencies": ["a"], "features": [] },
            { "id": "of another machine", "dependencies": [], "features": [] },
        ]}));
        assert_eq!(
            reached.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), vec!["x".to_owned()]), ("b".to_owned(), vec![]),]
        );
    }
}
