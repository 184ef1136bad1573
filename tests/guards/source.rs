//! Rust source as far as the guards need it: tokens without comments, code without its tests, and the paths that the
//! code names, spelt out from the crate or from the library they come from. Not a parser: it knows no types, so a
//! method is only seen where it is named by a path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{files, read};

/// A word, a literal or a sign of a source file. `::` is one sign; each other one is a single character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) text: &'t str,
}

impl Token<'_> {
    /// Whether this is a name or a keyword.
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|start: char| start.is_alphabetic() || start == '_') && !self.text.contains(['"', '\''])
    }
}

/// What the code of a file names: `["crate", "net", "tls"]`, `["tokio", "time", "sleep"]`, or `["Vec", "new"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
    /// It is named to hand it on: `pub use`.
    pub(crate) is_export: bool,
}

/// A file of `src` that is not of tests alone.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// The files of `src`, less those that are only there under test.
    pub(crate) fn all() -> Vec<Self> {
        let sources = files("src", "rs").into_iter().map(|file| Self { text: read(&file), file });
        let sources: Vec<Self> = sources.collect();
        let tests: Vec<PathBuf> = sources.iter().flat_map(Self::test_modules).collect();
        sources.into_iter().filter(|it| !tests.iter().any(|test| it.is_within(test))).collect()
    }

    /// The module that this file is: `["net", "tls"]`; `["main"]` and `["lib"]` for the two roots.
    pub(crate) fn module(&self) -> Vec<String> {
        let module = self.file.strip_prefix("src").unwrap_or(&self.file).with_extension("");
        let module = if module.ends_with("mod") { module.parent().unwrap_or(Path::new("")) } else { &module };
        module.iter().map(|part| part.to_string_lossy().into_owned()).collect()
    }

    /// The tokens outside tests.
    pub(crate) fn code(&self) -> Vec<Token<'_>> {
        without_tests(&tokens(&self.text))
    }

    /// Everything that the code outside tests names.
    pub(crate) fn names(&self) -> Vec<Named> {
        names(&self.code(), &self.module())
    }

    /// Where the modules lie that this file declares for tests alone, without `.rs`.
    fn test_modules(&self) -> Vec<PathBuf> {
        let tokens = tokens(&self.text);
        let declared = tokens.windows(3).enumerate().filter(|(at, window)| {
            let before = &tokens[..*at];
            let is_test = before.len() >= TEST_ONLY.len() && is_test_only(&before[before.len() - TEST_ONLY.len()..]);
            is_test && window[0].text == "mod" && window[2].text == ";"
        });
        let folder = self.file.with_file_name("");
        let folder = if self.file.ends_with("mod.rs") { folder } else { self.file.with_extension("") };
        declared.map(|(_, window)| folder.join(window[1].text)).collect()
    }

    fn is_within(&self, module: &Path) -> bool {
        self.file.with_extension("") == module || self.file.starts_with(module)
    }
}

/// Cuts a text into tokens; comments are left out.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut line, mut rest) = (1, text);
    while let Some(first) = rest.chars().next() {
        let (length, is_token) = match first {
            _ if first.is_whitespace() => (first.len_utf8(), false),
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (block_comment(rest), false),
            _ if rest.starts_with("::") => (2, true),
            '"' => (quoted(rest, 1), true),
            '\'' => (tick(rest), true),
            _ if is_part_of_word(first) => (word_or_prefixed_literal(rest), true),
            _ => (first.len_utf8(), true),
        };
        let (token, after) = rest.split_at(length);
        if is_token {
            tokens.push(Token { line, text: token });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

fn is_part_of_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

/// The length of a comment that may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        let step = match rest {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a text in quotes; `start` is where its content begins.
fn quoted(text: &str, start: usize) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'"' if !is_escaped => return at + 1,
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

/// The length of a character in quotes, or of a lifetime.
fn tick(text: &str) -> usize {
    let mut after = text[1..].chars();
    match (after.next(), after.next()) {
        (Some('\\'), Some(escaped)) => {
            let content = 2 + escaped.len_utf8();
            content + text[content..].find('\'').map_or(0, |end| end + 1)
        }
        (Some(content), Some('\'')) => 2 + content.len_utf8(),
        _ => 1 + word(&text[1..]),
    }
}

fn word(text: &str) -> usize {
    text.find(|it| !is_part_of_word(it)).unwrap_or(text.len())
}

/// The length of a word, a number, or a literal such as `b"…"`, `r#"…"#` and `b'…'`.
fn word_or_prefixed_literal(text: &str) -> usize {
    let length = word(text);
    let (prefix, rest) = text.split_at(length);
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    match prefix {
        "r" | "br" | "cr" if rest[hashes..].starts_with('"') => {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = length + hashes + 1;
            text[start..].find(&end).map_or(text.len(), |at| start + at + end.len())
        }
        "r" if hashes == 1 => length + 1 + word(&rest[1..]),
        "b" | "c" if rest.starts_with('"') => quoted(text, length + 1),
        "b" if rest.starts_with('\'') => length + tick(rest),
        _ => length,
    }
}

const TEST_ONLY: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

fn is_test_only(tokens: &[Token<'_>]) -> bool {
    tokens.len() >= TEST_ONLY.len() && tokens.iter().zip(TEST_ONLY).all(|(token, text)| token.text == text)
}

/// The tokens less every item, field and statement behind `#[cfg(test)]`.
pub(crate) fn without_tests<'t>(tokens: &[Token<'t>]) -> Vec<Token<'t>> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        if is_test_only(rest) {
            rest = &rest[TEST_ONLY.len()..];
            rest = &rest[item_length(rest)..];
        } else {
            kept.push(*first);
            rest = after;
        }
    }
    kept
}

/// How many tokens the item, the field or the statement has that begins here.
fn item_length(tokens: &[Token<'_>]) -> usize {
    let (is_item, has_body) = kind_of_item(tokens);
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 1 && has_body => return at + 1,
            // What it stands in ends here.
            "}" | ")" | "]" if depth == 0 => return at,
            "}" | ")" | "]" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            "," if depth == 0 && !is_item => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Whether tokens begin an item, or a statement with a keyword, and whether its body ends it.
fn kind_of_item(tokens: &[Token<'_>]) -> (bool, bool) {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "#" | "pub" => {}
            _ if depth > 0 => {}
            "const" if tokens.get(at + 1).is_some_and(|it| it.text == "fn") => return (true, true),
            "use" | "type" | "const" | "static" | "let" => return (true, false),
            "mod" | "fn" | "async" | "impl" | "struct" | "enum" | "trait" | "macro_rules" => return (true, true),
            _ => return (false, false),
        }
    }
    (false, false)
}

/// Everything that code names, in the order in which it does. What a `use` brings in is followed where it is used
/// to name something further: after `use crate::{net};`, `net::tls` is `crate::net::tls`.
pub(crate) fn names(code: &[Token<'_>], module: &[String]) -> Vec<Named> {
    let mut named = Vec::new();
    let mut elsewhere = Vec::new();
    let mut known = BTreeMap::new();
    let mut scope = Scope { module: module.to_vec(), open: Vec::new(), depth: 0 };
    let mut at = 0;
    while at < code.len() {
        scope.pass(&code[at..]);
        let follows_a_path = at > 0 && ["::", "."].contains(&code[at - 1].text);
        if code[at].text == "use" && !follows_a_path {
            // `pub use`, `pub(crate) use`
            let is_export = at > 0 && ["pub", ")"].contains(&code[at - 1].text);
            let mut tree = Tree { code, at: at + 1, found: Vec::new() };
            tree.read(Vec::new());
            at = tree.at;
            for (line, path, name) in tree.found {
                let path = scope.resolve(&path);
                known.insert(name, path.clone());
                named.push(Named { line, path, is_export });
            }
            continue;
        }
        let length = if follows_a_path { 0 } else { path_length(&code[at..]) };
        if length > 0 {
            let path: Vec<&str> = code[at..at + length].iter().map(|it| it.text).filter(|it| *it != "::").collect();
            elsewhere.push(Named { line: code[at].line, path: scope.resolve(&path), is_export: false });
        }
        at += length.max(1);
    }
    for mut name in elsewhere {
        if let Some(whole) = known.get(&name.path[0]) {
            name.path.splice(..1, whole.iter().cloned());
        }
        named.push(name);
    }
    named
}

/// The module that code stands in, as `mod name {` opens more.
struct Scope {
    module: Vec<String>,
    /// The depths at which modules opened.
    open: Vec<usize>,
    depth: usize,
}

impl Scope {
    fn pass(&mut self, code: &[Token<'_>]) {
        match code[0].text {
            "mod" if code.get(2).is_some_and(|it| it.text == "{") => {
                self.module.push(code[1].text.to_owned());
                self.open.push(self.depth);
            }
            "{" => self.depth += 1,
            "}" => {
                self.depth = self.depth.saturating_sub(1);
                if self.open.last() == Some(&self.depth) {
                    self.open.pop();
                    self.module.pop();
                }
            }
            _ => {}
        }
    }

    /// A path as it is written, from the crate if it is of the crate.
    fn resolve(&self, path: &[&str]) -> Vec<String> {
        let supers = path.iter().skip_while(|it| **it == "self").take_while(|it| **it == "super").count();
        let selves = path.iter().take_while(|it| **it == "self").count();
        let rest = path[selves + supers..].iter().map(|it| (*it).to_owned());
        if path[0] == "locum" {
            return std::iter::once("crate".to_owned()).chain(path[1..].iter().map(|it| (*it).to_owned())).collect();
        }
        if selves + supers == 0 {
            return rest.collect();
        }
        let base = self.module.len().saturating_sub(supers);
        std::iter::once("crate".to_owned()).chain(self.module[..base].iter().cloned()).chain(rest).collect()
    }
}

/// How many tokens are a path of two names or more, from here.
fn path_length(code: &[Token<'_>]) -> usize {
    let mut length = 0;
    while code.get(length).is_some_and(Token::is_word) {
        match code.get(length + 1..length + 3) {
            Some([sign, next]) if sign.text == "::" && next.is_word() => length += 2,
            _ if length > 0 => return length + 1,
            _ => return 0,
        }
    }
    length
}

/// Reads what follows `use`.
struct Tree<'c, 't> {
    code: &'c [Token<'t>],
    at: usize,
    /// Line, path, and the name by which it is known from here on.
    found: Vec<(usize, Vec<&'t str>, String)>,
}

impl<'t> Tree<'_, 't> {
    fn read(&mut self, mut path: Vec<&'t str>) {
        while let Some(token) = self.code.get(self.at) {
            self.at += 1;
            match token.text {
                "::" => {}
                "{" => {
                    while self.code.get(self.at).is_some_and(|it| it.text != "}") {
                        self.read(path.clone());
                    }
                    self.at += 1;
                    path.clear();
                }
                "as" => {
                    let name = self.code.get(self.at).map_or("", |it| it.text);
                    self.at += 1;
                    self.found.push((token.line, std::mem::take(&mut path), name.to_owned()));
                }
                "," | ";" => {
                    self.end(token.line, path);
                    return;
                }
                "}" => {
                    self.at -= 1;
                    self.end(token.line, path);
                    return;
                }
                "self" if !path.is_empty() => {}
                text => path.push(text),
            }
        }
    }

    fn end(&mut self, line: usize, path: Vec<&'t str>) {
        if let Some(name) = path.last().map(|it| (*it).to_owned()) {
            self.found.push((line, path, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        tokens(text).into_iter().map(|it| it.text).collect()
    }

    fn paths(text: &str) -> Vec<String> {
        let code = tokens(text);
        names(&without_tests(&code), &["net".to_owned(), "tls".to_owned()])
            .into_iter()
            .map(|it| it.path.join("::"))
            .collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        assert_eq!(texts("a // crate::b\n/* c /* d */ e */ f"), ["a", "f"]);
        assert_eq!(texts(r###"x("a\"b // c", 'd', '\'', b'\\', r#"e"f"#, br"g\") 'h"###).len(), 15);
        assert_eq!(texts("&'a str"), ["&", "'a", "str"]);
        assert_eq!(texts("r#type '\u{7d}' '{'"), ["r#type", "'}'", "'{'"]);
        assert_eq!(tokens("a\n\"b\nc\"\nd").last().map(|it| it.line), Some(4));
    }

    #[test]
    fn tests_are_left_out_and_what_is_beside_them_is_not() {
        let left = |text| without_tests(&tokens(text)).iter().map(|it| it.text).collect::<Vec<_>>().join(" ");
        assert_eq!(left("a; #[cfg(test)] mod t { use b; mod c { } } d"), "a ; d");
        assert_eq!(left("#[cfg(test)] use a::{b, c}; d"), "d");
        assert_eq!(left("#[cfg(test)] #[expect(x, reason = \"\")] mod t { } d"), "d");
        assert_eq!(left("s { #[cfg(test)] a: B<C>, d: E }"), "s { d : E }");
        assert_eq!(left("s { #[cfg(test)] a: b }"), "s { }");
        assert_eq!(left("{ #[cfg(test)] a.b(c, d); e }"), "{ e }");
    }

    #[test]
    fn paths_are_spelt_out() {
        assert_eq!(
            paths("use crate::{a::{self, B}, c as d, e::*};"),
            ["crate::a", "crate::a::B", "crate::c", "crate::e::*"]
        );
        assert_eq!(
            paths("use super::dial; fn f() { super::super::store::open(); self::g::h() }"),
            ["crate::net::dial", "crate::store::open", "crate::net::tls::g::h",]
        );
        assert_eq!(
            paths("use tokio::{net as n}; n::TcpStream::connect(x).a::<crate::b::C>()"),
            ["tokio::net", "tokio::net::TcpStream::connect", "crate::b::C",]
        );
        assert_eq!(
            paths("mod m { use super::super::a::B; } use super::c::D;"),
            ["crate::net::a::B", "crate::net::c::D"]
        );
        assert_eq!(paths("fn f() -> a::B { use std::fs; fs::read(x) }"), ["std::fs", "a::B", "std::fs::read"]);
        assert_eq!(paths("use c as d; pub(crate) use ::e::f; d::g"), ["c", "e::f", "c::g"]);
    }
}
