//! One look for three parties, and how their pages are sent.

use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use carekey_core::clock::UnixTime;
use carekey_core::error::{Error, Result};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

/// What a page may load: its own style, scripts, pictures and connections, nothing else, and nobody may frame it.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("../../assets/carekey.css");

/// Whose page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The hospital's desk, which issues.
    Hospital,
    /// The patient's wallet, which holds.
    Wallet,
    /// The portal, which verifies.
    Portal,
}

impl Actor {
    const fn icon(self) -> &'static str {
        match self {
            Self::Hospital => include_str!("../../assets/hospital.svg"),
            Self::Wallet => include_str!("../../assets/wallet.svg"),
            Self::Portal => include_str!("../../assets/portal.svg"),
        }
    }

    /// The class of the page's body: its colours.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Hospital => "hospital",
            Self::Wallet => "wallet",
            Self::Portal => "portal",
        }
    }

    /// The mark beside the name, as SVG within 24 × 24.
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Hospital => r#"<path fill="currentColor" d="M10 3h4v7h7v4h-7v7h-4v-7H3v-4h7z"/>"#,
            Self::Wallet => {
                r#"<path fill="currentColor" d="M12 2l8 3v6.500c0 5-3.400 8.600-8 10.500-4.600-1.900-8-5.500-8-10.500V5zm-1.300 13.700l5.800-5.800-1.600-1.600-4.200 4.200-2-2-1.600 1.600z"/>"#
            }
            Self::Portal => {
                r#"<path fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" d="M5 12.500l4.500 4.500L19 7.500"/>"#
            }
        }
    }
}

/// Routes of the files that `actor`'s pages load: the shared style, the icon and the page's own script.
pub fn assets<S: Clone + Send + Sync + 'static>(actor: Actor, script: &'static str) -> Router<S> {
    let file = |media_type: &'static str, body: &'static str| {
        get(move || async move {
            let headers = [
                (header::CONTENT_TYPE, media_type),
                (header::CACHE_CONTROL, "no-cache"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, body)
        })
    };
    Router::new()
        .route("/assets/carekey.css", file("text/css; charset=utf-8", STYLE))
        .route("/assets/page.js", file("text/javascript; charset=utf-8", script))
        .route("/assets/icon.svg", file("image/svg+xml", actor.icon()))
}

/// A whole page. It is never cached: it may show personal data.
pub fn page(status: StatusCode, html: String) -> Response {
    // same-origin, not no-referrer: browsers send `Origin: null` with the forms of a page that sends no referrer
    let headers: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    (status, headers, html).into_response()
}

/// A piece of a page that the page's script puts into place.
pub fn fragment(html: String) -> Response {
    page(StatusCode::OK, html)
}

/// A QR code (ISO/IEC 18004) as an SVG element for a page.
///
/// # Errors
/// `qr_too_long` when `text` does not fit into a code that phones still read (1,000 bytes).
pub fn qr_svg(text: &str) -> Result<String> {
    let too_long = || Error::misuse("qr_too_long", "the link is too long for a QR code");
    if text.len() > 1_000 {
        return Err(too_long());
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| too_long())?;
    let image = code
        .render()
        .min_dimensions(240, 240)
        .quiet_zone(true)
        .dark_color(svg::Color("#000000"))
        .light_color(svg::Color("#ffffff"))
        .build();
    // without the XML declaration it can stand inside HTML
    Ok(image.find("<svg").and_then(|at| image.get(at..)).unwrap_or_default().to_owned())
}

/// `2026-11-22 13:05 UTC`: the same for every reader; the page's script may show local time beside it.
pub fn utc(time: UnixTime) -> String {
    let secs = time.as_secs();
    let (days, rest) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    // civil date from days since 1970-01-01 (proleptic Gregorian calendar, eras of 400 years)
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3_600, rest % 3_600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_dates() {
        for (secs, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_796_000_100, "2026-11-30 00:55 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
        ] {
            assert_eq!(utc(UnixTime::from_secs(secs)), text);
        }
    }

    #[test]
    fn a_qr_code_is_one_svg_element() {
        let svg = qr_svg("openid-credential-offer://?credential_offer_uri=http%3A%2F%2Flocalhost").unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>") && !svg.contains("style"));
        assert_eq!(qr_svg(&"x".repeat(1_001)).unwrap_err().code(), "qr_too_long");
    }

    #[test]
    fn pages_forbid_what_they_do_not_need() {
        let response = page(StatusCode::OK, String::new());
        let policy = response.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(response.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
    }
}
