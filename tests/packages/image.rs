//! The container file, as far as it can be looked at without an engine: its linter has nothing to say, what it is built from is
//! there, its configuration is good, and so is the example beside it.

use std::fs;
use std::path::Path;
use std::process::Command;

use locum::config::Config;

use crate::{cached, child, run, top};

const FOLDER: &str = "config/deploy/docker";

#[test]
fn the_container_file_is_clean() {
    let file = top().join(FOLDER).join("Dockerfile");
    run(Command::new(cached("charts-1").join("bin/hadolint")).arg("--no-color").arg(&file));
    // It would say something if there were something to say.
    let bad = "FROM debian:latest\nRUN cd /tmp && sudo true\n";
    let output = child::run(Command::new(cached("charts-1").join("bin/hadolint")).arg("-"), bad.as_bytes());
    assert!(!output.status.success());
}

#[test]
fn what_an_image_is_built_from_is_there_and_reaches_the_engine() {
    let text = fs::read_to_string(top().join(FOLDER).join("Dockerfile")).unwrap();
    let let_in = fs::read_to_string(top().join(FOLDER).join("Dockerfile.dockerignore")).unwrap();
    let let_in: Vec<_> = let_in.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let copied = text.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--"));
    let mut seen = 0;
    for line in copied {
        let mut words: Vec<_> = line.split_whitespace().collect();
        words.pop();
        for source in words {
            seen += 1;
            assert!(top().join(source).exists() && let_in.contains(&source), "{source}");
        }
    }
    assert!(seen > 0);
    // What cargo builds of the program is in there: outside of tests, it takes in files of `config` alone.
    let sources = walk(&top().join("src")).into_iter().map(|file| fs::read_to_string(file).unwrap());
    for source in sources {
        let code = source.split("#[cfg(test)]").next().unwrap();
        let taken = code.lines().filter(|line| line.contains("include_str!(") || line.contains("include_bytes!("));
        assert!(taken.clone().all(|line| !line.contains("../docs/") && !line.contains("../tests/")), "{taken:?}");
    }
    // It runs as nobody that the host knows, and asks itself how it is.
    assert!(text.contains("\nUSER 65532:65532\n") && text.contains("\"/usr/bin/locum\", \"health\"]"));
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = |path: std::path::PathBuf| if path.is_dir() { walk(&path) } else { vec![path] };
    entries.flat_map(files).filter(|path| path.extension().is_some_and(|it| it == "rs")).collect()
}

#[test]
fn the_configurations_that_are_shipped_are_good() {
    for file in ["config/deploy/docker/locum.toml", "config/deploy/systemd/locum.toml"] {
        Config::load(&top().join(file)).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn the_example_for_compose_is_good_yaml_and_publishes_each_port() {
    let file = top().join(FOLDER).join("compose.yaml");
    let rules = "{extends: default, rules: {document-start: disable, line-length: {max: 125}, comments: disable}}";
    run(Command::new("yamllint").args(["--strict", "-d", rules]).arg(&file));
    let text = fs::read_to_string(file).unwrap();
    for port in [1993, 1995, 1465, 1587] {
        assert!(text.contains(&format!(":{port}\"")), "{port}");
    }
}

/// A socket for each address, and an address for each socket: what was handed over and fits nothing is an error.
#[test]
fn the_sockets_of_the_unit_are_those_of_its_configuration() {
    let config = Config::load(&top().join("config/deploy/systemd/locum.toml")).unwrap();
    let mut bound: Vec<_> = config.listeners.iter().flat_map(|it| &it.bind).map(ToString::to_string).collect();
    let unit = fs::read_to_string(top().join("config/deploy/systemd/locum.socket")).unwrap();
    let mut opened: Vec<_> = unit.lines().filter_map(|line| line.strip_prefix("ListenStream=")).collect();
    bound.sort();
    opened.sort_unstable();
    assert_eq!(bound, opened);
}
