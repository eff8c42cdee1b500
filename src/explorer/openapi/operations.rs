//! The operations of an action, and what all responses have.

use prost_reflect::FieldDescriptor;
use serde_json::{Map, Value, json};

use super::actions::{Action, Api, Product};
use super::schemas::{Schemas, or_empty};

/// Returns the operations of an action: GET has all parameters in the query, POST its own in a
/// form.
pub(super) fn path_item(
    api: &Api,
    product: &Product,
    action: &Action,
    schemas: &mut Schemas<'_>,
    common: &Map<String, Value>,
    refused: &Map<String, Value>,
) -> Value {
    let name = action.method.name();
    let common =
        common.keys().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
    let mut responses = refused.clone();
    responses.insert("200".to_owned(), success(action, schemas));
    let operation = |method: &str| {
        json!({
            "operationId": format!("{name}_{}_{method}", action.version.replace('-', "_")),
            "summary": format!("{name} ({})", action.version),
            "description": format!("{} Permission: `{}:{name}`.", action.comment, product.name),
            "tags": [product.name],
            "responses": responses,
        })
    };
    let (mut get, mut post) = (operation("get"), operation("post"));
    let fields: Vec<_> = action.method.input().fields().collect();
    if !fields.is_empty() {
        get["parameters"] = in_query(api, &fields, schemas);
        post["requestBody"] = form(api, &fields, schemas);
    }
    json!({ "parameters": common.collect::<Vec<_>>(), "get": get, "post": post })
}

fn success(action: &Action, schemas: &mut Schemas<'_>) -> Value {
    let output = action.method.output();
    let schema = schemas.message(&output);
    let description = schemas.by_name[output.full_name()]["description"].clone();
    json!({ "description": description, "headers": response_headers(), "content": content(&schema) })
}

fn in_query(api: &Api, fields: &[FieldDescriptor], schemas: &mut Schemas<'_>) -> Value {
    let parameter = |field: &FieldDescriptor| {
        let mut parameter = json!({
            "name": field.json_name(),
            "in": "query",
            "description": api.comment_of(field),
            "required": api.is_required(field),
            "allowEmptyValue": !api.is_required(field), // an empty parameter counts as absent
            "schema": schemas.parameter(field),
        });
        if let Some(example) = schemas.example(field) {
            parameter["example"] = example.into();
        }
        parameter
    };
    fields.iter().map(parameter).collect()
}

fn form(api: &Api, fields: &[FieldDescriptor], schemas: &mut Schemas<'_>) -> Value {
    let mut properties = Map::new();
    let mut example = Map::new();
    for field in fields {
        let mut schema = schemas.parameter(field);
        if !api.is_required(field) {
            schema = or_empty(&schema);
        }
        schema["description"] = api.comment_of(field).into();
        properties.insert(field.json_name().to_owned(), schema);
        let value = schemas.example(field);
        example.extend(value.map(|value| (field.json_name().to_owned(), value.into())));
    }
    let required = fields.iter().filter(|field| api.is_required(field));
    let required: Vec<_> = required.map(FieldDescriptor::json_name).collect();
    let schema = json!({ "type": "object", "required": required, "properties": properties });
    json!({
        "required": !required.is_empty(),
        "content": {
            "application/x-www-form-urlencoded": { "schema": schema, "example": example },
        },
    })
}

/// Returns the headers of every response.
pub(super) fn response_headers() -> Value {
    json!({
        "X-Acs-Request-Id": {
            "description": "The RequestId of the body.",
            "required": true,
            "schema": { "type": "string" },
        },
    })
}

/// Returns a body in both formats. In XML, a list is a repeated element.
pub(super) fn content(schema: &Value) -> Value {
    json!({
        "application/json": { "schema": schema },
        "text/xml": { "schema": schema },
    })
}
