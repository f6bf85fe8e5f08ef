//! Chains and trust anchors.

use std::collections::HashMap;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::certificate::{Certificate, Unheeded};
use crate::clock::UnixTime;
use crate::encoding::base64;
use crate::error::{Error, Result};
use crate::key::PublicKey;
use crate::limits::Limits;

/// A certificate that is trusted from the start: a root, an intermediate, or one leaf pinned by itself.
#[derive(Debug, Clone)]
pub struct TrustAnchor(Certificate);

impl TrustAnchor {
    /// The anchor of one certificate in DER; errors of [`Certificate::from_der`].
    pub fn from_der(der: &[u8]) -> Result<Self> {
        Certificate::from_der(der).map(Self)
    }

    /// The anchors of all certificates in a PEM text, at least one; other kinds of PEM blocks are skipped.
    ///
    /// [`Error::Malformed`] `x509_pem`, or errors of [`Certificate::from_der`].
    pub fn from_pem(pem: &[u8]) -> Result<Vec<Self>> {
        let malformed = || Error::malformed("x509_pem", "not PEM with a certificate");
        let anchors: Vec<Self> = CertificateDer::pem_slice_iter(pem)
            .map(|der| Self::from_der(&der.map_err(|_| malformed())?))
            .collect::<Result<_>>()?;
        if anchors.is_empty() { Err(malformed()) } else { Ok(anchors) }
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.0
    }

    /// The subject, for people.
    pub fn subject(&self) -> &str {
        self.0.subject()
    }
}

/// Many trust anchors, found by the name that a certificate gives its issuer: one look, however many there are.
#[derive(Debug, Clone, Default)]
pub struct AnchorIndex {
    by_subject: HashMap<Vec<u8>, Vec<TrustAnchor>>,
}

impl AnchorIndex {
    /// The index of `anchors`.
    pub fn new(anchors: impl IntoIterator<Item = TrustAnchor>) -> Self {
        let mut index = Self::default();
        anchors.into_iter().for_each(|anchor| index.insert(anchor));
        index
    }

    /// Adds an anchor.
    pub fn insert(&mut self, anchor: TrustAnchor) {
        self.by_subject.entry(anchor.0.subject.clone()).or_default().push(anchor);
    }

    /// Anchors that may have signed `certificate`, or may be it.
    fn candidates(&self, certificate: &Certificate) -> impl Iterator<Item = &TrustAnchor> {
        let named = |name: &Vec<u8>| self.by_subject.get(name).into_iter().flatten();
        let own = (certificate.subject != certificate.issuer).then(|| named(&certificate.subject));
        named(&certificate.issuer).chain(own.into_iter().flatten())
    }
}

/// Certificates as somebody sent them, leaf first; only their form is checked.
#[derive(Debug, Clone)]
pub struct UnverifiedChain {
    leaf: Certificate,
    others: Vec<Certificate>,
}

impl UnverifiedChain {
    /// Reads the values of an `x5c` header member: base64 (not base64url) DER, leaf first (RFC 7515 section 4.1.6).
    ///
    /// [`Error::Malformed`] `x509_chain_empty`, `x509_chain_too_long` (`limits.certificates`), `x509`.
    pub fn parse(x5c: &[String], limits: &Limits) -> Result<Self> {
        check_count(x5c.len(), limits)?;
        let ders: Vec<Vec<u8>> = x5c
            .iter()
            .map(|text| base64::decode(text).map_err(|_| Error::malformed("x509", "x5c is not base64")))
            .collect::<Result<_>>()?;
        Self::from_der(&ders, limits)
    }

    /// Reads certificates in DER, leaf first (WebAuthn attestation); errors as [`Self::parse`].
    pub fn from_der<D: AsRef<[u8]>>(ders: &[D], limits: &Limits) -> Result<Self> {
        check_count(ders.len(), limits)?;
        let mut certificates = ders.iter().map(|der| Certificate::from_der(der.as_ref()));
        let leaf = certificates.next().unwrap_or_else(|| Err(empty()))?;
        Ok(Self { leaf, others: certificates.collect::<Result<_>>()? })
    }

    /// The first certificate, as claimed.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// Every certificate that was sent, leaf first.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        core::iter::once(&self.leaf).chain(&self.others)
    }

    /// The key of the leaf, as claimed; errors of [`Certificate::public_key`].
    pub fn leaf_public_key(&self) -> Result<PublicKey> {
        self.leaf.public_key()
    }

    /// DNS names of the leaf, as claimed.
    pub fn leaf_san_dns(&self) -> &[String] {
        self.leaf.san_dns()
    }

    /// URIs of the leaf, as claimed.
    pub fn leaf_san_uri(&self) -> &[String] {
        self.leaf.san_uri()
    }

    /// SHA-256 of the leaf's DER (`x509_hash` of OpenID4VP section 5.9.3).
    pub fn leaf_sha256(&self) -> [u8; 32] {
        self.leaf.sha256()
    }

    /// Judges the chain: a path from the leaf, in the order given, to one of `anchors`, valid at `now`.
    ///
    /// The path ends at the first certificate that is itself an anchor or was signed by one; what follows is ignored.
    /// See the module's documentation for what is checked.
    ///
    /// [`Error::NotCurrent`] `x509_expired`, `x509_not_yet_valid`; [`Error::Untrusted`] `x509_untrusted` (no anchor),
    /// `x509_issuer_mismatch`, `x509_signature`, `x509_not_ca`, `x509_path_length`, `x509_key_usage`;
    /// [`Error::Unsupported`] `x509_version`, `x509_critical_extension`, `x509_constraints`,
    /// `x509_signature_algorithm`, `x509_key`.
    pub fn verify(&self, anchors: &[TrustAnchor], now: UnixTime) -> Result<VerifiedChain> {
        self.walk(|certificate, below| find_anchor(certificate, anchors.iter(), below), now)
    }

    /// As [`Self::verify`], with those anchors of an index that `accept` takes.
    pub fn verify_with(
        &self,
        anchors: &AnchorIndex,
        accept: impl Fn(&TrustAnchor) -> bool,
        now: UnixTime,
    ) -> Result<VerifiedChain> {
        let find = |certificate: &_, below| {
            find_anchor(certificate, anchors.candidates(certificate).filter(|anchor| accept(anchor)), below)
        };
        self.walk(find, now)
    }

    fn walk<'a>(
        &self,
        find_anchor: impl Fn(&Certificate, u32) -> Result<Option<&'a TrustAnchor>>,
        now: UnixTime,
    ) -> Result<VerifiedChain> {
        if self.leaf.key_usage.is_some_and(|usage| !usage.sign) {
            return Err(Error::untrusted("x509_key_usage", "the leaf's key is not meant for signatures"));
        }
        let mut current = &self.leaf;
        let mut followers = self.others.iter();
        // CA certificates that stand between the leaf and the next issuer, self-issued ones not counted.
        let mut below = 0_u32;
        let mut expires_at = UnixTime::from_secs(i64::MAX);
        loop {
            check_own(current, now)?;
            expires_at = expires_at.min(current.not_after);
            if let Some(anchor) = find_anchor(current, below)? {
                return VerifiedChain::new(&self.leaf, anchor, expires_at);
            }
            let issuer = followers
                .next()
                .ok_or_else(|| Error::untrusted("x509_untrusted", "the chain leads to no trust anchor"))?;
            if issuer.subject != current.issuer {
                let detail = "a certificate is not issued by the next one in the chain";
                return Err(Error::untrusted("x509_issuer_mismatch", detail));
            }
            check_ca(issuer, below)?;
            current.check_signed_by(issuer)?;
            below += u32::from(issuer.subject != issuer.issuer);
            current = issuer;
        }
    }
}

fn check_count(count: usize, limits: &Limits) -> Result<()> {
    if count == 0 {
        return Err(empty());
    }
    if count > limits.certificates {
        return Err(Error::malformed("x509_chain_too_long", "the chain has more certificates than allowed"));
    }
    Ok(())
}

fn empty() -> Error {
    Error::malformed("x509_chain_empty", "the chain has no certificate")
}

/// What every certificate of a path must fulfil, leaf and CA.
fn check_own(certificate: &Certificate, now: UnixTime) -> Result<()> {
    if certificate.version != 3 {
        return Err(Error::unsupported("x509_version", "a certificate is not of version 3"));
    }
    match certificate.unheeded {
        None => {}
        Some(Unheeded::CriticalExtension) => {
            let detail = "a certificate has a critical extension that is not understood";
            return Err(Error::unsupported("x509_critical_extension", detail));
        }
        Some(Unheeded::Constraints) => {
            let detail = "a certificate has name or policy constraints, which are not evaluated";
            return Err(Error::unsupported("x509_constraints", detail));
        }
    }
    if now < certificate.not_before {
        let limit = certificate.not_before;
        return Err(Error::not_current("x509_not_yet_valid", "a certificate is not valid yet", now, limit));
    }
    if now > certificate.not_after {
        let limit = certificate.not_after;
        return Err(Error::not_current("x509_expired", "a certificate has expired", now, limit));
    }
    Ok(())
}

/// What an issuer of certificates must fulfil (RFC 5280 section 6.1.4, steps k to n).
fn check_ca(issuer: &Certificate, below: u32) -> Result<()> {
    let Some((true, max_below)) = issuer.basic_constraints else {
        return Err(Error::untrusted(
            "x509_not_ca",
            "an issuer in the chain is not a certification authority",
        ));
    };
    if max_below.is_some_and(|max| below > max) {
        return Err(Error::untrusted("x509_path_length", "an issuer allows fewer certificates below it"));
    }
    if issuer.key_usage.is_some_and(|usage| !usage.cert_sign) {
        return Err(Error::untrusted("x509_key_usage", "an issuer's key is not meant to sign certificates"));
    }
    Ok(())
}

/// The anchor that `certificate` is, or that signed it; an error when one of its name is unfit and none other fits.
fn find_anchor<'a>(
    certificate: &Certificate,
    anchors: impl Iterator<Item = &'a TrustAnchor>,
    below: u32,
) -> Result<Option<&'a TrustAnchor>> {
    let mut fault = None;
    for anchor in anchors {
        if anchor.0.as_der() == certificate.as_der() {
            return Ok(Some(anchor));
        }
        if anchor.0.subject != certificate.issuer {
            continue;
        }
        // A version 1 root has no extensions to say that it is a CA; being configured says it.
        let fit = if anchor.0.version == 3 { check_ca(&anchor.0, below) } else { Ok(()) };
        match fit
            .and_then(|()| check_constraints(anchor))
            .and_then(|()| certificate.check_signed_by(&anchor.0))
        {
            Ok(()) => return Ok(Some(anchor)),
            Err(error) => fault = Some(error),
        }
    }
    match fault {
        // An older key of the same name may be trusted while the chain goes on under a newer one.
        None => Ok(None),
        Some(error) if error.code() == "x509_signature" => Ok(None),
        Some(error) => Err(error),
    }
}

fn check_constraints(anchor: &TrustAnchor) -> Result<()> {
    match anchor.0.unheeded {
        Some(Unheeded::Constraints) => Err(Error::unsupported(
            "x509_constraints",
            "a trust anchor has constraints, which are not evaluated",
        )),
        Some(Unheeded::CriticalExtension) | None => Ok(()),
    }
}

/// A chain that leads to a trust anchor.
#[derive(Debug, Clone)]
pub struct VerifiedChain {
    leaf_key: PublicKey,
    leaf: Certificate,
    anchor_subject: String,
    anchor_sha256: [u8; 32],
    expires_at: UnixTime,
}

impl VerifiedChain {
    fn new(leaf: &Certificate, anchor: &TrustAnchor, expires_at: UnixTime) -> Result<Self> {
        Ok(Self {
            leaf_key: leaf.public_key()?,
            leaf: leaf.clone(),
            anchor_subject: anchor.subject().to_owned(),
            anchor_sha256: anchor.0.sha256(),
            expires_at,
        })
    }

    /// The certified key.
    pub fn leaf_key(&self) -> &PublicKey {
        &self.leaf_key
    }

    /// The certificate of that key.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// DNS names of the leaf.
    pub fn san_dns(&self) -> &[String] {
        self.leaf.san_dns()
    }

    /// URIs of the leaf.
    pub fn san_uri(&self) -> &[String] {
        self.leaf.san_uri()
    }

    /// Subject of the trust anchor that the path ends at, for people.
    pub fn anchor_subject(&self) -> &str {
        &self.anchor_subject
    }

    /// SHA-256 of that trust anchor's certificate, for programs.
    pub fn anchor_sha256(&self) -> [u8; 32] {
        self.anchor_sha256
    }

    /// Last second at which every certificate of the path is valid.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
        GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType, SignatureAlgorithm,
    };

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000); // 2023-11-14

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2023, 1, 1);
        params.not_after = rcgen::date_time_ymd(2024, 1, 1);
        params
    }

    fn ca(name: &str, path: BasicConstraints) -> CertificateParams {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(path);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    }

    struct Signed {
        params: CertificateParams,
        key: KeyPair,
        der: Vec<u8>,
    }

    impl Signed {
        fn root(params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Self {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let der = params.self_signed(&key).unwrap().der().to_vec();
            Self { params, key, der }
        }

        fn issue(&self, params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Self {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let issuer = Issuer::from_params(&self.params, &self.key);
            let der = params.signed_by(&key, &issuer).unwrap().der().to_vec();
            Self { params, key, der }
        }

        fn p256(&self, params: CertificateParams) -> Self {
            self.issue(params, &rcgen::PKCS_ECDSA_P256_SHA256)
        }

        fn anchor(&self) -> TrustAnchor {
            TrustAnchor::from_der(&self.der).unwrap()
        }
    }

    fn root() -> Signed {
        Signed::root(ca("root", BasicConstraints::Unconstrained), &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    fn chain(certificates: &[&Signed]) -> UnverifiedChain {
        let ders: Vec<&[u8]> = certificates.iter().map(|c| c.der.as_slice()).collect();
        UnverifiedChain::from_der(&ders, &Limits::DEFAULT).unwrap()
    }

    fn code(certificates: &[&Signed], anchors: &[&Signed], now: UnixTime) -> &'static str {
        let anchors: Vec<_> = anchors.iter().map(|a| a.anchor()).collect();
        match chain(certificates).verify(&anchors, now) {
            Ok(_) => "ok",
            Err(error) => error.code(),
        }
    }

    #[test]
    fn every_algorithm() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P521_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ECDSA_P521_SHA512,
            &rcgen::PKCS_ED25519,
            &rcgen::PKCS_RSA_SHA256,
            &rcgen::PKCS_RSA_SHA512,
        ] {
            let root = Signed::root(ca("root", BasicConstraints::Unconstrained), algorithm);
            let leaf = root.issue(params("leaf"), algorithm);
            assert_eq!(code(&[&leaf], &[&root], NOW), "ok", "{algorithm:?}");
            chain(&[&leaf]).leaf_public_key().unwrap();
            let stranger = Signed::root(ca("root", BasicConstraints::Unconstrained), algorithm);
            assert_eq!(code(&[&leaf], &[&stranger], NOW), "x509_untrusted", "{algorithm:?}");
            assert_eq!(code(&[&leaf, &stranger], &[&root, &stranger], NOW), "ok");
            assert_eq!(code(&[&leaf, &stranger], &[&stranger], NOW), "x509_signature");
        }
    }

    #[test]
    fn facts_of_the_leaf() {
        let root = root();
        let mut leaf = params("leaf");
        leaf.subject_alt_names = vec![
            SanType::DnsName("hospital.example".try_into().unwrap()),
            SanType::URI("https://hospital.example/a".try_into().unwrap()),
        ];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.custom_extensions =
            vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4], vec![5, 0])];
        leaf.is_ca = IsCa::ExplicitNoCa;
        let leaf = root.p256(leaf);
        let x5c = [base64::encode(&leaf.der), base64::encode(&root.der)];
        let chain = UnverifiedChain::parse(&x5c, &Limits::DEFAULT).unwrap();
        let verified = chain.verify(&[root.anchor()], NOW).unwrap();
        assert_eq!(verified.san_dns(), ["hospital.example"]);
        assert_eq!(verified.san_uri(), ["https://hospital.example/a"]);
        assert_eq!(verified.anchor_subject(), "CN=root");
        assert_eq!(verified.leaf().subject_attribute("2.5.4.3").collect::<Vec<_>>(), ["leaf"]);
        assert_eq!(verified.leaf().is_ca(), Some(false));
        assert_eq!(verified.leaf().version(), 3);
        assert_eq!(verified.leaf().extension("1.3.6.1.4.1.45724.1.1.4").unwrap().value, [5, 0]);
        assert_eq!(verified.leaf_key().to_sec1_uncompressed(), leaf.key.public_key_raw());
        assert_eq!(chain.leaf_sha256(), crate::encoding::sha256(&leaf.der));
        assert_eq!(verified.expires_at(), UnixTime::from_secs(1_704_067_200));
        let pem = format!("{}\n{}", pem(&root), pem(&leaf));
        assert_eq!(TrustAnchor::from_pem(pem.as_bytes()).unwrap().len(), 2);
        assert_eq!(TrustAnchor::from_pem(b"nothing").unwrap_err().code(), "x509_pem");
    }

    fn pem(signed: &Signed) -> String {
        let body = base64::encode(&signed.der);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn time_is_checked_to_the_second() {
        let root = root();
        let leaf = root.p256(params("leaf"));
        let (first, last) = (UnixTime::from_secs(1_672_531_200), UnixTime::from_secs(1_704_067_200));
        assert_eq!(code(&[&leaf], &[&root], first), "ok");
        assert_eq!(code(&[&leaf], &[&root], last), "ok");
        assert_eq!(code(&[&leaf], &[&root], first.plus(-1)), "x509_not_yet_valid");
        assert_eq!(code(&[&leaf], &[&root], last.plus(1)), "x509_expired");
    }

    #[test]
    fn paths() {
        let root = root();
        let a = root.p256(ca("a", BasicConstraints::Constrained(1)));
        let b = a.p256(ca("b", BasicConstraints::Unconstrained));
        let c = b.p256(ca("c", BasicConstraints::Unconstrained));
        let under_b = b.p256(params("leaf"));
        let under_c = c.p256(params("leaf"));
        assert_eq!(code(&[&under_b, &b, &a], &[&root], NOW), "ok");
        assert_eq!(code(&[&under_b, &b, &a, &root], &[&root], NOW), "ok");
        assert_eq!(code(&[&under_b, &b, &a], &[&a], NOW), "ok", "an intermediate as anchor");
        assert_eq!(code(&[&under_b], &[&under_b], NOW), "ok", "a pinned leaf");
        assert_eq!(code(&[&under_c, &c, &b, &a], &[&root], NOW), "x509_path_length");
        assert_eq!(code(&[&under_c, &c, &b], &[&a], NOW), "x509_path_length", "also of the anchor");
        assert_eq!(code(&[&under_b, &a], &[&root], NOW), "x509_issuer_mismatch");
        assert_eq!(code(&[&under_b, &b], &[&root], NOW), "x509_untrusted");
        assert_eq!(code(&[&under_b, &b, &a, &root], &[], NOW), "x509_untrusted");
        let no_ca = root.p256(params("leafy"));
        let under_leaf = no_ca.p256(params("leaf"));
        assert_eq!(code(&[&under_leaf, &no_ca], &[&root], NOW), "x509_not_ca");
        assert_eq!(code(&[&under_leaf], &[&no_ca], NOW), "x509_not_ca", "a pinned leaf certifies nothing");
    }

    #[test]
    fn usages_and_extensions() {
        let root = root();
        let mut wrong = ca("a", BasicConstraints::Unconstrained);
        wrong.key_usages = vec![KeyUsagePurpose::CrlSign];
        let wrong = root.p256(wrong);
        assert_eq!(code(&[&wrong.p256(params("leaf")), &wrong], &[&root], NOW), "x509_key_usage");
        let with = |change: &dyn Fn(&mut CertificateParams)| {
            let mut leaf = params("leaf");
            change(&mut leaf);
            code(&[&root.p256(leaf)], &[&root], NOW)
        };
        assert_eq!(with(&|p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment]), "x509_key_usage");
        assert_eq!(with(&|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping]), "ok");
        assert_eq!(
            with(&|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 2, 3])]),
            "ok"
        );
        let unknown = |critical| {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            extension.set_criticality(critical);
            with(&move |p| p.custom_extensions = vec![extension.clone()])
        };
        assert_eq!(unknown(false), "ok");
        assert_eq!(unknown(true), "x509_critical_extension");
        let mut constrained = ca("a", BasicConstraints::Unconstrained);
        constrained.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example".into())],
            excluded_subtrees: vec![],
        });
        let constrained = root.p256(constrained);
        let leaf = constrained.p256(params("leaf"));
        assert_eq!(code(&[&leaf, &constrained], &[&root], NOW), "x509_constraints");
        assert_eq!(code(&[&leaf], &[&constrained], NOW), "x509_constraints");
    }

    #[test]
    fn refuses_malformed() {
        let root = root();
        let parse = |x5c: &[String]| UnverifiedChain::parse(x5c, &Limits::DEFAULT).unwrap_err().code();
        let good = base64::encode(&root.der);
        assert_eq!(parse(&[]), "x509_chain_empty");
        assert_eq!(parse(&vec![good.clone(); 9]), "x509_chain_too_long");
        assert_eq!(parse(&[good.replace('=', "") + "-_"]), "x509");
        let trailing = base64::encode(&[&root.der[..], &[0]].concat());
        assert_eq!(parse(&[good, trailing]), "x509");
        for len in 0..root.der.len() {
            assert!(TrustAnchor::from_der(&root.der[..len]).is_err());
        }
        // One flipped bit anywhere: never a path, never a panic.
        let leaf = root.p256(params("leaf"));
        for at in 0..leaf.der.len() {
            let mut der = leaf.der.clone();
            der[at] ^= 1;
            let chain = UnverifiedChain::from_der(&[der], &Limits::DEFAULT);
            let near = &leaf.der[at.saturating_sub(6)..(at + 6).min(leaf.der.len())];
            let judged = chain.and_then(|chain| chain.verify(&[root.anchor()], NOW));
            assert!(judged.is_err(), "byte {at} of {}: {near:x?}", leaf.der.len());
        }
    }
}
