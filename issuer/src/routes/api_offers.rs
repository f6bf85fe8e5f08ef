//! `/api/offers`: offers for the hospital's own systems.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_core::issuer::{CreatedOffer, NewOffer, OfferFlow};
use carekey_service::extract::{Json, Path, Query};
use carekey_service::problem::Problem;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{App, reply};

/// The body of `POST /api/offers`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    credential_configuration_ids: Vec<String>,
    fhir: Value,
    #[serde(default)]
    tx_code: bool,
    #[serde(default = "yes")]
    by_reference: bool,
    expires_in: Option<i64>,
    reference: Option<String>,
    replaces: Option<String>,
    #[serde(default)]
    flow: OfferFlow,
    subject: Option<String>,
    authorization_server: Option<String>,
    #[serde(default)]
    approval: bool,
}

fn yes() -> bool {
    true
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    pub(crate) after: Option<String>,
    #[serde(default = "hundred")]
    pub(crate) limit: usize,
}

fn hundred() -> usize {
    100
}

impl Page {
    /// The entries asked for, at most 500.
    pub(crate) fn size(&self) -> usize {
        self.limit.clamp(1, 500)
    }
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Json(body): Json<Create>,
) -> Result<Response, Problem> {
    let new = NewOffer {
        configuration_ids: body.credential_configuration_ids,
        fhir: body.fhir,
        tx_code: body.tx_code,
        by_reference: body.by_reference,
        expires_in: body.expires_in,
        reference: body.reference,
        replaces: body.replaces,
        flow: body.flow,
        subject: body.subject,
        authorization_server: body.authorization_server,
        approval: body.approval,
    };
    let created = app.create_offer(&new).await?;
    Ok(reply::json(StatusCode::CREATED, &describe(&created)))
}

fn describe(created: &CreatedOffer) -> Value {
    let preview = |one: &carekey_core::issuer::Preview| {
        let claims = one.dataset.preview.iter();
        let claims = claims.map(|line| json!({"label": line.label, "path": line.path, "value": line.value}));
        let notes = one.dataset.notes.iter().map(|note| json!({"path": note.path, "text": note.text}));
        json!({
            "credential_configuration_id": one.configuration_id,
            "claims": claims.collect::<Vec<_>>(),
            "notes": notes.collect::<Vec<_>>(),
        })
    };
    let mut body = json!({
        "id": created.id,
        "credential_offer_uri": created.link,
        "credential_offer": created.offer,
        "expires_at": created.expires_at,
        "preview": created.previews.iter().map(preview).collect::<Vec<_>>(),
    });
    if let (Some(tx_code), Some(members)) = (&created.tx_code, body.as_object_mut()) {
        members.insert("tx_code".into(), tx_code.expose().clone().into());
    }
    body
}

pub(crate) async fn read(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    match app.issuer().offer_summary(&id).await? {
        Some(offer) => Ok(reply::json(StatusCode::OK, &json!(offer))),
        None => Err(Problem::not_found("there is no such offer")),
    }
}

pub(crate) async fn list(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Result<Response, Problem> {
    let offers = app.issuer().offers(page.after.as_deref(), page.size()).await?;
    let next = (offers.len() == page.size()).then(|| offers.last().map(|offer| offer.id.clone())).flatten();
    Ok(reply::json(StatusCode::OK, &json!({"offers": offers, "next": next})).into_response())
}
