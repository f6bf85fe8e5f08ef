//! The CareKey verifier: OpenID4VP 1.0 and the portal page.
