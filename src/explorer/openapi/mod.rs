//! The OpenAPI 3.1 description of the RPC query format, made from the descriptors. No action is
//! named here.
//!
//! The server has one path, and OpenAPI has one operation for each path and method. So each
//! action has a path of its own that contains its constant part, the query: `/?Action=…&Version=…`.
//! Importers, Swagger's client and schemathesis add further parameters to that query. A fragment
//! (`/#OpenCdnService`) is as valid, but Swagger's client puts the query behind it, where it does
//! not reach the server. `Action` and `Version` are not listed as parameters again: a tool would
//! send them twice, and the server refuses that. Neither is `Signature`, which is a security scheme,
//! and `SecurityToken`: importers fill in every parameter, and an access key must not have a token.

mod actions;
mod errors;
mod operations;
mod schemas;

use std::collections::BTreeSet;

use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Map, Value, json};

use self::actions::{Api, Product};
use self::errors::Named;
use self::operations::path_item;
use self::schemas::Schemas;

/// The one parameter of signature V1 that is optional there.
const FORMAT: &str = "Format";
const DESCRIPTION: &str = "\
Opens CDN and DCDN for accounts and tells how each is charged. Every request is signed with the \
secret of an access key, by signature V1 (parameters) or V3 (headers). Parameters of the query and \
of a form are one set. A temporary credential also has a security token: the parameter \
SecurityToken (V1) or the header x-acs-security-token (V3).";
const V1: &str = "\
Signature V1: base64 of the HMAC-SHA1 over the method and all parameters, with the parameters \
AccessKeyId, SignatureMethod, SignatureVersion, SignatureNonce and Timestamp. The key is the \
secret followed by `&`. It is computed for each request.";
const V3: &str = "\
Signature V3: `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`, with the headers \
x-acs-action, x-acs-version, x-acs-date, x-acs-signature-nonce and x-acs-content-sha256, and \
without the parameters of signature V1. The header Accept chooses the format of the reply. It is \
computed for each request.";

/// Returns the document.
#[must_use]
pub fn document() -> Value {
    let api = Api::read();
    let products = api.products();
    let mut schemas = Schemas::new(&api);
    let mut responses = Map::new();
    let common = common_parameters();
    let named = named(&api, &products, &common);
    let refused = errors::responses(&named, &mut responses, &mut schemas.by_name);
    let mut paths = Map::new();
    for product in &products {
        for action in &product.actions {
            let path = format!("/?Action={}&Version={}", action.method.name(), action.version);
            let item = path_item(&api, product, action, &mut schemas, &common, &refused);
            paths.insert(path, item);
        }
    }
    let tags = products.iter();
    let tags = tags.map(|tag| json!({ "name": tag.name, "description": tag.comment }));
    json!({
        "openapi": "3.1.0",
        "info": info(),
        "servers": [server()],
        "tags": tags.collect::<Vec<_>>(),
        "security": [{ "SignatureV1": [] }, { "SignatureV3": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": security_schemes(),
            "parameters": common,
            "responses": responses,
            "schemas": schemas.by_name,
        },
    })
}

fn info() -> Value {
    json!({
        "title": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "description": DESCRIPTION,
        "license": { "name": "Apache License 2.0", "identifier": env!("CARGO_PKG_LICENSE") },
    })
}

fn security_schemes() -> Value {
    let scheme = |place: &str, name: &str, description: &str| json!({ "type": "apiKey", "in": place, "name": name, "description": description });
    json!({
        "SignatureV1": scheme("query", "Signature", V1),
        "SignatureV3": scheme("header", "Authorization", V3),
    })
}

/// Returns the server, with its address as variables that an importer lets its user set. A variable
/// has no description, because swagger-parser refuses one.
fn server() -> Value {
    json!({
        "url": "{scheme}://{host}",
        "description": "The host is REST_ADDR, or a proxy of it.",
        "variables": {
            "scheme": { "default": "http", "enum": ["http", "https"] },
            "host": { "default": "127.0.0.1:8080" },
        },
    })
}

/// Returns the parameters of signature V1 by name. `Signature` is a security scheme, and `Action`
/// and `Version` are in the path. They are optional, because signature V3 has headers instead.
fn common_parameters() -> Map<String, Value> {
    let one_of = |values: &[&str]| json!({ "type": "string", "enum": values });
    let text = || json!({ "type": "string", "minLength": 1 });
    let parameters = [
        (
            FORMAT,
            one_of(&["JSON", "XML"]),
            "Format of the reply, in any letter case. XML if absent.",
        ),
        ("AccessKeyId", text(), "Required with signature V1. Id of the access key."),
        ("SignatureMethod", one_of(&["HMAC-SHA1"]), "Required with signature V1."),
        ("SignatureVersion", one_of(&["1.0"]), "Required with signature V1."),
        ("SignatureNonce", text(), "Required with signature V1. Any text, new for each request."),
        (
            "Timestamp",
            schemas::reference("Time"),
            "Required with signature V1. Time of the request.",
        ),
    ];
    let parameter = |(name, schema, description): (&str, Value, &str)| {
        let mut parameter =
            json!({ "name": name, "in": "query", "description": description, "schema": schema });
        if let Some(first) = schema.get("enum") {
            parameter["example"] = first[0].clone();
        }
        if name == FORMAT {
            parameter["allowEmptyValue"] = true.into(); // an empty parameter counts as absent
        }
        (name.to_owned(), parameter)
    };
    parameters.into_iter().map(parameter).collect()
}

/// Returns the names of parameters that codes of errors contain.
fn named(api: &Api, products: &[Product], common: &Map<String, Value>) -> Named {
    let actions = products.iter().flat_map(|product| &product.actions);
    let fields: Vec<_> =
        actions.flat_map(|action| action.method.input().fields().collect::<Vec<_>>()).collect();
    let names = |is_one: &dyn Fn(&FieldDescriptor) -> bool| -> BTreeSet<String> {
        fields
            .iter()
            .filter(|field| is_one(field))
            .map(|field| field.json_name().to_owned())
            .collect()
    };
    let mut required = names(&|field| api.is_required(field));
    let always = ["Action", "Version", "Signature"].map(str::to_owned);
    let of_v1 = common.keys().filter(|name| *name != FORMAT).cloned();
    required.extend(always.into_iter().chain(of_v1));
    Named { required, enums: names(&|field| matches!(field.kind(), Kind::Enum(_))) }
}

#[cfg(test)]
mod tests;
