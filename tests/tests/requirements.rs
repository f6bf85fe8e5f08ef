//! The tables of requirements name tests that exist.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

const PAGES: &[&str] = &[
    "core/src/manual/openid4vci_requirements.md",
    "core/src/manual/openid4vp_requirements.md",
    "core/src/manual/tampering.md",
];

#[test]
fn every_named_test_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for page in PAGES {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let mut named = 0;
        for row in text.lines().filter(|line| line.starts_with("| ")) {
            for quoted in row.split('`').skip(1).step_by(2) {
                let Some((file, test)) = quoted.split_once(".rs#") else { continue };
                let source = std::fs::read_to_string(root.join(format!("{file}.rs")));
                let source = source.unwrap_or_else(|problem| panic!("{page}: {file}.rs: {problem}"));
                let at = source.find(&format!("fn {test}("));
                let at = at.unwrap_or_else(|| panic!("{page}: {file}.rs has no {test}"));
                // The attribute stands right above, but for comments.
                let line = source[..at].rfind('\n').unwrap_or_default();
                let above = source[..line].lines().rev().find(|line| !line.trim().starts_with("//"));
                assert!(above.is_some_and(|line| line.contains("test")), "{page}: {test} is no test");
                named += 1;
            }
            let answers = [".rs#", "does not apply", "| not met: ", "| shown by |"];
            let answered = answers.iter().any(|answer| row.contains(answer));
            assert!(answered || row.starts_with("| --- "), "{page}: nothing shows {row}");
        }
        assert!(named > 40, "{page}: {named}");
    }
}
