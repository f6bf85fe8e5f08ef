//! Issuers looked up among 10, 1,000 and 10,000 trusted ones: by certificate, by DID, by address. The time must not grow.
#![allow(missing_docs, clippy::unwrap_used)] // a program of the tests

use carekey_core::clock::{Clock as _, SystemClock};
use carekey_core::did::Did;
use carekey_core::encoding::base64;
use carekey_core::trust::{IssuerRule, IssuerTrust};
use carekey_core::x509::TrustAnchor;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

const VCT: &str = "https://hospital.example/vct/patient-identity";
const ISS: &str = "https://hospital.example";

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// `count` anchors, DIDs and addresses; and the chain of an issuer under the last anchor.
fn trust(count: usize) -> (IssuerTrust, Vec<String>, Did, String) {
    let key = KeyPair::generate().unwrap();
    let params: Vec<_> = (0..count).map(|number| authority(&format!("Authority {number}"))).collect();
    let anchors = params.iter().map(|params| TrustAnchor::from_der(params.self_signed(&key).unwrap().der()));
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![SanType::URI(ISS.try_into().unwrap())];
    let issuer = Issuer::from_params(params.last().unwrap(), &key);
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    let did = |number| Did::parse(&format!("did:web:hospital{number}.example")).unwrap();
    let address = |number| format!("https://hospital{number}.example");
    let rule = IssuerRule {
        anchors: anchors.collect::<carekey_core::Result<_>>().unwrap(),
        dids: (0..count).map(did).collect(),
        https_issuers: (0..count).map(address).collect(),
        ..IssuerRule::default()
    };
    let x5c = vec![base64::encode(leaf.der())];
    (IssuerTrust::new(vec![rule]), x5c, did(count - 1), address(count - 1))
}

fn issuers(criterion: &mut Criterion) {
    let now = SystemClock.now();
    let mut group = criterion.benchmark_group("trusted issuer");
    for count in [10, 1_000, 10_000] {
        let (trust, x5c, did, address) = trust(count);
        group.bench_function(BenchmarkId::new("by certificate", count), |bencher| {
            bencher.iter(|| trust.by_certificate(VCT, Some(ISS), &x5c, now).unwrap());
        });
        group.bench_function(BenchmarkId::new("by DID", count), |bencher| {
            bencher.iter(|| trust.check_did(VCT, &did).unwrap());
        });
        group.bench_function(BenchmarkId::new("by address", count), |bencher| {
            bencher.iter(|| trust.check_https_issuer(VCT, &address).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, issuers);
criterion_main!(benches);
