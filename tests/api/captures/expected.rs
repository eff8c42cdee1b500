//! The expected answer to a captured request, whichever client sent it: the answer that gRPC gives
//! to an account in the same state.

use serde_json::Value;

use super::format;
use crate::support::Api;
use crate::support::captures::Capture;
use crate::support::refusals::{
    Format, INVALID_VERSION, Refusal, TOKEN_MISMATCH, invalid, missing,
};
use crate::support::rest::{Key, Parameters, Reply};
use crate::support::wires::{Answer, json_answer, xml_answer};

/// Returns the refusal if the request does not reach the action, whichever key signs it.
pub fn refused_before_the_action(capture: &Capture) -> Option<Refusal> {
    let of_token = || capture.has_security_token().then_some(TOKEN_MISMATCH);
    refused_with_a_valid_token(capture).or_else(of_token)
}

/// The same if the security token, if there is one, belongs to the key.
fn refused_with_a_valid_token(capture: &Capture) -> Option<Refusal> {
    if capture.text("version") == "2015-01-09" {
        return Some(INVALID_VERSION); // one client uses this version for all requests
    }
    let content_type = capture.request.header("content-type").unwrap_or_default();
    if content_type.starts_with("application/json") && !capture.request.body.is_empty() {
        return Some(invalid("Content-Type")); // such a body is not read
    }
    matches!(capture.text("scheme"), "none" | "bearer").then(|| missing("AccessKeyId"))
}

/// Returns a refusal as an answer.
pub fn answer_of(refusal: &Refusal) -> Answer {
    let says = [("Code", &refusal.code), ("Message", &refusal.message)];
    let says = says.map(|(path, text)| (path.to_owned(), text.clone().into_owned()));
    Answer { http: refusal.status, says: says.into() }
}

/// Returns the expected answer. If the request reaches the action, it is the answer of gRPC to the
/// account of `twin`, which is in the same state as the account that signed.
pub async fn expected(api: &Api, capture: &Capture, twin: &Key) -> Answer {
    match refused_before_the_action(capture) {
        Some(refusal) => answer_of(&refusal),
        None => answer_over_grpc(api, capture, twin).await,
    }
}

/// The same for a capture whose security token was replaced by one that belongs to the key.
pub async fn expected_with_a_valid_token(api: &Api, capture: &Capture, twin: &Key) -> Answer {
    match refused_with_a_valid_token(capture) {
        Some(refusal) => answer_of(&refusal),
        None => answer_over_grpc(api, capture, twin).await,
    }
}

async fn answer_over_grpc(api: &Api, capture: &Capture, twin: &Key) -> Answer {
    let given = capture.says["business_params"].as_object().expect("an object").iter();
    let given = given.map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()));
    let mut given: Parameters = given.collect();
    given.insert("Action".to_owned(), capture.text("action").to_owned());
    let mut answer = without_instance(Answer::of_call(api.call_with(twin, &given).await));
    if capture.text("version") == "2014-11-11" {
        // In API version 2014-11-11, "not opened" is a denied operation. gRPC answers as the newest
        // version does.
        let code = answer.says.iter_mut().find(|(path, _)| path == "Code");
        if let Some((_, code)) = code.filter(|(_, code)| code == "CdnServiceNotFound") {
            "OperationDenied".clone_into(code);
        }
    }
    answer
}

/// Returns the content of a reply in the format that the capture asks for, without the id of the
/// instance.
pub fn actual(capture: &Capture, reply: &Reply) -> Answer {
    without_instance(match format(capture) {
        Format::Json => json_answer(reply),
        Format::Xml => xml_answer(reply),
    })
}

fn without_instance(mut answer: Answer) -> Answer {
    answer.says.retain(|(path, _)| path != "InstanceId");
    answer
}

/// Returns the charge types that are stored if this capture is an opening that succeeds.
pub fn opened_types(capture: &Capture, reply: &Reply) -> Vec<String> {
    let parameters: &Value = &capture.says["business_params"];
    let text =
        |name: &str, otherwise: &str| parameters[name].as_str().unwrap_or(otherwise).to_owned();
    match (reply.status, capture.text("action")) {
        (200, "OpenCdnService") => vec![text("InternetChargeType", "PayByTraffic")],
        (200, "OpenDcdnService") => {
            vec![format!("{} {}", text("BillType", "-"), text("WebsocketBillType", "-"))]
        }
        _ => Vec::new(),
    }
}
