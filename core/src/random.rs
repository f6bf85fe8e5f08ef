//! Randomness enters only through [`Random`].

use crate::encoding::base64url;

/// Where random bytes come from.
pub trait Random: Send + Sync {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

impl dyn Random + '_ {
    /// `N` random bytes.
    pub fn array<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A fresh identifier or nonce: `bytes` random bytes (at most 64), base64url without padding.
    pub fn token(&self, bytes: usize) -> String {
        let mut out = [0; 64];
        let (head, _) = out.split_at_mut(bytes.min(64));
        self.fill(head);
        base64url::encode(head)
    }
}

/// The cryptographic generator of the operating system, through aws-lc.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[allow(clippy::panic)] // without randomness nothing may go on
    fn fill(&self, out: &mut [u8]) {
        if aws_lc_rs::rand::fill(out).is_err() {
            panic!("the operating system gives no randomness");
        }
    }
}

/// Draws once from aws-lc's generator, whose first use in a process costs tens of milliseconds: for start-up.
pub fn warm_up() {
    SystemRandom.fill(&mut [0; 32]);
}

/// A repeatable stream from a seed, for tests and vectors only.
#[cfg(feature = "danger-seeded-random")]
#[derive(Debug)]
pub struct SeededRandom {
    seed: [u8; 32],
    counter: std::sync::atomic::AtomicU64,
}

#[cfg(feature = "danger-seeded-random")]
impl SeededRandom {
    /// The stream that belongs to `seed`.
    pub fn new(seed: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, seed.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self { seed: bytes, counter: std::sync::atomic::AtomicU64::new(0) }
    }
}

#[cfg(feature = "danger-seeded-random")]
impl Random for SeededRandom {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let n = self.counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
            context.update(&self.seed);
            context.update(&n.to_be_bytes());
            for (byte, random) in chunk.iter_mut().zip(context.finish().as_ref()) {
                *byte = *random;
            }
        }
    }
}
