//! What of an HTTP request besides its body the rules look at.

use std::fmt;

/// How an access token was presented: the scheme of the `Authorization` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer` (RFC 6750)
    Bearer,
    /// `DPoP` (RFC 9449 section 7.1)
    Dpop,
}

/// The headers of a request, as far as they say who calls. A header that came several times is the values with commas
/// between (RFC 9110 section 5.3), which no rule here accepts.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The access token with its scheme.
    pub access_token: Option<(Scheme, &'a str)>,
    /// `DPoP`
    pub dpop: Option<&'a str>,
    /// `OAuth-Client-Attestation`: what the wallet's provider says about it.
    pub attestation: Option<&'a str>,
    /// `OAuth-Client-Attestation-PoP`: the wallet's proof that it is the one.
    pub attestation_pop: Option<&'a str>,
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.access_token.map(|(scheme, _)| scheme);
        f.debug_struct("Caller").field("scheme", &scheme).field("dpop", &self.dpop.is_some()).finish()
    }
}

impl<'a> Caller<'a> {
    /// A caller with a bearer token and nothing else.
    pub fn bearer(token: &'a str) -> Self {
        Self { access_token: Some((Scheme::Bearer, token)), ..Self::default() }
    }
}
