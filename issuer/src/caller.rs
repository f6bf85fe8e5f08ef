//! The headers by which a client of the wallet endpoints says who it is.

use carekey_core::issuer::{Caller, Scheme};
use http::{HeaderMap, HeaderName, header};

/// `DPoP` (RFC 9449 section 4.1)
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Attestation-based client authentication, draft 07 section 6.1
pub(crate) const ATTESTATION: HeaderName = HeaderName::from_static("oauth-client-attestation");
const ATTESTATION_POP: HeaderName = HeaderName::from_static("oauth-client-attestation-pop");

/// The values of the headers that count, joined as RFC 9110 section 5.3 says.
pub(crate) struct Headers {
    authorization: Option<String>,
    dpop: Option<String>,
    attestation: Option<String>,
    attestation_pop: Option<String>,
}

impl Headers {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let of = |name: &HeaderName| {
            let values: Vec<_> =
                headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        Self {
            authorization: of(&header::AUTHORIZATION),
            dpop: of(&DPOP),
            attestation: of(&ATTESTATION),
            attestation_pop: of(&ATTESTATION_POP),
        }
    }

    pub(crate) fn caller(&self) -> Caller<'_> {
        let access_token = self.authorization.as_deref().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            let scheme = match scheme.to_ascii_lowercase().as_str() {
                "bearer" => Scheme::Bearer,
                "dpop" => Scheme::Dpop,
                _ => return None,
            };
            Some((scheme, token.trim())).filter(|(_, token)| !token.is_empty())
        });
        Caller {
            access_token,
            dpop: self.dpop.as_deref(),
            attestation: self.attestation.as_deref(),
            attestation_pop: self.attestation_pop.as_deref(),
        }
    }
}
