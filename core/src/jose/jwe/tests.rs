//! Known answers, refusals and round trips of the JWE module.

use serde_json::json;

use super::*;

const L: &Limits = &Limits::DEFAULT;

fn key(d: &str) -> JweDecryptionKey {
    JweDecryptionKey::from_bytes(&base64url::decode(d).unwrap()).unwrap()
}

/// OpenID4VP 1.0 section 8.3: the encrypted response and the key that it is for.
const OPENID4VP: &str = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOEdDTSIsImtpZCI6ImFjIiwiZXBrIjp7Imt0eSI6IkVDIiwieCI6Im5ubVZwbTNWM2piaGNhZlFhUkJrU1ZOSGx3Wkh3dC05ck9wSnVmeVlJdWsiLCJ5IjoicjRmakRxd0p5czlxVU9QLV9iM21SNVNaRy0tQ3dPMm1pYzVWU05UWU45ZyIsImNydiI6IlAtMjU2In19..uAYcHRUSSn2X0WPX.yVzlGSYG4qbg0bq18JcUiDRw56yVnbKR8E7S7YlEtzT00RqE3Pw5oTpUG3hdLN4taHZ9gC1kwak8JOnJgQ.1wR024_3-qtAlx1oFIUpQQ";

#[test]
fn example_of_openid4vp() {
    let recipient = key("Et-3ce0omz8_TuZ96Df9lp0GAaaDoUnDe6X-CRO7Aww");
    assert_eq!(recipient.public.x.as_deref(), Some("YO4epjifD-KWeq1sL2tNmm36BhXnkJ0He-WqMYrp9Fk"));
    let (header, payload) = decrypt(OPENID4VP, &recipient, L).unwrap();
    assert_eq!(header.kid.as_deref(), Some("ac"));
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(payload, json!({"vp_token": {"example_credential_id": ["eyJhb...YMetA"]}}));
}

#[test]
fn round_trip() {
    let recipient = JweDecryptionKey::generate().unwrap();
    let again = JweDecryptionKey::from_bytes(recipient.to_bytes().unwrap().expose()).unwrap();
    let parties = PartyInfo { apu: Some(b"u".to_vec()), apv: None };
    for enc in ContentEncryption::ALL {
        let jwe = encrypt(b"secret", &recipient.jwk("k1"), enc, &parties).unwrap();
        let (header, payload) = decrypt(&jwe, &again, L).unwrap();
        assert_eq!(payload, b"secret");
        assert_eq!((header.enc, header.kid.as_deref(), &header.parties), (enc, Some("k1"), &parties));
        assert_eq!(header.alg, KeyManagement::EcdhEs);
        let other = JweDecryptionKey::generate().unwrap();
        assert_eq!(decrypt(&jwe, &other, L).unwrap_err().code(), "jwe_decrypt");
        assert_ne!(jwe, encrypt(b"secret", &recipient.jwk("k1"), enc, &parties).unwrap());
    }
    assert!(!format!("{recipient:?}").contains(&base64url::encode(recipient.to_bytes().unwrap().expose())));
}

#[test]
fn refuses_recipients() {
    let good = JweDecryptionKey::generate().unwrap().jwk("k");
    let code = |change: fn(&mut Jwk)| {
        let mut jwk = good.clone();
        change(&mut jwk);
        encrypt(b"", &jwk, ContentEncryption::A128Gcm, &PartyInfo::default()).err().map(|error| error.code())
    };
    assert_eq!(code(|_| {}), None);
    assert_eq!(code(|jwk| jwk.use_ = Some("sig".into())), Some("jwe_recipient"));
    assert_eq!(code(|jwk| jwk.alg = Some("ECDH-ES+A128KW".into())), None);
    assert_eq!(code(|jwk| jwk.alg = Some("ECDH-ES+A192KW".into())), Some("jwe_recipient"));
    assert_eq!(code(|jwk| jwk.alg = Some("RSA-OAEP-256".into())), Some("jwe_recipient"));
    assert_eq!(code(|jwk| jwk.crv = Some("P-384".into())), Some("jwe_recipient"));
    assert_eq!(code(|jwk| jwk.y = jwk.x.clone()), Some("jwe_recipient"), "no point of the curve");
    assert_eq!(code(|jwk| jwk.y = None), Some("jwk"));
}

#[test]
fn any_change_is_noticed() {
    let recipient = key("Et-3ce0omz8_TuZ96Df9lp0GAaaDoUnDe6X-CRO7Aww");
    for at in 0..OPENID4VP.len() {
        let mut changed = OPENID4VP.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(decrypt(&changed, &recipient, L).is_err(), "character {at}");
    }
}

#[test]
fn refuses_headers_and_parts() {
    let epk = JweDecryptionKey::generate().unwrap().public.to_value();
    let recipient = JweDecryptionKey::generate().unwrap();
    let build = |change: &[(&str, Value)], rest: &str| {
        let mut header = json!({"alg": "ECDH-ES", "enc": "A128GCM", "epk": epk});
        for (name, value) in change {
            header[*name] = value.clone();
        }
        format!("{}{rest}", base64url::encode(header.to_string().as_bytes()))
    };
    const REST: &str = "..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA";
    let code = |compact: &str| decrypt(compact, &recipient, L).unwrap_err().code();
    assert_eq!(code(&build(&[], REST)), "jwe_decrypt");
    let mut with_d = epk.clone();
    with_d["d"] = json!("AA");
    let mut off_curve = epk.clone();
    off_curve["y"] = epk["x"].clone();
    let x25519 = JweDecryptionKey::generate_on(Curve::X25519).unwrap().public.to_value();
    let long = base64url::encode(&[0; 1025]);
    let cases = [
        ("alg", json!("ECDH-ES+A192KW"), "jwe_alg"),
        ("alg", json!("dir"), "jwe_alg"),
        ("alg", json!("none"), "jwe_alg"),
        ("alg", json!("RSA1_5"), "jwe_alg"),
        ("alg", json!("PBES2-HS256+A128KW"), "jwe_alg"),
        ("alg", json!(null), "jwe_header"),
        ("enc", json!("A192CBC-HS384"), "jwe_enc"),
        ("enc", json!("A128CBC-HS256"), "jwe"), // its initialization vector is longer
        ("alg", json!("ECDH-ES+A128KW"), "jwe"), // needs an encrypted key
        ("enc", json!(1), "jwe_header"),
        ("zip", json!("DEF"), "jwe_zip"),
        ("crit", json!(["x"]), "jwe_crit"),
        ("epk", json!("x"), "jwk"),
        ("epk", with_d, "jwk_private"),
        ("epk", off_curve, "jwe_decrypt"),
        ("epk", json!({"kty": "OKP", "crv": "X25519", "x": "AA"}), "jwk"),
        ("epk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "jwe_alg"),
        ("epk", x25519, "jwe_alg"), // the key is on P-256
        ("apu", json!("not base64url!"), "base64url"),
        ("apv", json!(long), "jwe_header"),
        ("kid", json!(1), "jwe_header"),
    ];
    for (name, value, expected) in cases {
        assert_eq!(code(&build(&[(name, value)], REST)), expected, "{name}");
    }
    for rest in [
        "",
        "..AAAAAAAAAAAAAAAA.AA",
        "..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA.",
        ".AA.AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA",
        "..AAAA.AA.AAAAAAAAAAAAAAAAAAAAAA",
        "..AAAAAAAAAAAAAAAA.AA.AAAA",
    ] {
        assert_eq!(code(&build(&[], rest)), "jwe", "{rest}");
    }
    assert_eq!(code(&"a".repeat(L.token_bytes + 1)), "token_too_large");
    assert_eq!(JweDecryptionKey::from_bytes(&[0; 32]).unwrap_err().code(), "private_key");
}

/// Every algorithm with every encryption on every curve; a key is for one algorithm only.
#[test]
fn all_combinations() {
    let payload = vec![7; 1000];
    for curve in [Curve::P256, Curve::X25519] {
        for alg in KeyManagement::ALL {
            let recipient = JweDecryptionKey::generate_on(curve).unwrap().for_algorithm(alg);
            let bytes = recipient.to_bytes().unwrap();
            for enc in ContentEncryption::ALL {
                let jwe = encrypt(&payload, &recipient.jwk("k"), enc, &PartyInfo::default()).unwrap();
                let (header, plain) = decrypt(&jwe, &recipient, L).unwrap();
                assert_eq!((header.alg, header.enc, &plain), (alg, enc, &payload));
                for other in KeyManagement::ALL.into_iter().filter(|other| *other != alg) {
                    let same_key = JweDecryptionKey::from_bytes_on(curve, bytes.expose()).unwrap();
                    let error = decrypt(&jwe, &same_key.for_algorithm(other), L).unwrap_err();
                    assert_eq!(error.code(), "jwe_alg");
                }
                let other = JweDecryptionKey::generate_on(curve).unwrap().for_algorithm(alg);
                assert_eq!(decrypt(&jwe, &other, L).unwrap_err().code(), "jwe_decrypt");
                let mut parts: Vec<String> = jwe.split('.').map(Into::into).collect();
                for at in 1..5 {
                    let original = parts[at].clone();
                    if original.is_empty() {
                        continue;
                    }
                    let mut changed = base64url::decode(&original).unwrap();
                    *changed.last_mut().unwrap() ^= 1;
                    parts[at] = base64url::encode(&changed);
                    assert_eq!(decrypt(&parts.join("."), &recipient, L).unwrap_err().code(), "jwe_decrypt");
                    parts[at] = original;
                }
            }
        }
    }
}

/// An encrypted key that unwraps to a key of the wrong length, or is of no length that wrapping gives.
#[test]
fn refuses_encrypted_keys() {
    let recipient = JweDecryptionKey::generate().unwrap().for_algorithm(KeyManagement::EcdhEsA256Kw);
    let make = |enc| encrypt(b"x", &recipient.jwk("k"), enc, &PartyInfo::default()).unwrap();
    let long = make(ContentEncryption::A256Gcm);
    let parts: Vec<&str> = long.split('.').collect();
    for wrong in ["AA", "AAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA", &"A".repeat(4096)] {
        let changed = [parts[0], wrong, parts[2], parts[3], parts[4]].join(".");
        assert_eq!(decrypt(&changed, &recipient, L).unwrap_err().code(), "jwe_decrypt", "{wrong}");
    }
}

#[test]
fn rfc7520_section_5_5() {
    let recipient = key("r_kHyZ-a06rmxM3yESK84r1otSg-aQcVStkRhA-iCM8");
    let jwe = "eyJhbGciOiJFQ0RILUVTIiwia2lkIjoibWVyaWFkb2MuYnJhbmR5YnVja0BidWNrbGFuZC5leGFtcGxlIiwiZXBrIjp7Imt0eSI6IkVDIiwiY3J2IjoiUC0yNTYiLCJ4IjoibVBVS1RfYkFXR0hJaGcwVHBqanFWc1AxclhXUXVfdndWT0hIdE5rZFlvQSIsInkiOiI4QlFBc0ltR2VBUzQ2ZnlXdzVNaFlmR1RUMElqQnBGdzJTUzM0RHY0SXJzIn0sImVuYyI6IkExMjhDQkMtSFMyNTYifQ..yc9N8v5sYyv3iGQT926IUg.BoDlwPnTypYq-ivjmQvAYJLb5Q6l-F3LIgQomlz87yW4OPKbWE1zSTEFjDfhU9IPIOSA9Bml4m7iDFwA-1ZXvHteLDtw4R1XRGMEsDIqAYtskTTmzmzNa-_q4F_evAPUmwlO-ZG45Mnq4uhM1fm_D9rBtWolqZSF3xGNNkpOMQKF1Cl8i8wjzRli7-IXgyirlKQsbhhqRzkv8IcY6aHl24j03C-AR2le1r7URUhArM79BY8soZU0lzwI-sD5PZ3l4NDCCei9XkoIAfsXJWmySPoeRb2Ni5UZL4mYpvKDiwmyzGd65KqVw7MsFfI_K767G9C9Azp73gKZD0DyUn1mn0WW5LmyX_yJ-3AROq8p1WZBfG-ZyJ6195_JGG2m9Csg.WCCkNa-x4BeB9hIDIfFuhg";
    let (header, payload) = decrypt(jwe, &recipient, L).unwrap();
    assert_eq!(
        (header.enc, header.kid.as_deref()),
        (ContentEncryption::A128CbcHs256, Some("meriadoc.brandybuck@buckland.example"))
    );
    assert!(payload.starts_with(b"You can trust us to stick with you"));
}

/// Compressed content (RFC 7520 section 5.9) is refused before it is decrypted: a bomb never unpacks.
#[test]
fn compression_is_refused() {
    let recipient = JweDecryptionKey::generate().unwrap();
    let bomb = crate::encoding::deflate::raw_compress(&vec![0; 64 << 20]);
    let jwe = encrypt(&bomb, &recipient.jwk("k"), ContentEncryption::A128Gcm, &PartyInfo::default()).unwrap();
    let (header, rest) = jwe.split_once('.').unwrap();
    let mut header: Value = serde_json::from_slice(&base64url::decode(header).unwrap()).unwrap();
    header["zip"] = json!("DEF");
    let bomb = format!("{}.{rest}", base64url::encode(header.to_string().as_bytes()));
    assert!(bomb.len() < L.token_bytes);
    assert_eq!(decrypt(&bomb, &recipient, L).unwrap_err().code(), "jwe_zip");
}

/// Password-based encryption is refused by its name; whatever `p2c` says is never counted.
#[test]
fn iterations_of_a_sender_are_refused() {
    let recipient = JweDecryptionKey::generate().unwrap();
    for p2c in [1_u64, 8192, u64::MAX] {
        let header = json!({"alg": "PBES2-HS512+A256KW", "p2s": "8Q1SzinasR3xchYz6ZZcHA", "p2c": p2c, "enc": "A128CBC-HS256"});
        let header = base64url::encode(header.to_string().as_bytes());
        let jwe = format!("{header}.AAAA.AAAAAAAAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(decrypt(&jwe, &recipient, L).unwrap_err().code(), "jwe_alg");
    }
}
