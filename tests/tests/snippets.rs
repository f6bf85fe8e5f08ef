//! Code in the guides is the code of files that are compiled and run: a block after `<!-- snippet: FILE#NAME -->` is the
//! region between `snippet: NAME` and `end of NAME` in that file, relative to the repository.
//!
//! `CAREKEY_BLESS=1 cargo test -p carekey-tests --test snippets` writes the blocks anew.

use std::fs;
use std::path::{Path, PathBuf};

const GUIDES: &[&str] = &["mobile-bindings/README.md", "core/src/manual/phones.md"];
const MARK: &str = "<!-- snippet: ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The region of a file, without the indentation that all its lines share.
fn region(source: &str) -> String {
    let (file, name) = source.split_once('#').unwrap_or_else(|| panic!("{source} names no region"));
    let text = fs::read_to_string(root().join(file)).unwrap_or_else(|problem| panic!("{file}: {problem}"));
    let (begin, end) = (format!("snippet: {name}"), format!("end of {name}"));
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.trim_end().ends_with(&begin))
        .skip(1)
        .take_while(|line| !line.trim_end().ends_with(&end))
        .collect();
    assert!(!lines.is_empty(), "{source} is empty or absent");
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let shared = lines.iter().filter(|line| !line.trim().is_empty()).map(indentation).min().unwrap_or(0);
    lines.iter().map(|line| format!("{}\n", line.get(shared..).unwrap_or_default())).collect()
}

/// The guide with every block as its source has it, and how many there are.
fn current(guide: &str) -> (String, usize) {
    let (mut out, mut blocks) = (String::new(), 0);
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        out += &format!("{line}\n");
        let Some(source) = line.strip_prefix(MARK) else { continue };
        let source = source.trim_end_matches("-->").trim();
        let fence = lines.next().unwrap_or_default();
        assert!(fence.starts_with("```"), "no block after {line}");
        out += &format!("{fence}\n{}```\n", region(source));
        assert!(lines.by_ref().any(|line| line == "```"), "the block after {line} has no end");
        blocks += 1;
    }
    (out, blocks)
}

#[test]
#[allow(clippy::disallowed_methods)] // the switch of a developer, not configuration
fn blocks_are_the_code_that_runs() {
    let mut blocks = 0;
    for guide in GUIDES {
        let path = root().join(guide);
        let text = fs::read_to_string(&path).unwrap();
        let (made, count) = current(&text);
        if std::env::var("CAREKEY_BLESS").is_ok() {
            fs::write(&path, &made).unwrap();
        } else {
            assert!(
                text == made,
                "{guide} is old: CAREKEY_BLESS=1 cargo test -p carekey-tests --test snippets"
            );
        }
        blocks += count;
    }
    assert!(blocks >= 4, "{blocks} blocks");
}
