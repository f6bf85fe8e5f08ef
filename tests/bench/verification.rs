//! What verification costs, in one run on one thread: bare signatures first, then the work of a verifier, an issuer and
//! of other libraries on the same presentation. The ratios are printed at the end, beside the aims.

mod summary;

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, ParsedPublicKey,
};
use carekey_tests::presentation::Fixture;
use criterion::Criterion;

/// As long as the signing input of a key-binding JWT.
const MESSAGE: [u8; 512] = [0x61; 512];

fn bare_signatures(criterion: &mut Criterion) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let signature = key.sign(&random, &MESSAGE).unwrap();
    let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref()).unwrap();
    criterion.bench_function("bare/p256", |b| {
        b.iter(|| public.verify_sig(black_box(&MESSAGE), signature.as_ref()).unwrap());
    });

    let key = Ed25519KeyPair::generate().unwrap();
    let signature = key.sign(&MESSAGE);
    let public = ParsedPublicKey::new(&ED25519, key.public_key().as_ref()).unwrap();
    criterion.bench_function("bare/ed25519", |b| {
        b.iter(|| public.verify_sig(black_box(&MESSAGE), signature.as_ref()).unwrap());
    });
}

fn credentials(criterion: &mut Criterion) {
    let fixture = Fixture::new();
    let plain = fixture.present();
    criterion.bench_function("sd_jwt_vc/verify", |b| b.iter(|| fixture.verify(black_box(&plain)).unwrap()));
    let step_up = fixture.present_step_up();
    criterion.bench_function("sd_jwt_vc/verify_step_up", |b| {
        b.iter(|| fixture.verify_step_up(black_box(&step_up)).unwrap());
    });
    criterion.bench_function("sd_jwt_vc/issue", |b| b.iter(|| black_box(fixture.issue())));
    let challenge = [9; 32];
    let assertion = fixture.assertion(&challenge);
    criterion.bench_function("webauthn/assertion", |b| {
        b.iter(|| fixture.verify_assertion(black_box(&assertion), &challenge).unwrap());
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    bare_signatures(&mut criterion);
    credentials(&mut criterion);
    criterion.final_summary();
    summary::print();
}
