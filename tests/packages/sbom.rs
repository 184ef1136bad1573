//! What the program is made of, as the package tells it to other programs: CycloneDX. That the form is that of the standard was
//! tried by hand against its schema (docs/contributing.md); here is tried whether it is all there, and true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::{run, top};

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn the_package_says_what_it_is_made_of() {
    let make = || run(&mut Command::new(top().join("config/deploy/deb/sbom")));
    let made = make();
    assert_eq!(make(), made, "the same sources, the same bytes");
    let bom: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((text(&bom, "bomFormat"), text(&bom, "specVersion")), ("CycloneDX", "1.6"));
    let own = &bom["metadata"]["component"];
    assert_eq!(
        (text(own, "type"), text(own, "purl")),
        ("application", concat!("pkg:cargo/locum@", env!("CARGO_PKG_VERSION")))
    );

    let components = bom["components"].as_array().unwrap();
    let (crates, others): (Vec<_>, Vec<_>) =
        components.iter().partition(|it| text(it, "purl").starts_with("pkg:cargo/"));
    assert_eq!(others.len(), 1, "what is linked in and is no crate: {others:?}");
    assert!(text(others[0], "cpe").starts_with("cpe:2.3:a:sqlite:sqlite:3."), "{}", others[0]);
    let lock = fs::read_to_string(top().join("Cargo.lock")).unwrap();
    for it in &crates {
        let [name, version] = ["name", "version"].map(|part| text(it, part));
        assert_eq!(text(it, "purl"), format!("pkg:cargo/{name}@{version}"));
        let hash = text(&it["hashes"][0], "content");
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let entry = lock.split("[[package]]\n").find(|entry| entry.starts_with(&locked));
        assert!(entry.unwrap().contains(&format!("checksum = \"{hash}\"")), "{name} {version}");
        assert!(!text(&it["licenses"][0], "expression").contains('/'), "{it}");
    }

    // As cargo itself lists them.
    let tree = ["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let tree = run(Command::new(env!("CARGO")).args(tree).current_dir(top()));
    let line = |line: &str| {
        let mut words = line.split(' ');
        let [name, version] = [words.next()?, words.next()?.strip_prefix('v')?];
        (name != "locum").then(|| format!("pkg:cargo/{name}@{version}"))
    };
    let listed: BTreeSet<String> = tree.lines().filter_map(line).collect();
    assert!(listed.len() > 50, "{tree}");
    assert_eq!(crates.iter().map(|it| text(it, "purl").to_owned()).collect::<BTreeSet<_>>(), listed);

    // Each is needed by something that is there.
    let edges = bom["dependencies"].as_array().unwrap();
    let needs: BTreeMap<&str, &Value> = edges.iter().map(|edge| (text(edge, "ref"), &edge["dependsOn"])).collect();
    let mut reached = BTreeSet::new();
    let mut waiting = vec![text(own, "bom-ref")];
    while let Some(one) = waiting.pop() {
        if reached.insert(one) {
            waiting.extend(needs[one].as_array().unwrap().iter().map(|it| it.as_str().unwrap()));
        }
    }
    assert_eq!(reached.len(), components.len() + 1);
}
