//! Markdown as far as the guards need it: links, headings, and code. Not a parser: a link begins and ends on one line.

use std::path::PathBuf;

use crate::{files, read, top};

/// A page of the documentation.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
}

/// A piece of a page and the line it begins on, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Page {
    /// `README.md` and everything below `docs`.
    pub(crate) fn all() -> Vec<Self> {
        let readme = PathBuf::from("README.md");
        let readme = top().join(&readme).exists().then_some(readme);
        readme.into_iter().chain(files("docs", "md")).map(|file| Self { text: read(&file), file }).collect()
    }

    /// The targets of all links: `[…](target)` and `[name]: target`.
    pub(crate) fn links(&self) -> Vec<Piece> {
        let mut found = Vec::new();
        for (line, text, is_code) in self.lines() {
            if is_code {
                continue;
            }
            let prose = without_spans(text);
            let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            let defined = prose.strip_prefix('[').and_then(|it| it.split_once("]: ")).map(|(_, target)| target.trim());
            let targets = inline.chain(defined).map(|target| target.trim_matches(['<', '>']).to_owned());
            found.extend(targets.map(|text| Piece { line, text }));
        }
        found
    }

    /// The anchors of the headings, as a forge makes them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for (_, text, is_code) in self.lines() {
            let heading = text.trim_start_matches('#');
            if is_code || heading.len() == text.len() || !heading.starts_with(' ') {
                continue;
            }
            let kept = heading.trim().chars().filter(|it| it.is_alphanumeric() || "-_ ".contains(*it));
            let anchor: String = kept.map(|it| if it == ' ' { '-' } else { it.to_ascii_lowercase() }).collect();
            let number = (1..).map(|number| format!("{anchor}-{number}")).find(|it| !anchors.contains(it));
            anchors.push(if anchors.contains(&anchor) { number.unwrap_or_default() } else { anchor });
        }
        anchors
    }

    /// Lines of code: those of blocks, one that ends with `\` joined with the next, and spans in prose.
    pub(crate) fn code(&self) -> Vec<Piece> {
        let mut found: Vec<Piece> = Vec::new();
        let mut is_continued = false;
        for (line, text, is_code) in self.lines() {
            if !is_code {
                found.extend(spans(text).map(|text| Piece { line, text: text.to_owned() }));
                is_continued = false;
                continue;
            }
            let (content, continues) = text.strip_suffix('\\').map_or((text, false), |content| (content, true));
            match found.last_mut() {
                Some(last) if is_continued => {
                    last.text.push(' ');
                    last.text.push_str(content.trim());
                }
                _ => found.push(Piece { line, text: content.trim().to_owned() }),
            }
            is_continued = continues;
        }
        found
    }

    /// Every line with its number and whether it is of a block of code. Fences themselves are left out.
    fn lines(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let mut fence = None;
        self.text.lines().enumerate().filter_map(move |(at, line)| {
            let opens = ["```", "~~~"].into_iter().find(|it| line.trim_start().starts_with(it));
            match (fence, opens) {
                (None, Some(_)) => fence = opens,
                (Some(open), Some(close)) if open == close => fence = None,
                _ => return Some((at + 1, line, fence.is_some())),
            }
            None
        })
    }
}

/// The contents of the spans of code in a line of prose.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn without_spans(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { file: "page.md".into(), text: text.to_owned() }
    }

    #[test]
    fn links_are_found_in_prose_alone() {
        let page = page("a [b](c.md#d \"e\") [`f`](g)\n```\n[h](i)\n```\n`[j](k)`\n[l]: <m.md>\n![n](o.png)");
        let links: Vec<(usize, String)> = page.links().into_iter().map(|it| (it.line, it.text)).collect();
        let expected = [(1, "c.md#d"), (1, "g"), (6, "m.md"), (7, "o.png")];
        assert_eq!(links, expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn anchors_are_those_of_headings() {
        let page = page("# A `b-c` & d.\n## E\n### E\n#f\n```\n# g\n```");
        assert_eq!(page.anchors(), ["a-b-c--d", "e", "e-1"]);
    }

    #[test]
    fn code_is_found_in_blocks_and_spans() {
        let page = page("a `b c` d `e`\n```sh\nf \\\n  g \\\n  h\ni\n```\nj");
        let code: Vec<(usize, String)> = page.code().into_iter().map(|it| (it.line, it.text)).collect();
        let expected = [(1, "b c"), (1, "e"), (3, "f g h"), (6, "i")];
        assert_eq!(code, expected.map(|(line, text)| (line, text.to_owned())));
    }
}
