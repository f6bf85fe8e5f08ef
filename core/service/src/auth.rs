//! The bearer token of the management API: made at first start, kept in the data folder, compared in constant time.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use carekey_core::random::Random;
use carekey_core::secret::Secret;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use subtle::ConstantTimeEq;

use crate::problem::Problem;

/// A bearer token (RFC 6750).
#[derive(Debug, Clone)]
pub struct BearerToken(Arc<Secret<String>>);

impl BearerToken {
    /// The token `text`; at least 16 characters.
    pub fn new(text: String) -> std::io::Result<Self> {
        let text = Secret::new(text);
        if text.expose().len() < 16 {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "a bearer token has at least 16 characters",
            ));
        }
        Ok(Self(Arc::new(text)))
    }

    /// The token in the file `path`; when there is none, a fresh one of 256 bits is written there, readable by the
    /// owner only.
    pub fn load_or_create(path: &Path, random: &dyn Random) -> std::io::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::new(text.trim().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = random.token(32);
                crate::private_file::create(path, format!("{text}\n").as_bytes())?;
                Self::new(text)
            }
            Err(error) => Err(error),
        }
    }

    /// The token itself, to show it to the operator.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether the request carries this token.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        // Equal length is no secret: it is a constant of this program.
        presented(headers).is_some_and(|text| text.as_bytes().ct_eq(self.expose().as_bytes()).into())
    }
}

/// The bearer token of a request: exactly one `Authorization: Bearer …`, else `None`.
pub fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (all.next()?, all.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Answers 401 `unauthorized` to every request for one of `routes` (at least one) without the token.
pub fn require(routes: Router, token: BearerToken) -> Router {
    // Not `layer`: that would ask for the token at unknown paths of the router this is merged into.
    routes.route_layer(from_fn_with_state(token, check))
}

async fn check(State(token): State<BearerToken>, request: Request, next: Next) -> Response {
    if token.admits(request.headers()) {
        return next.run(request).await;
    }
    Problem::of_status(StatusCode::UNAUTHORIZED)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        .into_response()
}

#[cfg(test)]
mod tests {
    use carekey_core::random::SystemRandom;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("management.token");
        let first = BearerToken::load_or_create(&path, &SystemRandom).unwrap();
        let second = BearerToken::load_or_create(&path, &SystemRandom).unwrap();
        assert_eq!(first.expose(), second.expose());
        assert_eq!(first.expose().len(), 43);
        assert!(!format!("{first:?}").contains(first.expose()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, "short").unwrap();
        assert!(BearerToken::load_or_create(&path, &SystemRandom).is_err());
    }

    #[test]
    fn admits_only_the_token() {
        let token = BearerToken::new("0123456789abcdef".into()).unwrap();
        for good in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef", "BEARER  0123456789abcdef"] {
            assert!(token.admits(&headers(&[good])), "{good}");
        }
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcdeF",
            "Bearer 0123456789abcde",
            "Basic 0123456789abcdef",
        ] {
            assert!(!token.admits(&headers(&[bad])), "{bad}");
        }
        assert!(!token.admits(&headers(&[])));
        assert!(!token.admits(&headers(&["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"])));
    }
}
