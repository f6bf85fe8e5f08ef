//! OpenAPI documents of servers that have parts which an operator turns on and off.

use serde_json::Value;

/// `document` without the operations that carry one of `tags`, and without paths that then have none left; unchanged
/// when it is no JSON object.
pub fn without_tags(document: &str, tags: &[&str]) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(document) else { return document.to_owned() };
    if let Some(paths) = value.get_mut("paths").and_then(Value::as_object_mut) {
        for operations in paths.values_mut().filter_map(Value::as_object_mut) {
            operations.retain(|_, operation| !carries(operation, tags));
        }
        paths.retain(|_, operations| operations.as_object().is_none_or(|all| !all.is_empty()));
    }
    if let Some(named) = value.get_mut("tags").and_then(Value::as_array_mut) {
        named.retain(|tag| !tag.get("name").and_then(Value::as_str).is_some_and(|name| tags.contains(&name)));
    }
    value.to_string()
}

fn carries(operation: &Value, tags: &[&str]) -> bool {
    let own = operation.get("tags").and_then(Value::as_array);
    own.is_some_and(|own| own.iter().filter_map(Value::as_str).any(|tag| tags.contains(&tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_out_what_is_off() {
        let document = r#"{"tags": [{"name": "a"}, {"name": "b"}], "paths": {
            "/x": {"get": {"tags": ["a"]}, "post": {"tags": ["b"]}}, "/y": {"get": {"tags": ["b"]}}}}"#;
        let less: Value = serde_json::from_str(&without_tags(document, &["b"])).unwrap();
        let expected =
            serde_json::json!({"tags": [{"name": "a"}], "paths": {"/x": {"get": {"tags": ["a"]}}}});
        assert_eq!(less, expected);
        assert_eq!(without_tags("x", &["b"]), "x");
    }
}
