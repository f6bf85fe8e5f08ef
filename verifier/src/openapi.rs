//! The OpenAPI document, written by hand and compared with [`mod@crate::routes`] by a test.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_service::openapi::without_tags;
use http::header;

use crate::app::App;

/// OpenAPI 3.1, JSON.
pub const OPENAPI: &str = include_str!("openapi.json");

/// `GET /openapi.json`, without the parts that are turned off.
pub async fn document(State(app): State<Arc<App>>) -> Response {
    let config = app.config();
    let off: Vec<&str> = [("vc-api", config.vc_api.enabled), ("resolver", config.resolver.enabled)]
        .into_iter()
        .filter_map(|(tag, on)| (!on).then_some(tag))
        .collect();
    ([(header::CONTENT_TYPE, "application/json")], without_tags(OPENAPI, &off)).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use carekey_core::verifier::RefusalCode;
    use serde_json::Value;

    use super::*;

    fn parsed() -> Value {
        serde_json::from_str(OPENAPI).unwrap()
    }

    #[test]
    fn the_document_lists_the_routes_and_no_others() {
        let document = parsed();
        let paths = document["paths"].as_object().unwrap();
        let documented: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        let operational = ["/healthz", "/readyz", "/metrics"].map(|path| ("GET".to_owned(), path.to_owned()));
        let table = crate::routes();
        let routed: BTreeSet<(String, String)> = table
            .iter()
            .flat_map(|(path, methods, ..)| {
                methods.iter().map(move |method| ((*method).to_owned(), (*path).to_owned()))
            })
            .chain(operational)
            .collect();
        assert_eq!(documented, routed);
        // What the management API guards is marked, and nothing else.
        for (path, methods, access, _) in &table {
            for method in *methods {
                let operation = &paths[*path][method.to_lowercase()];
                assert_eq!(
                    operation.get("security").is_some(),
                    matches!(access, crate::Access::Management | crate::Access::VcApi),
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = parsed();
        let (mut todo, mut seen) = (vec![&document], 0);
        while let Some(value) = todo.pop() {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                seen += 1;
            }
            todo.extend(value.as_object().into_iter().flat_map(|object| object.values()));
            todo.extend(value.as_array().into_iter().flatten());
        }
        assert!(seen > 30);
    }

    #[test]
    fn the_list_of_refusals_is_the_one_in_core() {
        let document = parsed();
        let listed = document["components"]["schemas"]["RefusalCode"]["enum"].as_array().unwrap();
        let listed: Vec<&str> = listed.iter().map(|code| code.as_str().unwrap()).collect();
        assert_eq!(listed, RefusalCode::all().map(RefusalCode::as_str).collect::<Vec<_>>());
    }
}
