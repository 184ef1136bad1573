//! The Debian package, made as cargo-deb makes it: from `[package.metadata.deb]` of `Cargo.toml`, with the files that
//! `config/deploy/deb/prepare` makes, and with the program that the tests were built with. cargo-deb itself takes two minutes
//! to compile; that both put the same files at the same places was seen by hand (docs/decisions/0031-a-package.md).

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use tempfile::TempDir;

use crate::{run, top};

/// A package that was made, removed at the end.
pub(crate) struct Package {
    /// The file.
    pub(crate) file: PathBuf,
    _folder: TempDir,
}

#[derive(Deserialize)]
struct Manifest {
    package: Crate,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    description: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    deb: Deb,
}

/// What of cargo-deb's table is used. A key that is not here would be lost without a word, so there may be none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Deb {
    maintainer: String,
    #[serde(rename = "copyright")]
    _copyright: String,
    license_file: (String, String),
    changelog: String,
    section: String,
    priority: String,
    extended_description: String,
    depends: String,
    recommends: String,
    suggests: String,
    maintainer_scripts: String,
    conf_files: Vec<String>,
    assets: Vec<(String, String, String)>,
}

impl Package {
    /// Makes it.
    pub(crate) fn make() -> Self {
        Self::with(Path::new(env!("CARGO_BIN_EXE_locum")))
    }

    /// Makes it with another program in place of Locum: one that is quick to look through.
    pub(crate) fn with(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tree, prepared) = (folder.path().join("tree"), folder.path().join("prepared"));
        let asked = env!("CARGO_BIN_EXE_locum");
        run(Command::new(top().join("config/deploy/deb/prepare")).arg(asked).arg(&prepared));
        let manifest = fs::read_to_string(top().join("Cargo.toml")).unwrap();
        let Manifest { package } = toml::from_str(&manifest).unwrap();
        let deb = &package.metadata.deb;
        for (source, target, mode) in &deb.assets {
            for (source, target) in placed(source, target, program, &prepared) {
                install(&source, &tree.join(target), mode);
            }
        }
        let documents = tree.join("usr/share/doc").join(&package.name);
        install(&top().join(&deb.license_file.0), &documents.join("copyright"), "644");
        install(&top().join(&deb.changelog), &documents.join("changelog.Debian"), "644");
        compress(&documents.join("changelog.Debian"));
        for page in glob(&tree.join("usr/share/man/man1"), "*.1") {
            compress(&page);
        }
        let program = tree.join("usr/bin").join(&package.name);
        run(Command::new("strip").arg("--strip-unneeded").arg(program));
        write_control(&tree.join("DEBIAN"), &package);
        let file = folder.path().join("locum.deb");
        // What is unpacked at once need not be small.
        run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "-z1", "--build"]).arg(&tree).arg(&file));
        fs::remove_dir_all(&tree).unwrap();
        Self { file, _folder: folder }
    }
}

/// The files that a line of the table means, and where each goes.
fn placed(source: &str, target: &str, program: &Path, prepared: &Path) -> Vec<(PathBuf, PathBuf)> {
    let source = match source.strip_prefix("target/") {
        Some("release/locum") => {
            let target = if target.ends_with('/') { format!("{target}locum") } else { target.to_owned() };
            return vec![(program.to_owned(), target.into())];
        }
        Some(made) => prepared.join(made.strip_prefix("package/").unwrap()),
        None => top().join(source),
    };
    let pattern = source.file_name().unwrap().to_str().unwrap();
    let sources = if pattern.contains('*') { glob(source.parent().unwrap(), pattern) } else { vec![source.clone()] };
    assert!(!sources.is_empty(), "{}: there is none", source.display());
    let of = |source: PathBuf| {
        let name = source.file_name().unwrap();
        let target = if target.ends_with('/') { Path::new(target).join(name) } else { PathBuf::from(target) };
        (source, target)
    };
    sources.into_iter().map(of).collect()
}

/// The files of a folder whose names end as the pattern does behind its `*`.
fn glob(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let ending = pattern.strip_prefix('*').unwrap();
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_str().unwrap().ends_with(ending)).collect()
}

fn install(source: &Path, target: &Path, mode: &str) {
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(source, target).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    fs::set_permissions(target, Permissions::from_mode(u32::from_str_radix(mode, 8).unwrap())).unwrap();
}

fn compress(file: &Path) {
    run(Command::new("gzip").args(["-9", "-n"]).arg(file));
}

fn write_control(folder: &Path, package: &Crate) {
    fs::create_dir_all(folder).unwrap();
    let deb = &package.metadata.deb;
    for script in ["postinst", "prerm", "postrm"] {
        install(&top().join(&deb.maintainer_scripts).join(script), &folder.join(script), "755");
    }
    fs::write(folder.join("conffiles"), deb.conf_files.iter().map(|it| format!("{it}\n")).collect::<String>()).unwrap();
    // What the program is linked with is asked by cargo-deb; on any Debian that the tests run on it is there.
    let depends = deb.depends.replace("$auto", "libc6");
    let architecture = run(Command::new("dpkg").arg("--print-architecture"));
    let description: String = deb.extended_description.lines().map(|line| format!(" {line}\n")).collect();
    let version = format!("{}-1", package.version); // the package's own number comes behind
    let fields = BTreeMap::from([
        ("Package", package.name.as_str()),
        ("Version", &version),
        ("Architecture", architecture.trim()),
        ("Maintainer", &deb.maintainer),
        ("Section", &deb.section),
        ("Priority", &deb.priority),
        ("Depends", &depends),
        ("Recommends", &deb.recommends),
        ("Suggests", &deb.suggests),
    ]);
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    fs::write(folder.join("control"), format!("{fields}Description: {}\n{description}", package.description)).unwrap();
}
