//! Token Status List: the test vectors of draft-ietf-oauth-status-list ("Test vectors for Status List encoding" and the
//! example of a Status List Token, repository oauth-wg/draft-ietf-oauth-status-list 2fb61cd), and every refusal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use carekey_core::UnixTime;
use carekey_core::encoding::base64url;
use carekey_core::error::Result;
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jws;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::status::token_status_list::{
    EntryBits, Status, StatusList, StatusListTokenInput, UnverifiedStatusListToken, VerifiedStatusList, sign,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

mod draft {
    //! Of 2^20 entries each, all that are not listed are 0.

    pub(super) const ONE: &[(u64, u8)] = &[
        (0, 1),
        (1993, 1),
        (25460, 1),
        (159495, 1),
        (495669, 1),
        (554353, 1),
        (645645, 1),
        (723232, 1),
        (854545, 1),
        (934534, 1),
        (1000345, 1),
    ];
    pub(super) const ONE_LST: &str = concat!(
        "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAA",
        "AAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb",
    );
    pub(super) const TWO: &[(u64, u8)] = &[
        (0, 1),
        (1993, 2),
        (25460, 1),
        (159495, 3),
        (495669, 1),
        (554353, 1),
        (645645, 2),
        (723232, 1),
        (854545, 1),
        (934534, 2),
        (1000345, 3),
    ];
    pub(super) const TWO_LST: &str = concat!(
        "eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AEB5WwIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAID0ugQAAAAAAAAAAAAAAAAAQG12SgAAAAAAAAAAAAAAAAAAAAAAAAAAAOCSIQEAAAAAAAAAAAAAAAAA",
        "AAAAAAD8ExIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwJEuAQAAAAAAAAAAAAAAAAAAAAAAAMB9SwIAAAAAAAAA",
        "AAAAAAAAAACoYUoAAAAAAAAAAAAAAEBqH81gAQw",
    );
    pub(super) const FOUR: &[(u64, u8)] = &[
        (0, 1),
        (1993, 2),
        (35460, 3),
        (459495, 4),
        (595669, 5),
        (754353, 6),
        (845645, 7),
        (923232, 8),
        (924445, 9),
        (934534, 10),
        (1004534, 11),
        (1000345, 12),
        (1030203, 13),
        (1030204, 14),
        (1030205, 15),
    ];
    pub(super) const FOUR_LST: &str = concat!(
        "eNrt0EENgDAQADAIHwImkIIEJEwCUpCEBBQRHOy35Li1EjoOQGabAgAAAAAAAAAAAAAAAAAAACC1SQEAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABADrsCAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADoxaEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIIoCgAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACArpwKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAGhqVkAz",
        "lwIAAAAAiGVRAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABx3AoAgLpVAQAAAAAAAAAAAAAAwM89rwMAAAAAAAAA",
        "AAjsA9xMBMA",
    );
    /// Entry `n` of this list has the status `n`.
    pub(super) const EIGHT: &[u64] = &[
        233478, 52451, 576778, 513575, 468106, 292632, 214947, 182323, 884834, 66653, 62489, 196493, 458517,
        487925, 55649, 416992, 879796, 462297, 942059, 583408, 13628, 334829, 886286, 713557, 582738, 326064,
        451545, 705889, 214350, 194502, 796765, 202828, 752834, 721327, 554740, 91122, 963483, 261779,
        793844, 165255, 614839, 758403, 403258, 145867, 96100, 477937, 606890, 167335, 488197, 211815,
        797182, 582952, 950870, 765108, 341110, 776325, 745056, 439368, 559893, 149741, 358903, 513405,
        342679, 969429, 795775, 566121, 460566, 680070, 117310, 480348, 67319, 661552, 841303, 561493,
        138807, 442463, 659927, 445910, 1046963, 829700, 962282, 299623, 555493, 292826, 517215, 551009,
        898490, 837603, 759161, 459948, 290102, 1034977, 190650, 98810, 229950, 320531, 335506, 885333,
        133227, 806915, 800313, 981571, 527253, 24077, 240232, 559572, 713399, 233941, 615514, 911768,
        331680, 951527, 6805, 552366, 374660, 223159, 625884, 417146, 320527, 784154, 338792, 1199, 679804,
        1024680, 40845, 234603, 761225, 644903, 502167, 121477, 505144, 165165, 179628, 1019195, 145149,
        263738, 269256, 996739, 346296, 555864, 887384, 444173, 421844, 653716, 836747, 783119, 918762,
        946835, 253764, 519895, 471224, 134272, 709016, 44112, 482585, 461829, 15080, 148883, 123467, 480125,
        141348, 65877, 692958, 148598, 499131, 584009, 1017987, 449287, 277478, 991262, 509602, 991896,
        853666, 399318, 197815, 203278, 903979, 743015, 888308, 862143, 979421, 113605, 206397, 127113,
        844358, 711569, 229153, 521470, 401793, 398896, 940810, 293983, 884749, 384802, 584151, 970201,
        523882, 158093, 929312, 205329, 106091, 30949, 195586, 495723, 348779, 852312, 1018463, 1009481,
        448260, 841042, 122967, 345269, 794764, 4520, 818773, 556171, 954221, 598210, 887110, 1020623,
        324632, 398244, 622241, 456551, 122648, 127837, 657676, 119884, 105156, 999897, 330160, 119285,
        168005, 389703, 143699, 142524, 493258, 846778, 251420, 516351, 83344, 171931, 879178, 663475,
        546865, 428362, 658891, 500560, 557034, 830023, 274471, 629139, 958869, 663071, 152133, 19535,
    ];
    pub(super) const EIGHT_LST: &str = concat!(
        "eNrt0WOQM2kYhtGsbdu2bdu2bdu2bdu2bdu2jVnU1my-SWYm6U5enFPVf7ue97orFYAo7CQBAACQuuckAABStqUEAAAAAAAA",
        "tN6wEgAE71QJAAAAAIrwhwQAAAAAAdtAAgAAAAAAACLwkAQAAAAAAAAAAACUaFcJAACAeJwkAQAAAAAAAABQvL4kAAAAWmJw",
        "CQAAAAAAAAjAwBIAAAB06ywJoDKQBARpfgkAAAAAAAAAAAAAAAAAAACo50sJAAAAAAAAAOiRcSQAAAAAgAJNKgEAAG23mgQA",
        "AAAAAECw3pUAQvegBAAAAAAAAADduE4CAAAAyjSvBAAQiw8koHjvSABAb-wlARCONyVoxtMSZOd0CQAAAOjWDRKQmLckAAAA",
        "AACysLYEQGcnSAAAAAAQooUlAABI15kSAIH5RAIgLB9LABC4_SUgGZNIAABAmM6RoLbTJIASzCIBAEAhfpcAAAAAAABquk8C",
        "AAAAAAAAaJl9SvvzBOICAFWmkIBgfSgBAAAANOgrCQAAAAAAAADStK8EAAC03gASAAAAAAAAAADFWFUCAAAAMjOaBEADHpYA",
        "QjCIBADduFwCAAAAAGitMSSI3BUSAECOHpAA6IHrJQAAAAAAsjeVBAAAKRpVAorWvwQAAAAAAAAAkKRtJAAAAAAAgCbcLAF0",
        "bXUJAAAAoF02kYDg7CYBAAAAAEB6NpQAAAAAAAAAAAAAAEr1uQQAAF06VgIAAAAAAAAAqDaeBAAQqgMkAAAAAABogQMlAAAA",
        "AAAa87MEAAAQiwslAAAAAAAAAAAAAAAAMrOyBAAAiekv-hcsY0Sgne6QAAAAAAAgaUtJAAAAAAAAAAAAAAAAAAAAAAAAAADw",
        "t-07vjVkAAAAgDy8KgFAUEaSAAAAAJL3vgQAWdhcAgAAoBHDSUDo1pQAAACI2o4SAABZm14CALoyuwQAAPznGQkgZwdLAAAQ",
        "ukclAAAAAAAAAAAAgKbMKgEAAAAAAAAAAAAAAAAAAECftpYAAAAAAAAAAAAACnaXBAAAAADk7iMJAAAAAAAAAABqe00CAnGb",
        "BBG4TAIAgFDdKgFAXCaWAAAAAAAAAAAAAAAAAKAJQwR72XbGAQAAAKAhh0sAAAAAAABQgO8kAAAAAAAAAAAAACAaM0kAAAC5",
        "W0QCAIJ3mAQAxGwxCQAA6nhSAsjZBRIAANEbWQIAAAAAaJE3JACAwA0qAUBIVpKAlphbAiAPp0iQnKEkAAAAAAAgBP1KAAAA",
        "dOl4CQAAAAAAAPjLZBIAAG10RtrPm8_CAEBMTpYAAAAAAIjQYBL8z5QSAAAAAEDYPpUAACAsj0gAAADQkHMlAAjHDxIA0Lg9",
        "JQAAgHDsLQEAAABAQS6WAAAAgLjNFs2l_RgLAIAEfCEBlGZZCQAAaIHjJACgtlskAAAozb0SAAAAVFtfAgAAAAAAAAAAAAAA",
        "AAAAAAAAAKDDtxIAAAAAVZaTAKB5W0kAANCAsSUgJ0tL0GqHSNBbL0gAZflRAgCARG0kQXNmlgCABiwkAQAAAEB25pIAAAAA",
        "AAAAAAAAoFh9SwAAAAAAADWNmOSrpjFsEoaRgDKcF9Q1dxsEAAAAAAAAAAAAAAAAgPZ6SQIAAAAAAAAAgChMLgEAAAAAAAAA",
        "qZlQAsK2qQQAAAAAAAD06XUJAAAAqG9bCQAAgLD9IgEAAAAAAAAAAAAAAAAAAEBNe0gAAAAAAAAAAEBPHSEBAAAAlOZtCYA4",
        "fS8B0GFRCQAo0gISAOTgNwmC840EAAAAAAAAAAAAAAAAAAAAUJydJfjXPBIAAAAAAAAAAAAAAABk6WwJAAAAAAAAAAAAAAAA",
        "qG8UCQAAgPpOlAAAIA83SQAANWwc9HUjGAgAAAAAAACAusaSAAAAAAAAAAAAAAAAAAAAAAAAAAAAqHKVBACQjxklAAAAAAAA",
        "AKBHxpQAAAAAACBME0lAdlaUAACyt7sEAAAA0Nl0EgAAAAAAAAAAAABA-8wgAQAAAAAAAKU4SgKgUtlBAgAAAAAAAAAAgMCM",
        "LwEE51kJICdzSgCJGl2CsE0tAQAA0L11JQAAAAAAAAjUOhIAAAAAAAAAAAAAAGTqeQkAAAAAAAAAAAAAKM8SEjTrJwkAAAAA",
        "AACocqQEULgVJAAAACjDUxJUKgtKAAAAqbpRAgCA0n0mAQAAAABAGzwmAUCTLpUAAAAAAAAAAEjZNRIAAAAAAAAAAAAAAAAA",
        "AAAA8I-vJaAlhpQAAAAAAHrvzjJ-OqCuuVlLAojP8BJAr70sQZVDJYAgXS0BAAAAAAAAAAAAtMnyEgAAAAAAFONKCQAAAAAA",
        "AADorc0kAAAAAAAAgDqOlgAAAAAAAAAAAADIwv0SAAAAAAAAAAAAAADBuV0CIFVDSwAAAABAAI6RAAAAAGIwrQSEZAsJAABo",
        "uRclAAAAAKDDrxIAAAA0bkkJgFiMKwEAAAAAAHQyhwRk7h4JAAAAAAAAAAAgatdKAACUYj0JAAAAAAAAAAAAQnORBLTFJRIA",
        "AAAAkIaDJAAAAJryngQAAAAAAAAAAAA98oQEAAAAAAAAAEC2zpcgWY9LQKL2kwAgGK9IAAAAAPHaRQIAAAAAAAAAAADIxyoS",
        "AAAAAAAAAAAAAADQFotLAECz_gQ1PX-B",
    );
    /// The example of a Status List Token, signed.
    pub(super) const TOKEN: &str = concat!(
        "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEyIiwidHlwIjoic3RhdHVzbGlzdCtqd3QifQ.eyJleHAiOjIyOTE3MjAxNzAsImlhd",
        "CI6MTY4NjkyMDE3MCwiaXNzIjoiaHR0cHM6Ly9leGFtcGxlLmNvbSIsInN0YXR1c19saXN0Ijp7ImJpdHMiOjEsImxzdCI6I",
        "mVOcmJ1UmdBQWhjQlhRIn0sInN1YiI6Imh0dHBzOi8vZXhhbXBsZS5jb20vc3RhdHVzbGlzdHMvMSIsInR0bCI6NDMyMDB9.",
        "2lKUUNG503R9htu4aHAYi7vjmr3sgApbfoDvPrl65N3URUO1EYqqQl45Jfzd-Av4QzlKa3oVALpLwOEUOq-U_g",
    );
}

/// The key of the draft's examples.
fn draft_key() -> carekey_core::key::PublicKey {
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "x": "I3HWm_0Ds1dPMI-IWmf4mBmH-YaeAVbPVu7vB27CxXo",
        "y": "6N_d5Elj9bs1htgV3okJKIdbHEpkgTmAluYKJemzn1M"
    });
    Jwk::from_value(&jwk).unwrap().public_key().unwrap()
}

fn check(bits: EntryBits, entries: &[(u64, u8)], lst: &str) {
    let read = StatusList::from_lst(bits, lst, &Limits::DEFAULT).unwrap();
    assert_eq!(read.len(), 1 << 20);
    let mut made = StatusList::new(bits, 1 << 20);
    for (idx, value) in entries {
        assert_eq!(read.get(*idx).unwrap().value(), *value);
        made.set(*idx, Status::from(*value)).unwrap();
    }
    assert_eq!(made, read);
    assert_eq!(StatusList::from_lst(bits, &made.to_lst(), &Limits::DEFAULT).unwrap(), read);
}

#[test]
fn test_vectors_of_the_draft() {
    check(EntryBits::One, draft::ONE, draft::ONE_LST);
    check(EntryBits::Two, draft::TWO, draft::TWO_LST);
    check(EntryBits::Four, draft::FOUR, draft::FOUR_LST);
    let eight: Vec<_> = draft::EIGHT.iter().copied().zip(0_u8..=255).collect();
    assert_eq!(eight.len(), 256);
    check(EntryBits::Eight, &eight, draft::EIGHT_LST);
}

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const URI: &str = "https://example.com/statuslists/1";

fn parse(token: &str) -> Result<UnverifiedStatusListToken> {
    UnverifiedStatusListToken::parse(token, &Limits::DEFAULT)
}

#[test]
fn token_of_the_draft() {
    let read = parse(draft::TOKEN).unwrap();
    assert_eq!((read.uri(), read.issuer()), (URI, Some("https://example.com")));
    assert_eq!(read.header().kid.as_deref(), Some("12"));
    let verify = |now| read.verify(&draft_key(), URI, UnixTime::from_secs(now), 60, &Limits::DEFAULT);
    let verified = verify(1_700_000_000).unwrap();
    assert_eq!(verified.issued_at(), UnixTime::from_secs(1_686_920_170));
    assert_eq!(verified.expires_at(), Some(UnixTime::from_secs(2_291_720_170)));
    assert_eq!(verified.list().len(), 16);
    assert_eq!(verify(2_291_720_169).map(|_| ()), Ok(()));
    assert_eq!(verify(2_291_720_170).unwrap_err().code(), "status_list_expired");
    assert_eq!(verify(1_686_920_109).unwrap_err().code(), "status_list_issued_in_future");
}

fn key() -> SoftwareKey {
    SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap()
}

fn input() -> StatusListTokenInput<'static> {
    StatusListTokenInput {
        uri: URI,
        issued_at: NOW,
        expires_at: Some(NOW.plus(3600)),
        ttl: Some(300),
        issuer: Some("https://example.com"),
        aggregation_uri: Some("https://example.com/statuslists"),
    }
}

fn verified(input: &StatusListTokenInput<'_>) -> VerifiedStatusList {
    let key = key();
    let mut list = StatusList::new(EntryBits::Two, 100);
    list.set(7, Status::Revoked).unwrap();
    list.set(8, Status::Suspended).unwrap();
    let header = json!({"kid": "k"}).as_object().unwrap().clone();
    let token = parse(&sign(&list, input, header, &key).unwrap()).unwrap();
    token.verify(key.public_key(), URI, NOW, 60, &Limits::DEFAULT).unwrap()
}

#[test]
fn signed_and_verified() {
    let list = verified(&input());
    for (idx, status) in
        [(6, Status::Valid), (7, Status::Revoked), (8, Status::Suspended), (99, Status::Valid)]
    {
        assert_eq!(list.status_at(idx).unwrap(), status);
    }
    for idx in [100, 1 << 20, u64::MAX] {
        assert_eq!(list.status_at(idx).unwrap_err().code(), "status_index_out_of_range");
    }
    let zero = StatusListTokenInput { ttl: Some(0), ..input() };
    let refused = sign(&StatusList::new(EntryBits::One, 8), &zero, Map::new(), &key());
    assert_eq!(refused.unwrap_err().code(), "status_list_ttl");
}

#[test]
fn a_copy_never_outlives_ttl_exp_or_the_readers_bound() {
    let until = |ttl, exp: Option<i64>, fetched: i64, max_age| {
        let input = StatusListTokenInput { ttl, expires_at: exp.map(|secs| NOW.plus(secs)), ..input() };
        verified(&input).cache_until(NOW.plus(fetched), max_age).since(NOW)
    };
    assert_eq!(until(Some(300), Some(3600), 0, 900), 300);
    assert_eq!(until(Some(300), Some(3600), 10, 60), 70);
    assert_eq!(until(None, Some(3600), 0, 900), 900);
    assert_eq!(until(None, Some(3600), 3500, 900), 3600);
    assert_eq!(until(Some(7200), Some(3600), 0, 90_000), 3600);
    assert_eq!(until(None, None, 5, 900), 905);
    assert_eq!(until(Some(300), None, 0, 0), 0);
    assert!(until(Some(u64::from(u32::MAX)), None, 0, u64::MAX) > 4_000_000_000);
    let list = verified(&input());
    assert!(list.check_fresh(NOW, 900, NOW.plus(299)).is_ok());
    assert_eq!(list.check_fresh(NOW, 900, NOW.plus(300)).unwrap_err().code(), "status_list_stale");
}

#[test]
fn refused_tokens() {
    let key = key();
    let good = json!({
        "sub": URI, "iat": NOW.as_secs(), "exp": NOW.as_secs() + 3600, "ttl": 300,
        "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}
    });
    let judge = |header: Value, claims: &Value| {
        let header = header.as_object().unwrap().clone();
        let token = jws::sign(header, claims.to_string().as_bytes(), &key).unwrap();
        parse(&token)?.verify(key.public_key(), URI, NOW, 60, &Limits::DEFAULT)
    };
    let typ = || json!({"typ": "statuslist+jwt"});
    assert!(judge(typ(), &good).is_ok());
    assert!(judge(json!({"typ": "application/statuslist+jwt"}), &good).is_ok());
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let bomb = StatusList::new(EntryBits::Eight, Limits::DEFAULT.inflated_bytes + 1).to_lst();
    for (code, claims) in [
        ("status_list_claims", without("sub")),
        ("status_list_claims", with("sub", json!(5))),
        ("status_list_claims", without("iat")),
        ("jwt_claim", with("iat", json!("x"))),
        ("jwt_claim", with("exp", json!(null))),
        ("jwt_claim", with("ttl", json!("300"))),
        ("status_list_claims", with("ttl", json!(0))),
        ("status_list_claims", with("ttl", json!(-1))),
        ("status_list_claims", without("status_list")),
        ("status_list_claims", with("status_list", json!([]))),
        ("status_list_claims", with("status_list", json!({"bits": 1}))),
        ("status_list_claims", with("status_list", json!({"bits": 1, "lst": 5}))),
        ("status_list_claims", with("status_list", json!({"lst": "eNrbuRgAAhcBXQ"}))),
        ("status_list_claims", with("status_list", json!({"bits": "1", "lst": "eNrbuRgAAhcBXQ"}))),
        ("status_list_bits", with("status_list", json!({"bits": 3, "lst": "eNrbuRgAAhcBXQ"}))),
        ("status_list_bits", with("status_list", json!({"bits": 16, "lst": "eNrbuRgAAhcBXQ"}))),
        ("base64url", with("status_list", json!({"bits": 1, "lst": "eNrbuRgAAhcBXQ=="}))),
        ("deflate", with("status_list", json!({"bits": 1, "lst": ""}))),
        ("deflate", with("status_list", json!({"bits": 1, "lst": base64url::encode(b"raw bytes")}))),
        ("deflate", with("status_list", json!({"bits": 1, "lst": "eNrbuRgAAhcBXA"}))),
        ("deflate_too_large", with("status_list", json!({"bits": 8, "lst": bomb}))),
        ("status_list_subject", with("sub", json!("https://example.com/statuslists/2"))),
        ("status_list_expired", with("exp", json!(NOW.as_secs()))),
        ("status_list_issued_in_future", with("iat", json!(NOW.as_secs() + 61))),
    ] {
        assert_eq!(judge(typ(), &claims).map(|_| ()).unwrap_err().code(), code, "{claims}");
    }
    for header in [json!({}), json!({"typ": "JWT"}), json!({"typ": "dc+sd-jwt"})] {
        assert_eq!(judge(header, &good).unwrap_err().code(), "status_list_typ");
    }
    let token = sign(&StatusList::new(EntryBits::One, 8), &input(), Map::new(), &key).unwrap();
    let other = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let refused = parse(&token).unwrap().verify(other.public_key(), URI, NOW, 60, &Limits::DEFAULT);
    assert_eq!(refused.unwrap_err().code(), "status_list_signature_invalid");
    let (header, rest) = token.split_once('.').unwrap();
    assert!(!header.is_empty());
    let none = base64url::encode(br#"{"alg":"none","typ":"statuslist+jwt"}"#);
    assert_eq!(parse(&format!("{none}.{rest}")).unwrap_err().code(), "alg_none");
    assert_eq!(parse(&"a".repeat(Limits::DEFAULT.token_bytes + 1)).unwrap_err().code(), "token_too_large");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A list behaves as an array of numbers, before and after packing.
    #[test]
    fn behaves_as_an_array(width in 0_u32..4, writes in prop::collection::vec((0_u64..200, any::<u8>()), 0..60)) {
        let bits = EntryBits::new(1 << width).unwrap();
        let mut list = StatusList::new(bits, 200);
        let mut model = [0_u8; 200];
        for (idx, value) in writes {
            let value = if width == 3 { value } else { value % (1 << (1 << width)) };
            list.set(idx, Status::from(value)).unwrap();
            model[usize::try_from(idx).unwrap()] = value;
        }
        let list = StatusList::from_lst(bits, &list.to_lst(), &Limits::DEFAULT).unwrap();
        for (idx, value) in (0..).zip(model) {
            prop_assert_eq!(list.get(idx).unwrap().value(), value);
        }
    }

    #[test]
    fn any_text_is_answered(text in "[A-Za-z0-9_.-]{0,200}", lst in "[A-Za-z0-9_-]{0,80}") {
        let _ = parse(&text);
        let _ = StatusList::from_lst(EntryBits::Two, &lst, &Limits::DEFAULT);
    }
}
