use super::*;

const LIST: &str = "https://example.com/credentials/status/3";
/// The specification's example: 16 KiB of zeros.
const EMPTY: &str = "uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA";

fn credential(bits: &Bitstring, purposes: &[StatusPurpose]) -> Value {
    let input = ListCredentialInput {
        id: LIST,
        issuer: "did:example:12345",
        purposes,
        valid_from: UnixTime::from_secs(1_617_632_860),
        valid_until: Some(UnixTime::from_secs(1_700_000_000)),
        ttl_secs: Some(300),
    };
    list_credential(&input, bits).unwrap()
}

fn read(credential: &Value) -> Result<StatusList> {
    StatusList::from_verified_credential(credential, &Limits::DEFAULT)
}

#[test]
fn example_of_the_specification() {
    let bits = Bitstring::decode(EMPTY, &Limits::DEFAULT).unwrap();
    assert_eq!(bits.len_bits(), 131_072);
    assert!(bits.as_bytes().iter().all(|byte| *byte == 0));
    let entry = serde_json::json!({
        "id": "https://example.com/credentials/status/3#94567",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "94567",
        "statusListCredential": LIST
    });
    let entry = StatusEntry::parse(&entry).unwrap();
    let example = serde_json::json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": LIST,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": "did:example:12345",
        "validFrom": "2021-04-05T14:27:40Z",
        "credentialSubject": {
            "id": "https://example.com/status/3#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": EMPTY
        }
    });
    let list = read(&example).unwrap();
    let outcome = list.status(&entry).unwrap();
    assert!(outcome.valid && outcome.message == "unset" && !outcome.forbids_acceptance());
    assert_eq!((list.id(), list.issuer()), (Some(LIST), Some("did:example:12345")));
}

#[test]
fn first_entry_is_the_left_most_bit() {
    let mut bits = Bitstring::new(0, StatusSize::ONE).unwrap();
    bits.set(0, StatusSize::ONE, 1).unwrap();
    bits.set(10, StatusSize::ONE, 1).unwrap();
    assert_eq!(bits.as_bytes()[..3], [0x80, 0x20, 0]);
    let three = StatusSize::new(3).unwrap();
    let mut bits = Bitstring::new(0, three).unwrap();
    assert_eq!(bits.len_bits(), 3 * 131_072);
    // Crosses a byte: bits 6, 7 and 8 are 1, 1, 0.
    bits.set(2, three, 6).unwrap();
    assert_eq!(bits.as_bytes()[..2], [0b11, 0]);
    assert_eq!(
        (bits.get(1, three).unwrap(), bits.get(2, three).unwrap(), bits.get(3, three).unwrap()),
        (0, 6, 0)
    );
    bits.set(2, three, 1).unwrap();
    assert_eq!(bits.as_bytes()[..2], [0, 0x80]);
    assert_eq!(bits.set(2, three, 8).unwrap_err().code(), "status_too_large");
}

#[test]
fn a_million_entries_of_every_purpose() {
    for purpose in ["revocation", "suspension", "refresh", "message", "theirs"].map(StatusPurpose::from) {
        let mut bits = Bitstring::new(1_000_000, StatusSize::ONE).unwrap();
        for index in (0..1_000_000).step_by(7919) {
            bits.set(index, StatusSize::ONE, 1).unwrap();
        }
        let list = read(&credential(&bits, std::slice::from_ref(&purpose))).unwrap();
        assert_eq!(*list.bits(), bits);
        for (index, set) in [(0, true), (1, false), (7919, true), (999_999, false)] {
            let entry = StatusEntry::new(purpose.clone(), index, LIST);
            let outcome = list.status(&entry).unwrap();
            assert_eq!((outcome.valid, outcome.value, outcome.message == "set"), (!set, u64::from(set), set));
            let harmless = matches!(purpose, StatusPurpose::Refresh | StatusPurpose::Message);
            assert_eq!(outcome.forbids_acceptance(), set && !harmless);
        }
        let beyond = StatusEntry::new(purpose, 1_000_000, LIST);
        assert_eq!(list.status(&beyond).unwrap_err().code(), "bitstring_range");
    }
}

#[test]
fn messages_of_two_bits() {
    let size = StatusSize::new(2).unwrap();
    let mut bits = Bitstring::new(200_000, size).unwrap();
    bits.set(150_000, size, 2).unwrap();
    let mut entry = StatusEntry::new(StatusPurpose::Message, 150_000, LIST);
    entry.size = size;
    assert_eq!(entry.to_value().unwrap_err().code(), "bitstring_messages");
    for (status, message) in ["pending_review", "accepted", "rejected", "undefined"].into_iter().enumerate() {
        entry
            .messages
            .push(StatusMessage { status: u64::try_from(status).unwrap(), message: message.into() });
    }
    entry.references.push("https://example.org/status-dictionary/".into());
    let value = entry.to_value().unwrap();
    assert_eq!(value["statusMessage"][2], serde_json::json!({"status": "0x2", "message": "rejected"}));
    let credential_with = serde_json::json!({"credentialStatus": [value]});
    assert_eq!(StatusEntry::of_credential(&credential_with).unwrap(), [entry.clone()]);
    let list = read(&credential(&bits, &[StatusPurpose::Revocation, StatusPurpose::Message])).unwrap();
    let outcome = list.status(&entry).unwrap();
    assert_eq!((outcome.value, outcome.valid, outcome.message), (2, false, "rejected"));
    // The same bits are too few entries of four bits.
    let mut bits = Bitstring::new(131_072, size).unwrap();
    bits.set(0, size, 1).unwrap();
    assert_eq!(bits.get(0, StatusSize::new(4).unwrap()).unwrap_err().code(), "bitstring_length");
}

#[test]
fn refuses_lists() {
    let good = credential(&Bitstring::new(0, StatusSize::ONE).unwrap(), &[StatusPurpose::Revocation]);
    assert!(read(&good).is_ok());
    let gzip = |bytes: usize| multibase_gzip(&vec![0; bytes]);
    let cases = [
        ("/type", serde_json::json!(["VerifiableCredential"]), "bitstring_list"),
        ("/type", serde_json::json!(1), "bitstring_list"),
        ("/id", serde_json::json!(1), "bitstring_list"),
        ("/validUntil", serde_json::json!("tomorrow"), "bitstring_list"),
        ("/credentialSubject", serde_json::json!([]), "bitstring_list"),
        ("/credentialSubject/type", serde_json::json!("StatusList2021"), "bitstring_list"),
        ("/credentialSubject/statusPurpose", serde_json::json!([]), "bitstring_list"),
        ("/credentialSubject/statusPurpose", serde_json::json!(null), "bitstring_list"),
        ("/credentialSubject/ttl", serde_json::json!(-1), "bitstring_list"),
        ("/credentialSubject/encodedList", serde_json::json!(7), "bitstring_list"),
        ("/credentialSubject/encodedList", serde_json::json!(&EMPTY[1..]), "bitstring_encoding"),
        (
            "/credentialSubject/encodedList",
            serde_json::json!(format!("z{}", &EMPTY[1..])),
            "bitstring_encoding",
        ),
        ("/credentialSubject/encodedList", serde_json::json!("uAAAA"), "bitstring_encoding"),
        ("/credentialSubject/encodedList", serde_json::json!(format!("{EMPTY}AAAA")), "bitstring_encoding"),
        ("/credentialSubject/encodedList", serde_json::json!(gzip(16 * 1024 - 1)), "bitstring_length"),
        ("/credentialSubject/encodedList", serde_json::json!(gzip(0)), "bitstring_length"),
        ("/credentialSubject/encodedList", serde_json::json!(gzip(5 * 1024 * 1024)), "deflate_too_large"),
    ];
    for (path, value, code) in cases {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        assert_eq!(read(&bad).unwrap_err().code(), code, "{path}");
    }
    let entry = StatusEntry::new(StatusPurpose::Suspension, 1, LIST);
    assert_eq!(read(&good).unwrap().status(&entry).unwrap_err().code(), "bitstring_purpose");
    let entry = StatusEntry::new(StatusPurpose::Revocation, 1, "https://example.com/other");
    assert_eq!(read(&good).unwrap().status(&entry).unwrap_err().code(), "bitstring_list_id");
}

fn multibase_gzip(bytes: &[u8]) -> String {
    crate::encoding::multibase::encode_base64url(&crate::encoding::deflate::gzip_compress(bytes))
}

#[test]
fn refuses_entries() {
    let good = StatusEntry::new(StatusPurpose::Revocation, 5, LIST).to_value().unwrap();
    assert_eq!(StatusEntry::parse(&good).unwrap().index, 5);
    let one = serde_json::json!({"status": "0x0", "message": "a"});
    let cases = [
        ("type", serde_json::json!("Other"), "status_mechanism"),
        ("type", serde_json::json!(null), "bitstring_entry"),
        ("id", serde_json::json!(LIST), "bitstring_entry"),
        ("id", serde_json::json!("relative"), "bitstring_entry"),
        ("statusPurpose", serde_json::json!(["revocation"]), "bitstring_entry"),
        ("statusPurpose", serde_json::json!(""), "bitstring_entry"),
        ("statusListIndex", serde_json::json!(5), "bitstring_entry"),
        ("statusListIndex", serde_json::json!("-5"), "bitstring_entry"),
        ("statusListIndex", serde_json::json!("+5"), "bitstring_entry"),
        ("statusListIndex", serde_json::json!("0x5"), "bitstring_entry"),
        ("statusListIndex", serde_json::json!("5.0"), "bitstring_entry"),
        ("statusListIndex", serde_json::json!(""), "bitstring_entry"),
        ("statusListCredential", serde_json::json!("not a url"), "bitstring_entry"),
        ("statusListCredential", serde_json::json!(null), "bitstring_entry"),
        ("statusSize", serde_json::json!(0), "bitstring_size"),
        ("statusSize", serde_json::json!(17), "bitstring_size"),
        ("statusSize", serde_json::json!("1"), "bitstring_entry"),
        ("statusSize", serde_json::json!(2), "bitstring_entry"),
        ("statusMessage", serde_json::json!([one]), "bitstring_entry"),
        ("statusMessage", serde_json::json!([one, one]), "bitstring_entry"),
        ("statusMessage", serde_json::json!([one, {"status": "1", "message": "b"}]), "bitstring_entry"),
        ("statusMessage", serde_json::json!([one, {"status": "0x2", "message": "b"}]), "bitstring_entry"),
        ("statusReference", serde_json::json!(["relative"]), "bitstring_entry"),
    ];
    for (member, value, code) in cases {
        let mut bad = good.clone();
        bad[member] = value;
        assert_eq!(StatusEntry::parse(&bad).unwrap_err().code(), code, "{member}");
    }
    // A huge index is well formed, and outside every list.
    let mut far = good.clone();
    far["statusListIndex"] = serde_json::json!("9".repeat(40));
    let list = Bitstring::new(0, StatusSize::ONE).unwrap();
    let entry = StatusEntry::parse(&far).unwrap();
    assert_eq!(list.get(entry.index, entry.size).unwrap_err().code(), "bitstring_range");
    assert!(StatusEntry::of_credential(&serde_json::json!({})).unwrap().is_empty());
    let null = serde_json::json!({"credentialStatus": null});
    assert_eq!(StatusEntry::of_credential(&null).unwrap_err().code(), "bitstring_entry");
}

#[test]
fn current_and_cached() {
    let bits = Bitstring::new(0, StatusSize::ONE).unwrap();
    let list = read(&credential(&bits, &[StatusPurpose::Revocation])).unwrap();
    let at = UnixTime::from_secs;
    assert_eq!(list.check_current(at(1_617_632_859)).unwrap_err().code(), "bitstring_not_yet");
    assert!(list.check_current(at(1_617_632_860)).is_ok() && list.check_current(at(1_700_000_000)).is_ok());
    assert_eq!(list.check_current(at(1_700_000_001)).unwrap_err().code(), "bitstring_expired");
    assert_eq!(list.cache_until(at(1_650_000_000), 60), at(1_650_000_300));
    assert_eq!(list.cache_until(at(1_699_999_999), 60), at(1_700_000_000));
    assert_eq!(Bitstring::from_bytes(vec![0; 100]).unwrap_err().code(), "bitstring_length");
    assert_eq!(Bitstring::new(1 << 40, StatusSize::ONE).unwrap_err().code(), "bitstring_entries");
}
