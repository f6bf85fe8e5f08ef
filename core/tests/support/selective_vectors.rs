//! What the published vectors of ecdsa-sd-2023 and bbs-2023 have in common: the transformation of the credential before
//! it is signed, and what is selected of it.

use std::collections::BTreeSet;

use carekey_core::UnixTime;
use carekey_core::did::DidUrl;
use carekey_core::encoding::date_time;
use carekey_core::format::data_integrity::rdfc::{self, HashAlgorithm};
use carekey_core::format::data_integrity::selective::{BaseData, Disclosure, Labelling, canonical_proof};
use carekey_core::format::data_integrity::{
    Contexts, ControllerPolicy, Cryptosuite, Evidence, Expectation, ProofOptions, ProofPurpose, jsonld,
    verify_base_proofs,
};
use serde_json::{Map, Value, json};

use super::vectors::Vectors;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_str().unwrap().as_bytes()).unwrap()
}

/// `{"dataType": "Map", "value": [[key, value]]}`, or the pairs alone, as the vectors write a map.
pub(crate) fn map(value: &Value) -> Vec<(Value, Value)> {
    let value = if value.is_array() { value } else { &value["value"] };
    serde_json::from_value(value.clone()).unwrap()
}

/// The proofs of the vectors are by nobody's issuer.
pub(crate) fn expectation() -> Expectation<'static> {
    Expectation {
        controller: ControllerPolicy::Any,
        ..Expectation::credential(UnixTime::from_secs(1_790_000_000))
    }
}

/// One folder of the vectors.
pub(crate) struct Folder<'v> {
    pub(crate) vectors: &'v Vectors,
    /// With its slash.
    pub(crate) path: String,
}

/// The credential of a folder, everything before the signature compared with what was published.
pub(crate) struct Transformed {
    pub(crate) contexts: Contexts,
    pub(crate) labelling: (Labelling, [u8; 32]),
    /// With the published base proof, which verifies.
    pub(crate) signed: Value,
    pub(crate) document: Value,
    pub(crate) evidence: Evidence,
    pub(crate) data: BaseData,
    pub(crate) mandatory: Vec<String>,
    pub(crate) selective: Vec<String>,
    /// The options that make the published proof again.
    pub(crate) options: ProofOptions,
}

impl Folder<'_> {
    pub(crate) fn file(&self, name: &str) -> Value {
        self.vectors.json(&format!("{}{name}.json", self.path))
    }

    /// `names`: the files of credential, mandatory and selective pointers; `mend` makes the published input that which
    /// everything else was made from.
    pub(crate) fn transformed(
        &self,
        suite: Cryptosuite,
        labelling: (Labelling, [u8; 32]),
        [unsigned, mandatory, selective]: [&str; 3],
        mend: impl FnOnce(&mut Value, &Value),
    ) -> Transformed {
        let contexts = Contexts::bundled().unwrap();
        let pointers = |name| -> Vec<String> { serde_json::from_value(self.vectors.json(name)).unwrap() };
        let (mandatory, selective) = (pointers(mandatory), pointers(selective));
        let signed = self.file("addSignedSDBase");
        let mut document = signed.clone();
        document.as_object_mut().unwrap().remove("proof");
        let mut published = self.vectors.json(unsigned);
        mend(&mut published, &document);
        assert_eq!(document, published);

        let quads = jsonld::to_quads(&document, &contexts).unwrap();
        let canonical = rdfc::canonicalize(&quads, HashAlgorithm::Sha256, &rdfc::Limits::DEFAULT).unwrap();
        assert_eq!(json!(canonical.lines), self.file("addBaseDocCanon"));
        let mut config: Map<String, Value> = self.file("addProofConfig").as_object().unwrap().clone();
        assert_eq!(config.remove("@context").as_ref(), document.get("@context"));
        let text = self.vectors.text(&format!("{}addProofConfigCanon.txt", self.path));
        assert_eq!(canonical_proof(&document, &config, &contexts).unwrap().trim_end(), text.trim_end());
        let (kind, hmac_key) = &labelling;
        let data = BaseData::of(&document, &config, (*kind, hmac_key), &mandatory, &contexts).unwrap();
        assert_eq!(json!(data.statements.lines), self.file("addBaseDocHMACCanon"));
        let labels = |lines: &[String]| {
            let words = lines.iter().flat_map(|line| line.split(' ')).filter(|word| word.starts_with("_:"));
            words.map(str::to_owned).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(labels(&data.statements.lines), canonical.labels.len());
        let transform = self.file("addBaseTransform");
        assert_eq!(json!(mandatory), transform["mandatoryPointers"]);
        let inside = |index: &usize| data.mandatory.contains(index);
        assert_eq!(map(&transform["mandatory"]), numbered(&data, inside));
        assert_eq!(map(&transform["nonMandatory"]), numbered(&data, |index| !inside(index)));
        let hashes = self.file("addHashData");
        assert_eq!(hex(&data.proof_hash), hashes["proofHash"]);
        assert_eq!(hex(&data.mandatory_hash), hashes["mandatoryHash"]);

        let mut evidence = Evidence::new();
        evidence.add_offline(&signed).unwrap();
        let verified = verify_base_proofs(&signed, &evidence, &expectation(), &contexts).unwrap();
        assert_eq!(verified.document(), &document);
        let method = DidUrl::parse(config["verificationMethod"].as_str().unwrap()).unwrap();
        let options = ProofOptions {
            created: Some(date_time::parse(config["created"].as_str().unwrap()).unwrap()),
            ..ProofOptions::new(suite, method, ProofPurpose::AssertionMethod)
        };
        Transformed { contexts, labelling, signed, document, evidence, data, mandatory, selective, options }
    }
}

/// The lines whose index is wanted, as pairs.
pub(crate) fn numbered(data: &BaseData, wanted: impl Fn(&usize) -> bool) -> Vec<(Value, Value)> {
    let lines = data.statements.lines.iter().enumerate().filter(|(index, _)| wanted(index));
    lines.map(|(index, line)| (index.into(), line.as_str().into())).collect()
}

impl Transformed {
    /// What a holder selects, compared with the published indexes and document.
    pub(crate) fn disclosed(&self, folder: &Folder<'_>) -> Disclosure {
        let labelling = (self.labelling.0, &self.labelling.1);
        let disclosure =
            Disclosure::of(&self.document, labelling, &self.mandatory, &self.selective, &self.contexts)
                .unwrap();
        let indexes = folder.file("derivedGroupIndexes");
        assert_eq!(json!(disclosure.combined), indexes["combinedIndexes"]);
        assert_eq!(json!(disclosure.mandatory), indexes["mandatoryIndexes"]);
        assert_eq!(json!(disclosure.selective), indexes["selectiveIndexes"]);
        let all: BTreeSet<usize> = (0..self.data.statements.lines.len()).collect();
        let rest: Vec<usize> =
            all.into_iter().filter(|index| !disclosure.mandatory.contains(index)).collect();
        assert_eq!(json!(rest), indexes["nonMandatoryIndexes"]);
        assert_eq!(disclosure.document, folder.file("derivedUnsignedReveal"));
        disclosure
    }

    /// The lines that leave.
    pub(crate) fn shown(&self, disclosure: &Disclosure) -> Vec<&str> {
        let lines = self.data.statements.lines.iter().enumerate();
        lines
            .filter(|(index, _)| disclosure.combined.contains(index))
            .map(|(_, line)| line.as_str())
            .collect()
    }

    /// Neither the derived document nor its proof holds a text that was not disclosed.
    pub(crate) fn assert_nothing_else_left(&self, disclosure: &Disclosure, revealed: &Value, value: &[u8]) {
        let (shown, all) = (self.shown(disclosure).concat(), self.data.statements.lines.concat());
        let output = serde_json::to_string(revealed).unwrap() + &String::from_utf8_lossy(value);
        // Texts of a few characters stand in base64 by chance.
        let hidden = all.split('"').skip(1).step_by(2).filter(|text| text.len() > 3 && !shown.contains(text));
        let mut secret = 0;
        for text in hidden {
            assert!(!output.contains(text), "{text}");
            secret += 1;
        }
        assert!(secret > 0);
    }
}
