//! Size and count limits for untrusted input, applied before anything is parsed.

/// Limits of one kind of input; every parser names the one it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole compact JWS, JWE or SD-JWT.
    pub token_bytes: usize,
    /// Bytes of one JSON document (claims, metadata, request).
    pub json_bytes: usize,
    /// Depth of nested JSON arrays and objects.
    pub json_depth: usize,
    /// Members and elements in one JSON document, all levels together.
    pub json_nodes: usize,
    /// Disclosures of one SD-JWT.
    pub disclosures: usize,
    /// Certificates in one `x5c`.
    pub certificates: usize,
    /// Bytes that a compressed value may unpack to.
    pub inflated_bytes: usize,
    /// Bytes of a WebAuthn `clientDataJSON`.
    pub client_data_bytes: usize,
    /// Bytes of a WebAuthn attestation object.
    pub attestation_object_bytes: usize,
    /// Bytes of WebAuthn authenticator data.
    pub authenticator_data_bytes: usize,
}

impl Limits {
    /// The limits of production.
    pub const DEFAULT: Self = Self {
        token_bytes: 256 * 1024,
        json_bytes: 256 * 1024,
        json_depth: 16,
        json_nodes: 10_000,
        disclosures: 500,
        certificates: 8,
        inflated_bytes: 4 * 1024 * 1024,
        client_data_bytes: 4 * 1024,
        attestation_object_bytes: 64 * 1024,
        authenticator_data_bytes: 8 * 1024,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
