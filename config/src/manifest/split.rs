// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Cuts a file into its documents before any of them is parsed, so that a mistake in one does not harm the others.

/// One document of a file, not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Its text.
    pub text: &'a str,
    /// The number of lines before it.
    pub lines_before: u32,
}

/// The documents of `text`; those without any content are left out.
///
/// A line that begins with `---` ends a document wherever it stands, also inside a block or a quoted scalar
/// (YAML 1.2.2, 9.1.2 and rule `c-forbidden`), so no parser is needed to find the borders.
pub fn documents(text: &str) -> Vec<Chunk<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut chunks = Vec::new();
    let (mut start, mut lines_before) = (0, 0);
    let (mut offset, mut line) = (0, 0);
    for text_line in text.split_inclusive('\n') {
        if is_start(text_line) {
            chunks.push(Chunk { text: text.get(start..offset).unwrap_or_default(), lines_before });
            (start, lines_before) = (offset, line);
        }
        offset += text_line.len();
        line += 1;
        if is_marker(text_line, "...") {
            chunks.push(Chunk { text: text.get(start..offset).unwrap_or_default(), lines_before });
            (start, lines_before) = (offset, line);
        }
    }
    chunks.push(Chunk { text: text.get(start..).unwrap_or_default(), lines_before });
    chunks.retain(|chunk| has_content(chunk.text));
    chunks
}

fn is_start(line: &str) -> bool {
    is_marker(line, "---")
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether there is more than comments, directives and markers.
fn has_content(text: &str) -> bool {
    text.lines().any(|line| {
        let content = if is_start(line) { line.get(3..).unwrap_or_default() } else { line }.trim_start();
        !(content.is_empty() || content.starts_with('#') || line.starts_with('%') || is_marker(line, "..."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_with_the_lines_before_them() {
        let found =
            documents("\u{feff}# head\n---\na: 1\n---\n# nothing\n--- # more\nb: |\n  text\n...\nc: 1\n");
        let found: Vec<(&str, u32)> = found.iter().map(|chunk| (chunk.text, chunk.lines_before)).collect();
        assert_eq!(found, [("---\na: 1\n", 1), ("--- # more\nb: |\n  text\n...\n", 5), ("c: 1\n", 9)]);
    }

    #[test]
    fn dashes_that_are_no_marker_do_not_cut() {
        for text in ["a: |\n  ---\n  b\n", "----\n", "---a\n", " ---\n"] {
            assert_eq!(documents(text).len(), 1, "{text:?}");
        }
        assert_eq!(documents("\n\n# only a comment\n---\n...\n"), []);
    }
}
