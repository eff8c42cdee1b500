//! Responses to requests that are refused or fail, from the error table. Each HTTP status is one
//! response of the components. Its schema lists the documented codes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::operations::{content, response_headers};
use super::schemas::reference;
use crate::domain::{Product, Refusal};
use crate::error::denial::TOLD;
use crate::error::{Denial, Error, FlowLimit, Shown};

/// Stands for the name of a parameter in a code or in a message, as in `docs/errors.md`.
const PARAMETER: &str = "{parameter}";

/// The names of parameters that codes contain.
pub(super) struct Named {
    /// Those that a request must have.
    pub required: BTreeSet<String>,
    /// Those with a list of values.
    pub enums: BTreeSet<String>,
}

/// A documented error.
struct Row {
    code: String,
    message: String,
}

/// Adds the responses and their schemas to the components, and returns the references by status.
pub(super) fn responses(
    named: &Named,
    responses: &mut Map<String, Value>,
    schemas: &mut Map<String, Value>,
) -> Map<String, Value> {
    let mut references = Map::new();
    for (status, rows) in by_status(named) {
        let name = format!("Error{status}");
        let codes = rows.iter().map(|row| row.code.as_str());
        let codes: BTreeSet<_> = codes.collect();
        let denied = Error::ForbiddenByPolicy(Box::new(Denial::example()));
        let mut body = body(&codes);
        if codes.contains(&*denied.code()) {
            body["properties"]["AccessDeniedDetail"] = denial();
        }
        schemas.insert(name.clone(), body);
        let lines = rows.iter().map(|row| format!("* `{}`: {}", row.code, row.message));
        let mut headers = response_headers();
        if status == Error::UnsupportedHttpMethod.http_status() {
            let allow = json!({ "required": true, "schema": { "const": "GET, POST" } });
            headers["Allow"] = allow;
        }
        if codes.contains("Throttling") {
            headers["X-Acs-Retry-After"] = json!({
                "description": "With a code Throttling…: after how many milliseconds the request can \
                    be sent again.",
                "schema": { "type": "string", "pattern": "^[1-9][0-9]*$" },
            });
            headers["X-RateLimit-User-API"] = json!({
                "description": "With a code Throttling…: the same.",
                "schema": { "type": "string", "pattern": "^Remain:0,TimeLeft:[1-9][0-9]*$" },
            });
        }
        let response = json!({
            "description": lines.collect::<Vec<_>>().join("\n"),
            "headers": headers,
            "content": content(&reference(&name)),
        });
        responses.insert(name.clone(), response);
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        references.insert(status.to_string(), reference);
    }
    references
}

/// Returns the schema of an error body. `Recommend` is there if the service knows the address of
/// its error center.
fn body(codes: &BTreeSet<&str>) -> Value {
    json!({
        "type": "object",
        "title": "Error",
        "required": ["RequestId", "HostId", "Code", "Message"],
        "properties": {
            "RequestId": {
                "type": "string",
                "description": "Id of the request: a UUID in upper case.",
                "pattern": "^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$",
            },
            "HostId": {
                "type": "string",
                "description": "The host that the client addressed, without the port.",
            },
            "Code": { "type": "string", "enum": codes },
            "Message": { "type": "string" },
            "Recommend": {
                "type": "string",
                "description": "Address of a page about the code.",
            },
        },
        "additionalProperties": false,
        "xml": { "name": "Error" },
    })
}

/// Returns the schema of the detail with which a denial by a policy is answered.
fn denial() -> Value {
    let names = TOLD.map(|(_, name)| name);
    let members: Map<_, _> =
        names.map(|name| (name.to_owned(), json!({ "type": "string" }))).into_iter().collect();
    json!({
        "type": "object",
        "description": "Which policy does not allow the action. Only with `Forbidden.RAM`.",
        "required": names,
        "properties": members,
        "additionalProperties": false,
    })
}

fn by_status(named: &Named) -> BTreeMap<u16, Vec<Row>> {
    let mut by_status = BTreeMap::<_, Vec<_>>::new();
    for error in all() {
        let code = error.code();
        let of_parameters = match &error {
            _ if !code.contains(PARAMETER) => &BTreeSet::from([String::new()]),
            Error::MissingParameter(_) => &named.required,
            _ => &named.enums,
        };
        let rows = of_parameters.iter().map(|name| Row {
            code: code.replace(PARAMETER, name),
            message: error.message().replace(PARAMETER, if name.is_empty() { "…" } else { name }),
        });
        by_status.entry(error.http_status()).or_default().extend(rows);
    }
    by_status
}

/// Returns every error that the RPC query format can answer. A test holds the list equal to the
/// sections of `docs/errors.md` about it.
fn all() -> Vec<Error> {
    use Refusal::{
        AlreadyOpened, BidUser, ChangePending, InsufficientBalance, IntlNotAuthorized,
        InvalidComponent, InvalidPaymentMethod, NoRealNameAuthentication, NotOpened,
        OrderNotCreated, ProfileIncomplete, Suspended, ValueNotSupported,
    };
    let refusals = [
        ValueNotSupported(PARAMETER),
        InvalidComponent(PARAMETER),
        BidUser,
        IntlNotAuthorized,
        AlreadyOpened(Product::Cdn),
        AlreadyOpened(Product::Dcdn),
        NoRealNameAuthentication,
        ProfileIncomplete(Product::Cdn),
        ProfileIncomplete(Product::Dcdn),
        InvalidPaymentMethod,
        InsufficientBalance,
        OrderNotCreated,
        NotOpened(Product::Cdn),
        NotOpened(Product::Dcdn),
        Suspended,
        ChangePending,
    ];
    let shown = |name: &str| Shown::from(name.to_owned());
    let limit = || FlowLimit::new(Duration::ZERO, "", "");
    let others = [
        Error::missing(PARAMETER),
        Error::invalid(PARAMETER),
        Error::RequestTooLarge,
        Error::MalformedRequest,
        Error::RequestTimeout,
        Error::ActionNotFound,
        Error::InvalidVersion,
        Error::UnsupportedHttpMethod,
        Error::InvalidFormat,
        Error::ContentMd5NotMatched,
        Error::AccessKeyNotFound,
        Error::AccessKeyInactive,
        Error::SecurityTokenMismatch,
        Error::SecurityTokenMalformed,
        Error::SecurityTokenExpired,
        Error::TimestampFormat,
        Error::TimestampExpired,
        Error::InvalidSignatureMethod,
        Error::IncompleteSignature,
        Error::SignatureV1Mismatch(shown("{string_to_sign}")),
        Error::SignatureV3Mismatch {
            string_to_sign: shown("{string_to_sign}"),
            canonical_request: shown("{canonical_request}"),
        },
        Error::NonceUsed,
        Error::ForbiddenByPolicy(Box::new(Denial::example())),
        Error::ThrottledUser(limit()),
        Error::Throttled(limit()),
        Error::Contended,
        Error::DeadlineExceeded,
        Error::internal("an example"),
    ];
    refusals.into_iter().map(Error::Refused).chain(others).collect()
}
