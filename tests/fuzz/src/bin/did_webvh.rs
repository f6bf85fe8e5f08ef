//! did:webvh: the identifier on the first line, its log on the others, witness proofs after an empty line.
#![no_main]

use carekey_core::did::webvh::{
    Location, OwnLog, VersionSelector, WebvhDid, WebvhUrl, resolve, uses_witnesses,
};
use carekey_core::limits::Limits;
use carekey_fuzz::NOW;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = WebvhUrl::parse(text);
    let _ = Location::parse(text);
    let (name, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (log, witness) = rest.split_once("\n\n").map_or((rest, None), |(log, witness)| (log, Some(witness)));
    let _ = uses_witnesses(log.as_bytes(), &Limits::DEFAULT);
    if let Ok(own) = OwnLog::open(log.as_bytes(), NOW, &Limits::DEFAULT) {
        // What opens is what stands in the log.
        assert!(own.did().is_ok() && own.document().is_ok());
    }
    let Ok(did) = WebvhDid::parse(name) else { return };
    let version = VersionSelector::default();
    let witness = witness.map(str::as_bytes);
    let _ = resolve(&did, &version, log.as_bytes(), witness, NOW, &Limits::DEFAULT);
});
