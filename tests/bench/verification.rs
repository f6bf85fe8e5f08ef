//! What verification costs, in one run on one thread: bare signatures first, then the work of a verifier, an issuer and
//! of other libraries on the same presentation. The ratios are printed at the end, beside the aims.
#![allow(clippy::disallowed_methods)] // a benchmark reads the clock

mod data_integrity;
mod http;
mod summary;

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, ParsedPublicKey,
};
use carekey_core::key::Signer as _;
use carekey_core::limits::Limits;
use carekey_core::webauthn::UserVerification;
use carekey_core::webauthn::assertion::AssertionExpectation;
use carekey_core::webauthn::options::RequestOptions;
use carekey_tests::story::{Answer, Asking, CREDENTIAL_ID, Issuance, Judging, ORIGIN, RP_ID, key};
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
    let (issuance, answer, judging) = (Issuance::default(), Answer::default(), Judging::default());
    let credential = issuance.issue();
    let plain_request = Asking::plain().request();
    let plain = answer.present(&credential, &plain_request);
    criterion.bench_function("sd_jwt_vc/verify", |b| {
        b.iter(|| judging.judge(black_box(&plain), &plain_request).unwrap());
    });
    let step_up_request = Asking::step_up().request();
    let step_up = answer.present(&credential, &step_up_request);
    criterion.bench_function("sd_jwt_vc/verify_step_up", |b| {
        b.iter(|| judging.judge(black_box(&step_up), &step_up_request).unwrap());
    });
    criterion.bench_function("sd_jwt_vc/issue", |b| b.iter(|| black_box(issuance.issue())));
    let challenge = [9; 32];
    let options = RequestOptions::step_up(RP_ID, &CREDENTIAL_ID, challenge);
    let response = answer.authenticator.get(&options).unwrap();
    let key = key(3);
    let expected = AssertionExpectation {
        challenge: &challenge,
        origins: &[ORIGIN.to_owned()],
        rp_id: RP_ID,
        public_key: key.public_key(),
        backup_eligible: false,
        user_verification: UserVerification::Required,
    };
    criterion.bench_function("webauthn/assertion", |b| {
        b.iter(|| {
            let assertion = black_box(&response).assertion().unwrap();
            carekey_core::webauthn::assertion::verify(assertion, &expected, &Limits::DEFAULT).unwrap()
        });
    });
}

#[cfg(feature = "oracles")]
fn ssi(criterion: &mut Criterion) {
    use carekey_tests::ssi::Ssi;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (issuance, request) = (Issuance::default(), Asking::plain().request());
    let plain = Answer::default().present(&issuance.issue(), &request);
    let ssi = Ssi::new(key(1).public_key(), key(2).public_key());
    criterion.bench_function("ssi/verify", |b| {
        b.iter(|| assert!(runtime.block_on(ssi.verify(black_box(&plain), &request))));
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .output_directory(&summary::folder())
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    bare_signatures(&mut criterion);
    credentials(&mut criterion);
    let measured = data_integrity::run(&mut criterion);
    #[cfg(feature = "oracles")]
    ssi(&mut criterion);
    criterion.final_summary();
    summary::print(&measured);
    // Not when criterion only lists or profiles.
    if std::env::args().all(|argument| argument == "--bench" || !argument.starts_with("--")) {
        http::run();
    }
}
