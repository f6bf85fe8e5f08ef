//! What is left in memory when a vault is locked: the process reads its own (Linux only).
//!
//! The secret that opens the vault is kept masked by the test, so that the test's own memory does not hold it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::io::{Read, Seek, SeekFrom};

use carekey_core::clock::UnixTime;
use carekey_core::random::{Random, SystemRandom};
use carekey_core::secret::Secret;
use carekey_core::vault::{Opener, RecoveryCode, Vault};
use zeroize::Zeroize;

const MASK: u8 = 0xa5;

fn masked(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ MASK).collect()
}

/// Where the heap lies: what may be written, without the stacks, which begin after a guard page.
fn heap() -> Vec<(u64, usize)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let (mut regions, mut guard) = (Vec::new(), 0);
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        if rest.starts_with("---p") && to - from == 4096 {
            guard = to;
        } else if rest.starts_with("rw-p") && guard != from && !rest.contains("[stack]") {
            regions.push((from, usize::try_from(to - from).unwrap()));
        }
    }
    regions
}

/// How often what is masked lies there.
fn copies_on_the_heap(masked: &[u8]) -> usize {
    let mut memory = fs::File::open("/proc/self/mem").unwrap();
    let mut copies = 0;
    for (from, length) in heap() {
        let mut region = vec![0; length];
        memory.seek(SeekFrom::Start(from)).unwrap();
        if memory.read_exact(&mut region).is_ok() {
            let same =
                |window: &&[u8]| window.iter().zip(masked).all(|(byte, wanted)| byte ^ MASK == *wanted);
            copies += region.windows(masked.len()).filter(same).count();
        }
        region.zeroize();
    }
    copies
}

#[test]
fn nothing_of_an_unlock_secret_stays_on_the_heap() {
    let random: &dyn Random = &SystemRandom;
    // The control: what lies there is found, and is not found when it was wiped.
    let plain = Secret::new(random.array::<32>().to_vec());
    let wanted = masked(plain.expose());
    assert!(copies_on_the_heap(&wanted) >= 1);
    drop(plain);
    assert_eq!(copies_on_the_heap(&wanted), 0);

    // A recovery code, typed: the text that was shown, and what was read, are gone when they are dropped.
    let vault = Vault::create(random);
    let code = RecoveryCode::generate(random);
    let opener = Opener::new(
        vault.add_recovery_entry("paper", &code, random).unwrap(),
        "Paper",
        UnixTime::from_secs(0),
    );
    let text = code.to_text();
    let wanted = masked(text.expose().as_bytes());
    assert!(copies_on_the_heap(&wanted) >= 1);
    let typed = Secret::new(text.expose().clone());
    opener.open_with_code(&RecoveryCode::parse(typed.expose()).unwrap()).unwrap();
    drop((typed, text, code, vault));
    assert_eq!(copies_on_the_heap(&wanted), 0);

    // The secret of a key of the device, and the output of a passkey, in the hands of the vault.
    let vault = Vault::create(random);
    let secret = Secret::new(random.array::<32>().to_vec());
    let wanted = masked(secret.expose());
    let entry = vault.add_hardware_entry("phone", &secret, random).unwrap();
    let opened = entry.open(secret.expose()).unwrap();
    assert!(copies_on_the_heap(&wanted) >= 1);
    drop((secret, vault, opened));
    assert_eq!(copies_on_the_heap(&wanted), 0);
}
