//! The portal's pages as data: what the templates in `verifier/templates/` show.

use crate::app::SessionBinding;
use askama::Template;
use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::health::DatasetKind;
use carekey_core::verifier::{Check, StepUpOutcome, VerifiedPresentation};
use carekey_service::pages::Frame;
use serde_json::{Map, Value};

#[derive(Template)]
#[template(path = "portal.html")]
pub(super) struct PortalPage {
    pub(super) frame: Frame,
    pub(super) csrf: String,
    pub(super) purpose: String,
    pub(super) levels: Vec<LevelView>,
}

#[derive(Template)]
#[template(path = "request.html")]
pub(super) struct RequestPage {
    pub(super) frame: Frame,
    pub(super) id: String,
    pub(super) purpose: String,
    pub(super) csrf: String,
    pub(super) link: Option<String>,
    /// `DigitalCredentialRequestOptions` as JSON.
    pub(super) digital: Option<String>,
    pub(super) qr: Option<String>,
    pub(super) expires_at: String,
    pub(super) finished: bool,
    pub(super) outcome: String,
}

/// Where a wallet on the same device sends the browser back to.
#[derive(Template)]
#[template(path = "return.html")]
pub(super) struct LandingPage {
    pub(super) frame: Frame,
    pub(super) id: String,
}

/// What became of a request: the part of the page that changes by itself.
#[derive(Template)]
#[template(path = "outcome.html")]
pub(super) struct OutcomeView {
    pub(super) state: &'static str,
    pub(super) tone: &'static str,
    pub(super) code: Option<String>,
    pub(super) title: &'static str,
    pub(super) text: String,
    pub(super) level: Option<LevelView>,
    pub(super) issuer: Option<String>,
    pub(super) format: Option<&'static str>,
    pub(super) binding: Option<&'static str>,
    pub(super) claims: Vec<ClaimView>,
    pub(super) warnings: Vec<String>,
    pub(super) checks: Vec<CheckView>,
}

impl OutcomeView {
    /// A state without claims.
    pub(super) fn plain(state: &'static str, tone: &'static str, title: &'static str, text: &str) -> Self {
        Self {
            state,
            tone,
            code: None,
            title,
            text: text.to_owned(),
            level: None,
            issuer: None,
            format: None,
            binding: None,
            claims: Vec::new(),
            warnings: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Everything held.
    pub(super) fn verified(presentation: &VerifiedPresentation, binding: SessionBinding) -> Self {
        let text = match presentation.level {
            AssuranceLevel::None => {
                "The credential is genuine and current, and it came from the wallet that it was issued to. Nobody \
                 checked which person was there."
            }
            _ => {
                "Your credential is genuine and current, and your own device confirmed its user just now, for this \
                 purpose."
            }
        };
        let mut view = Self::plain("verified", "good", "Verified", text);
        view.level = Some(level_view(presentation.level));
        view.claims = presentation.credentials.iter().flat_map(|one| claims(&one.claims)).collect();
        view.issuer = presentation.credentials.first().map(|credential| credential.issuer.clone());
        view.format = presentation.credentials.first().map(|credential| credential.format.as_str());
        view.warnings = presentation.step_up.as_ref().map(warnings).unwrap_or_default();
        view.binding = Some(binding_words(binding));
        view.checks = presentation.checks.iter().map(CheckView::of).collect();
        view
    }

    /// A check failed.
    pub(super) fn refused(code: &str, detail: &str, checks: &[Check]) -> Self {
        let text = match code {
            "credential_revoked" => "The issuer has revoked this credential. It is not valid any more.",
            "credential_suspended" => "The issuer has suspended this credential. It is not valid for now.",
            _ => detail,
        };
        let mut view = Self::plain("refused", "bad", "Refused", &sentence(text));
        view.code = Some(code.to_owned());
        view.checks = checks.iter().map(CheckView::of).collect();
        view
    }
}

/// How sure it is that whoever answered sits in front of this page.
fn binding_words(binding: SessionBinding) -> &'static str {
    match binding {
        SessionBinding::None => {
            "Another device answered. Nothing ties it to this browser: somebody may have been made to scan this code."
        }
        SessionBinding::ResponseCode => "The wallet came back to this browser: whoever answered is here.",
        SessionBinding::Fragment => "The answer came with this browser: whoever answered is here.",
        SessionBinding::Origin => "This browser carried question and answer: whoever answered is here.",
    }
}

/// One disclosed claim in words.
pub(super) struct ClaimView {
    pub(super) label: String,
    pub(super) values: Vec<String>,
}

/// One check in words.
pub(super) struct CheckView {
    pub(super) id: String,
    pub(super) passed: bool,
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
    pub(super) spoken: &'static str,
    pub(super) title: String,
    pub(super) detail: String,
}

impl CheckView {
    fn of(check: &Check) -> Self {
        let (class, sign, spoken) =
            if check.passed { ("passed", "✓", "passed") } else { ("failed", "✕", "failed") };
        Self {
            id: check.id.clone(),
            passed: check.passed,
            class,
            sign,
            spoken,
            title: sentence(&check.detail),
            detail: check.code.clone().unwrap_or_default(),
        }
    }
}

/// A level that can be asked for.
pub(super) struct LevelView {
    pub(super) value: &'static str,
    pub(super) title: &'static str,
    pub(super) explanation: &'static str,
    pub(super) chosen: bool,
}

/// The levels to choose from, lowest first.
pub(super) fn levels(chosen: AssuranceLevel) -> Vec<LevelView> {
    let one = |level: AssuranceLevel| LevelView { chosen: level == chosen, ..level_view(level) };
    AssuranceLevel::ALL
        .into_iter()
        .filter(|level| *level != AssuranceLevel::BiometricAppAsserted)
        .map(one)
        .collect()
}

/// A level in honest words.
pub(super) fn level_view(level: AssuranceLevel) -> LevelView {
    let (title, explanation) = match level {
        AssuranceLevel::None => {
            ("The wallet's key", "Whoever holds the wallet's key can answer. No fresh check of the person.")
        }
        AssuranceLevel::Uv => (
            "User verification",
            "The device checked its user just now: PIN, fingerprint or face. Which of them is not known.",
        ),
        AssuranceLevel::BiometricCapable => (
            "Authenticator with biometrics",
            "The hospital saw proof that the authenticator can check a fingerprint or face; a PIN stays possible.",
        ),
        AssuranceLevel::BiometricAppAsserted => (
            "Biometrics, asserted by the app",
            "A genuine app on a genuine device says that only a fingerprint or face opens the key.",
        ),
        AssuranceLevel::BiometricAttested => (
            "Biometrics, attested by hardware",
            "The hospital saw proof that every use of the key needs a fingerprint or face.",
        ),
    };
    LevelView { value: level.as_str(), title, explanation, chosen: false }
}

fn warnings(step_up: &StepUpOutcome) -> Vec<String> {
    step_up.warnings.iter().map(|name| format!("Noted, not refused: {}.", name.replace('_', " "))).collect()
}

/// Claims with their labels, in the order in which people read them; the technical binding is not shown.
fn claims(claims: &Map<String, Value>) -> Vec<ClaimView> {
    let mut views: Vec<ClaimView> = Vec::new();
    let order = |name: &str| {
        let all = DatasetKind::ALL.into_iter().flat_map(DatasetKind::claims);
        all.into_iter().position(|info| info.path == [name]).unwrap_or(usize::MAX)
    };
    let mut names: Vec<&String> = claims
        .keys()
        .filter(|name| !matches!(name.as_str(), "webauthn_binding" | "biometric_binding_level"))
        .collect();
    names.sort_by_key(|name| order(name));
    for name in names {
        if let Some(value) = claims.get(name) {
            views.push(ClaimView { label: label(&[name.as_str()]), values: lines(value) });
        }
    }
    views
}

fn label(path: &[&str]) -> String {
    let known = DatasetKind::ALL.into_iter().flat_map(DatasetKind::claims).find(|info| info.path == path);
    known.map_or_else(
        || sentence(&path.last().map(|name| name.replace('_', " ")).unwrap_or_default()),
        |info| info.label.to_owned(),
    )
}

/// A value as lines of text: one per element of an array, one per member of an object.
fn lines(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.replace('\n', ", ")],
        Value::Array(elements) => elements.iter().map(|element| lines(element).join(", ")).collect(),
        Value::Object(members) => {
            if let Some(value) = members.get("value").and_then(Value::as_str) {
                let rest: Vec<&str> =
                    ["type", "system"].iter().filter_map(|name| members.get(*name)?.as_str()).collect();
                return vec![if rest.is_empty() {
                    value.to_owned()
                } else {
                    format!("{value} ({})", rest.join(", "))
                }];
            }
            members.values().flat_map(lines).collect()
        }
        other => vec![other.to_string()],
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_read_as_people_expect() {
        let Value::Object(map) = json!({
            "birthdate": "1987-04-23",
            "identifiers": [{"value": "TEST-1", "system": "https://h.example", "type": "MR"}, {"value": "2"}],
            "address": {"street_address": "Příkladná 12\nbyt 7", "country": "CZ"},
            "webauthn_binding": {"jwk": {}},
            "given_name": "Žofie",
            "something_new": true,
        }) else {
            unreachable!()
        };
        let views = claims(&map);
        let labels: Vec<&str> = views.iter().map(|view| view.label.as_str()).collect();
        assert_eq!(labels.first().unwrap(), &label(&["given_name"]));
        assert_eq!(labels.last().unwrap(), &"Something new");
        assert!(!labels.iter().any(|label| label.contains("binding")));
        let all: Vec<&String> = views.iter().flat_map(|view| &view.values).collect();
        assert!(all.iter().any(|line| *line == "TEST-1 (MR, https://h.example)"));
        assert!(all.iter().any(|line| *line == "Příkladná 12, byt 7"));
    }

    #[test]
    fn an_outcome_escapes_what_it_shows() {
        let mut view = OutcomeView::plain("verified", "good", "Verified", "x");
        view.claims
            .push(ClaimView { label: "Name".into(), values: vec!["<script>alert(1)</script>".into()] });
        let html = view.render().unwrap();
        assert!(!html.contains("<script>") && html.contains("alert(1)"));
    }
}
