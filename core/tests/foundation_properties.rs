//! Properties of the encodings, and that no parser of the foundation panics, whatever it reads.
#![allow(clippy::unwrap_used, missing_docs)]

use carekey_core::did::{Did, DidDocument, DidUrl, resolver};
use carekey_core::encoding::{base64, base64url, canonical_json, deflate, json, multibase};
use carekey_core::jose::jwe::UnverifiedJwe;
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jws::UnverifiedJws;
use carekey_core::jose::jwt::UnverifiedJwt;
use carekey_core::limits::Limits;
use carekey_core::x509::UnverifiedChain;
use proptest::prelude::*;
use serde_json::{Map, Value};

const L: &Limits = &Limits::DEFAULT;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..=(1 << 53)).prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// As [`canonical_json`] reads documents: every number a double.
fn as_doubles(value: &Value) -> Value {
    match value {
        // -0 and 0 are one number.
        Value::Number(number) => Value::from(number.as_f64().unwrap() + 0.0),
        Value::Array(items) => items.iter().map(as_doubles).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(k, v)| (k.clone(), as_doubles(v))).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn canonical_json_keeps_the_meaning(value in any_json()) {
        let canonical = canonical_json::to_vec(&value).unwrap();
        let again = json::parse(&canonical, L).unwrap();
        prop_assert_eq!(as_doubles(&again), as_doubles(&value));
        prop_assert_eq!(canonical_json::to_vec(&again).unwrap(), canonical);
    }

    #[test]
    fn canonical_doubles_read_back(bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        prop_assume!(double.is_finite());
        let text = canonical_json::to_string(&Value::from(double)).unwrap();
        prop_assert_eq!(text.parse::<f64>().unwrap() + 0.0, double + 0.0);
    }

    #[test]
    fn strict_json_agrees_with_serde_json(value in any_json()) {
        let text = serde_json::to_vec(&value).unwrap();
        prop_assert_eq!(json::parse(&text, L).unwrap(), value);
    }

    #[test]
    fn strict_json_takes_no_more_than_serde_json(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = json::parse(&bytes, L) {
            prop_assert_eq!(value, serde_json::from_slice::<Value>(&bytes).unwrap());
        }
    }

    #[test]
    fn one_text_per_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(base64url::decode(&base64url::encode(&bytes)).unwrap(), bytes.clone());
        prop_assert_eq!(base64::decode(&base64::encode(&bytes)).unwrap(), bytes.clone());
        prop_assert_eq!(multibase::decode(&multibase::encode_base58btc(&bytes), 200).unwrap(), bytes.clone());
        prop_assert_eq!(deflate::zlib_inflate(&deflate::zlib_compress(&bytes), 200).unwrap(), bytes.clone());
        prop_assert_eq!(deflate::raw_inflate(&deflate::raw_compress(&bytes), 200).unwrap(), bytes);
    }

    #[test]
    fn one_bytes_per_text(text in "[A-Za-z0-9_=+/-]{0,40}") {
        if let Ok(bytes) = base64url::decode(&text) {
            prop_assert_eq!(base64url::encode(&bytes), text.clone());
        }
        if let Ok(bytes) = base64::decode(&text) {
            prop_assert_eq!(base64::encode(&bytes), text);
        }
    }

    #[test]
    fn inflating_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for out in [deflate::zlib_inflate(&bytes, 1000), deflate::raw_inflate(&bytes, 1000)].into_iter().flatten() {
            prop_assert!(out.len() <= 1000);
        }
    }

    #[test]
    fn tokens_never_panic(header in any_json(), payload in any_json(), tail in "[A-Za-z0-9_.-]{0,40}", text in any::<String>()) {
        let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
        for token in [format!("{}.{}.{tail}", part(&header), part(&payload)), text] {
            let _ = UnverifiedJws::parse(&token, L);
            let _ = UnverifiedJwt::parse(&token, L);
            let _ = UnverifiedJwe::parse(&token, L);
        }
        let _ = Jwk::from_value(&header).map(|jwk| (jwk.public_key(), jwk.thumbprint()));
    }

    #[test]
    fn dids_never_panic(text in "(did:(web|key|jwk):)?[a-zA-Z0-9.:%#_-]{0,60}", any in any::<String>(), document in any_json()) {
        for text in [text, any] {
            let _ = DidUrl::parse(&text);
            if let Ok(did) = Did::parse(&text) {
                let _ = resolver::resolve_offline(&did);
                let _ = carekey_core::did::web::document_url(&did);
                let _ = carekey_core::did::web::loopback_document_url(&did);
                let _ = DidDocument::parse(&did, document.to_string().as_bytes(), L);
            }
        }
    }

    #[test]
    fn certificates_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let sequence = [&[0x30, 0x82, 0x01, 0x00][..], &bytes].concat();
        for der in [bytes, sequence] {
            let _ = UnverifiedChain::from_der(&[der], L);
        }
    }
}
