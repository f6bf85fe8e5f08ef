//! RDF Dataset Canonicalization 1.0 (RDFC-1.0): one name for each blank node, and one order of the statements.
//!
//! Datasets that are built to make the algorithm run for ages ("poison graphs") end in an error after bounded work.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::rdf::Quad;
use crate::encoding::{sha256, sha384};
use crate::error::{Error, Result};

/// The hash function within the algorithm: SHA-256 unless a suite says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashAlgorithm {
    /// SHA-256, the default of RDFC-1.0.
    #[default]
    Sha256,
    /// SHA-384, for ECDSA with P-384.
    Sha384,
}

impl HashAlgorithm {
    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => sha256(bytes).to_vec(),
            Self::Sha384 => sha384(bytes).to_vec(),
        }
    }

    fn hex(self, text: &str) -> String {
        data_encoding::HEXLOWER.encode(&self.digest(text.as_bytes()))
    }
}

/// How much work one dataset may cause (RDFC-1.0 section 7.1, dataset poisoning).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Quads in the dataset.
    pub quads: usize,
    /// Calls of Hash N-Degree Quads and permutations tried within them, together.
    pub work: usize,
    /// Calls of Hash N-Degree Quads within each other.
    pub depth: usize,
}

impl Limits {
    /// The limits of production: some 100 ms of work at most, on a stack of 512 KiB.
    pub const DEFAULT: Self = Self { quads: 20_000, work: 20_000, depth: 128 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A dataset in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// The statements as N-Quads lines, each with its line feed, sorted by code points, none twice.
    pub lines: Vec<String>,
    /// For each blank node of the dataset the number `n` of its canonical label `c14n<n>`.
    pub labels: BTreeMap<u32, u32>,
}

impl Canonical {
    /// The canonical N-Quads document.
    pub fn to_text(&self) -> String {
        self.lines.concat()
    }
}

/// The canonical form of `quads` (section 4.4).
///
/// [`Error::Malformed`] `rdf_too_many` or `rdf_too_complex` beyond `limits`.
pub fn canonicalize(quads: &[Quad], hash: HashAlgorithm, limits: &Limits) -> Result<Canonical> {
    if quads.len() > limits.quads {
        return Err(Error::malformed("rdf_too_many", "the RDF dataset has too many statements"));
    }
    let mut distinct: Vec<&Quad> = quads.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut state = State {
        quads: distinct,
        hash,
        mentions: BTreeMap::new(),
        first: BTreeMap::new(),
        canonical: Issuer::default(),
        work: limits.work,
        depth: limits.depth,
    };
    state.label()?;
    let mut lines = Vec::with_capacity(state.quads.len());
    for quad in &state.quads {
        let mut line = String::with_capacity(160);
        quad.write(&mut line, &mut |out, node| state.canonical.write(out, "_:c14n", node));
        lines.push(line);
    }
    lines.sort_unstable();
    Ok(Canonical { lines, labels: state.canonical.issued })
}

/// Section 4.5: numbers in the order of issue.
#[derive(Debug, Clone, Default)]
struct Issuer {
    issued: BTreeMap<u32, u32>,
    order: Vec<u32>,
}

impl Issuer {
    fn issue(&mut self, node: u32) -> u32 {
        let next = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
        *self.issued.entry(node).or_insert_with(|| {
            self.order.push(node);
            next
        })
    }

    fn write(&self, out: &mut String, prefix: &str, node: u32) {
        let number = self.issued.get(&node).copied().unwrap_or(u32::MAX);
        let _ = write!(out, "{prefix}{number}"); // writing to a String cannot fail
    }
}

struct State<'a> {
    quads: Vec<&'a Quad>,
    hash: HashAlgorithm,
    /// For each blank node the quads that mention it.
    mentions: BTreeMap<u32, Vec<&'a Quad>>,
    first: BTreeMap<u32, String>,
    canonical: Issuer,
    work: usize,
    depth: usize,
}

impl<'a> State<'a> {
    fn label(&mut self) -> Result<()> {
        for quad in &self.quads {
            for (_, node) in quad.blanks() {
                let mentions = self.mentions.entry(node).or_default();
                if !mentions.last().is_some_and(|last| std::ptr::eq(*last, *quad)) {
                    mentions.push(quad);
                }
            }
        }
        let mut by_hash: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (node, quads) in &self.mentions {
            let hash = self.first_degree(*node, quads);
            by_hash.entry(hash.clone()).or_default().push(*node);
            self.first.insert(*node, hash);
        }
        by_hash.retain(|_, nodes| match nodes.as_slice() {
            [one] => {
                self.canonical.issue(*one);
                false
            }
            _ => true,
        });
        for nodes in by_hash.into_values() {
            let mut results = Vec::new();
            for node in nodes {
                if self.canonical.issued.contains_key(&node) {
                    continue;
                }
                let mut issuer = Issuer::default();
                issuer.issue(node);
                results.push(self.n_degree(node, issuer, 0)?);
            }
            results.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (_, issuer) in results {
                for node in issuer.order {
                    self.canonical.issue(node);
                }
            }
        }
        Ok(())
    }

    /// Section 4.6.
    fn first_degree(&self, node: u32, quads: &[&Quad]) -> String {
        let mut lines: Vec<String> = Vec::with_capacity(quads.len());
        for quad in quads {
            let mut line = String::with_capacity(160);
            quad.write(&mut line, &mut |out, other| out.push_str(if other == node { "_:a" } else { "_:z" }));
            lines.push(line);
        }
        lines.sort_unstable();
        self.hash.hex(&lines.concat())
    }

    /// Section 4.7.
    fn related(&self, node: u32, quad: &Quad, issuer: &Issuer, position: char) -> String {
        let mut input = String::with_capacity(128);
        input.push(position);
        if position != 'g' {
            let _ = write!(input, "<{}>", quad.predicate); // writing to a String cannot fail
        }
        if self.canonical.issued.contains_key(&node) {
            self.canonical.write(&mut input, "_:c14n", node);
        } else if issuer.issued.contains_key(&node) {
            issuer.write(&mut input, "_:b", node);
        } else {
            input.push_str(self.first.get(&node).map_or("", String::as_str));
        }
        self.hash.hex(&input)
    }

    fn spend(&mut self) -> Result<()> {
        self.work = self.work.checked_sub(1).ok_or_else(too_complex)?;
        Ok(())
    }

    /// Section 4.8.
    fn n_degree(&mut self, node: u32, mut issuer: Issuer, depth: usize) -> Result<(String, Issuer)> {
        self.spend()?;
        if depth >= self.depth {
            return Err(too_complex());
        }
        let mut groups: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let quads = self.mentions.get(&node).cloned().unwrap_or_default();
        for quad in quads {
            for (position, other) in quad.blanks().filter(|(_, other)| *other != node) {
                let hash = self.related(other, quad, &issuer, position);
                groups.entry(hash).or_default().push(other);
            }
        }
        let mut data = String::new();
        for (hash, mut nodes) in groups {
            data.push_str(&hash);
            nodes.sort_unstable();
            let mut chosen: Option<(String, Issuer)> = None;
            loop {
                self.spend()?;
                let best = chosen.as_ref().map(|(path, _)| path.as_str());
                if let Some(better) = self.path(&nodes, &issuer, best, depth)? {
                    chosen = Some(better);
                }
                if !next_permutation(&mut nodes) {
                    break;
                }
            }
            if let Some((path, chosen)) = chosen {
                data.push_str(&path);
                issuer = chosen;
            }
        }
        Ok((self.hash.hex(&data), issuer))
    }

    /// Step 5.4 of section 4.8 for one permutation; `None` when it cannot come before `best`.
    fn path(
        &mut self,
        nodes: &[u32],
        issuer: &Issuer,
        best: Option<&str>,
        depth: usize,
    ) -> Result<Option<(String, Issuer)>> {
        let worse =
            |path: &str| best.is_some_and(|best| !best.is_empty() && path.len() >= best.len() && path > best);
        let mut copy = issuer.clone();
        let mut path = String::new();
        let mut recursion = Vec::new();
        for related in nodes {
            if self.canonical.issued.contains_key(related) {
                self.canonical.write(&mut path, "_:c14n", *related);
            } else {
                if !copy.issued.contains_key(related) {
                    recursion.push(*related);
                }
                copy.issue(*related);
                copy.write(&mut path, "_:b", *related);
            }
            if worse(&path) {
                return Ok(None);
            }
        }
        for related in recursion {
            let (hash, next) = self.n_degree(related, copy.clone(), depth + 1)?;
            copy.write(&mut path, "_:b", related);
            let _ = write!(path, "<{hash}>"); // writing to a String cannot fail
            copy = next;
            if worse(&path) {
                return Ok(None);
            }
        }
        let first = best.is_none_or(|best| best.is_empty() || path.as_str() < best);
        Ok(first.then_some((path, copy)))
    }
}

fn too_complex() -> Error {
    Error::malformed("rdf_too_complex", "the RDF dataset takes too much work to canonicalize")
}

/// The next permutation in lexicographic order; `false` when `items` was the last.
fn next_permutation(items: &mut [u32]) -> bool {
    let Some(pivot) = items.windows(2).rposition(|pair| matches!(pair, [a, b] if a < b)) else {
        return false;
    };
    let Some((head, tail)) = items.split_at_mut_checked(pivot + 1) else {
        return false;
    };
    let Some(pivot) = head.last_mut() else {
        return false;
    };
    if let Some(larger) = tail.iter_mut().rev().find(|item| **item > *pivot) {
        std::mem::swap(pivot, larger);
    }
    tail.reverse();
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::data_integrity::rdf::Term;

    fn edge(from: u32, to: u32) -> Quad {
        Quad { subject: Term::Blank(from), predicate: "urn:p".into(), object: Term::Blank(to), graph: None }
    }

    fn run(quads: &[Quad]) -> Result<Canonical> {
        canonicalize(quads, HashAlgorithm::Sha256, &Limits::DEFAULT)
    }

    #[test]
    fn names_do_not_depend_on_the_numbers_before() {
        // Two directed cycles, of three and four nodes, and a pair that points at each other.
        let shape = |name: &dyn Fn(u32) -> u32| {
            let edges = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 6), (6, 3), (7, 8), (8, 7)];
            edges.map(|(a, b)| edge(name(a), name(b)))
        };
        let plain = run(&shape(&|n| n)).unwrap();
        for permuted in [run(&shape(&|n| 8 - n)).unwrap(), run(&shape(&|n| (n * 4 + 3) % 9)).unwrap()] {
            assert_eq!(permuted.lines, plain.lines);
        }
        assert_eq!(plain.lines.len(), 9);
        assert_eq!(plain.labels.len(), 9);
        let mut twice = shape(&|n| n).to_vec();
        twice.extend(shape(&|n| n));
        assert_eq!(run(&twice).unwrap(), plain);
        let other = canonicalize(&shape(&|n| n), HashAlgorithm::Sha384, &Limits::DEFAULT).unwrap();
        assert_ne!(other.labels, plain.labels);
    }

    #[test]
    fn example_of_the_specification() {
        // RDFC-1.0 appendix A.1, "unique hashes".
        let quad = |subject: Term, predicate: &str, object: Term| Quad {
            subject,
            predicate: format!("http://example.com/#{predicate}").into(),
            object,
            graph: None,
        };
        let iri = |name: &str| Term::Iri(format!("http://example.com/#{name}").into());
        let quads = [
            quad(iri("p"), "q", Term::Blank(0)),
            quad(iri("p"), "r", Term::Blank(1)),
            quad(Term::Blank(0), "s", iri("u")),
            quad(Term::Blank(1), "t", iri("u")),
        ];
        let canonical = run(&quads).unwrap();
        assert_eq!(canonical.labels, BTreeMap::from([(0, 0), (1, 1)]));
        assert_eq!(canonical.lines[0], "<http://example.com/#p> <http://example.com/#q> _:c14n0 .\n");
    }

    #[test]
    fn poison_graphs_end() {
        // The complete graph on ten nodes: every node looks like every other.
        let mut clique = Vec::new();
        for a in 0..10 {
            clique.extend((0..10).filter(|b| *b != a).map(|b| edge(a, b)));
        }
        assert_eq!(run(&clique).unwrap_err().code(), "rdf_too_complex");
        let chain: Vec<Quad> = (0..4000).map(|n| edge(n, (n + 1) % 4000)).collect();
        let test = move || assert_eq!(run(&chain).unwrap_err().code(), "rdf_too_complex");
        std::thread::Builder::new().stack_size(512 * 1024).spawn(test).unwrap().join().unwrap();
        let many: Vec<Quad> = (0..20_001).map(|n| edge(n, n)).collect();
        assert_eq!(run(&many).unwrap_err().code(), "rdf_too_many");
    }
}
