//! `ssi` 0.16 and ours agree about presentations: good ones, and ones with one thing wrong.
#![cfg(feature = "oracles")]

use carekey_core::key::Signer as _;
use carekey_tests::ssi::Ssi;
use carekey_tests::story::{Answer, Asking, Issuance, Judging, NOW, key};

#[tokio::test]
async fn both_say_the_same() {
    let ssi = Ssi::new(key(1).public_key(), key(2).public_key());
    let request = Asking::plain().request();
    let credential = Issuance::default().issue();
    let good = Answer::default().present(&credential, &request);
    let without_disclosure = {
        let mut parts: Vec<&str> = good.split('~').collect();
        parts.remove(1);
        parts.join("~")
    };
    let foreign_disclosure = good.replacen('~', "~WyJzYWx0c2FsdHNhbHQiLCJyb2xlIiwiYWRtaW4iXQ~", 1);
    let cases = [
        ("good", good.clone()),
        ("another holder", Answer { holder: key(9), ..Answer::default() }.present(&credential, &request)),
        (
            "another issuer",
            Answer::default().present(&Issuance { issuer: key(9), ..Issuance::default() }.issue(), &request),
        ),
        (
            "another nonce",
            Answer { nonce: Some("x".to_owned()), ..Answer::default() }.present(&credential, &request),
        ),
        (
            "another audience",
            Answer { audience: Some("x".to_owned()), ..Answer::default() }.present(&credential, &request),
        ),
        ("one disclosure less", without_disclosure),
        ("a disclosure that nobody signed", foreign_disclosure),
        ("expired", {
            let mut issuance = Issuance::default();
            issuance.validity.expires_at = Some(NOW.plus(-120));
            Answer::default().present(&issuance.issue(), &request)
        }),
    ];
    for (name, presentation) in cases {
        let ours = Judging::default().judge(&presentation, &request).is_ok();
        let theirs = ssi.verify(&presentation, &request).await;
        assert_eq!(ours, theirs, "{name}");
        assert_eq!(ours, name == "good", "{name}");
    }
}
