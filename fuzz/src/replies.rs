//! Replies and error bodies: both formats parse again, and say the same.

use cdn_activation::error::denial::Denial;
use cdn_activation::error::{Error, Shown, status};
use cdn_activation::ids::RequestId;
use cdn_activation::rest::encode::{Body, refusal, reply};
use cdn_activation::rest::parameters::Format;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};

use super::parameters::{DISPATCH, action, two_lines};
use super::values::{assert_same, json, xml};

fn text(body: Body) -> String {
    String::from_utf8(body.text).expect("UTF-8")
}

/// The number of an action, then its reply as it is encoded.
pub fn replies(data: &[u8]) {
    let Some((number, message)) = data.split_first() else { return };
    let action = action(*number);
    both_formats(action, message);
    // Any message of the type, with its fields once and in their order, as the service writes them.
    if let Ok(message) = DynamicMessage::decode(action.0.output(), message) {
        let written = both_formats(action, &message.encode_to_vec());
        assert!(written || has_unknown(&message), "{message:?}");
    }
}

/// Returns whether a message has fields that its type does not have.
fn has_unknown(message: &DynamicMessage) -> bool {
    let is_unknown = |value: &Value| match value {
        Value::Message(message) => has_unknown(message),
        Value::List(items) => items.iter().filter_map(Value::as_message).any(has_unknown),
        _ => false,
    };
    message.unknown_fields().next().is_some()
        || message.fields().any(|(_, value)| is_unknown(value))
}

/// Returns whether the bytes are written. They need not be a message.
fn both_formats((method, version): &(MethodDescriptor, String), bytes: &[u8]) -> bool {
    let (_, rpc) = DISPATCH.find(method.name(), version).expect("it is there");
    match [Format::Json, Format::Xml].map(|format| reply(&rpc.reply, bytes, format)) {
        [Ok(in_json), Ok(in_xml)] => {
            let (in_json, in_xml) = (text(in_json), text(in_xml));
            assert_same(&xml(&in_xml), &json(&in_json));
            true
        }
        [Err(_), Err(_)] => false,
        [in_json, in_xml] => panic!("{in_json:?} {in_xml:?}"),
    }
}

/// A host on the first line, then a text that an error repeats.
pub fn refusals(data: &[u8]) {
    let Ok(text_of_caller) = std::str::from_utf8(data) else { return };
    let (host, rest) = two_lines(text_of_caller.as_bytes());
    let [host, rest] = [host, rest].map(|part| std::str::from_utf8(part).expect("cut at a line"));
    let denial = Denial { access_key_id: rest.into(), ..Denial::example() };
    let shown = || Shown::from(rest.to_owned());
    let request_id = RequestId::random();
    for error in [
        Error::invalid(rest.to_owned()),
        Error::missing(rest.to_owned()),
        Error::SignatureV1Mismatch(shown()),
        Error::SignatureV3Mismatch { string_to_sign: shown(), canonical_request: shown() },
        Error::ForbiddenByPolicy(Box::new(denial)),
    ] {
        let status = status::of(&error, &request_id, None);
        for explorer in [None, Some("https://explorer.example.com/explorer/")] {
            let [in_json, in_xml] = [Format::Json, Format::Xml].map(|format| {
                let body = refusal(&status, &request_id, host, format, explorer);
                assert_eq!(body.http_status, error.http_status());
                text(body)
            });
            let said = json(&in_json);
            assert_eq!(said["HostId"], *host);
            assert_eq!(said["Code"], *error.code());
            assert_eq!(said["Message"], *error.message());
            assert_same(&xml(&in_xml), &said);
        }
    }
}
