//! The signatures that are known: HMAC-SHA1 of version 1.0, and ACS3-HMAC-SHA256. Every other kind
//! is refused by its name, even with a valid MAC of a known kind.

use super::STATUS;
use crate::support::Api;
use crate::support::drafts::DraftV3;
use crate::support::refusals::{Format, INCOMPLETE_SIGNATURE, SIGNATURE_METHOD};
use crate::support::rest::Parameters;

#[tokio::test]
async fn v1_accepts_only_hmac_sha1_of_version_1() {
    let api = Api::start().await;
    let key = api.account().await;
    for (name, value) in [
        ("SignatureMethod", "HMAC-SHA256"),
        ("SignatureMethod", "SHA256withRSA"),
        ("SignatureMethod", "hmac-sha1"),
        ("SignatureMethod", "HMAC-SHA1 "),
        ("SignatureVersion", "2.0"),
        ("SignatureVersion", "1"),
        ("SignatureVersion", "1.00"),
        ("SignatureType", "BEARERTOKEN"),
        ("SignatureType", "PRIVATEKEY"),
        ("SignatureType", "None"),
    ] {
        let set = |parameters: &mut Parameters| {
            parameters.insert(name.to_owned(), value.to_owned());
        };
        api.refuses(&key, set, &SIGNATURE_METHOD).await;
        let form = api.post(&key, &format!("{STATUS}&{name}={value}")).await;
        form.is(Format::Json, &SIGNATURE_METHOD);
    }
}

#[tokio::test]
async fn v3_accepts_only_acs3_hmac_sha256() {
    let api = Api::start().await;
    let key = api.account().await;
    for algorithm in [
        "ACS3-HMAC-SM3",
        "ACS3-RSA-SHA256",
        "ACS4-HMAC-SHA256",
        "acs3-hmac-sha256",
        "ACS3-HMAC-SHA25",
        "ACS3-HMAC-SHA2566",
        "AWS4-HMAC-SHA256",
    ] {
        let prepare = |draft: DraftV3| {
            let draft = draft.signed(&key);
            let other = draft.headers["authorization"].replace("ACS3-HMAC-SHA256", algorithm);
            draft.with("authorization", &other)
        };
        api.refuses_v3(prepare, &SIGNATURE_METHOD).await;
    }
}

#[tokio::test]
async fn an_authorization_of_another_kind_is_refused_for_its_method() {
    let api = Api::start().await;
    for authorization in [
        "Bearer CAISexample+token/with==specials",
        "bearer token",
        "Basic dGVzdGlkOnRlc3RzZWNyZXQ=",
        "acs testid:KkkQOf0ymKf4yVZLggy6kYiwgFs=",
        "Digest username=\"testid\"",
        "token",
    ] {
        api.refuses_v3(|draft| draft.with("authorization", authorization), &SIGNATURE_METHOD).await;
    }
}

#[tokio::test]
async fn an_authorization_of_the_known_kind_that_cannot_be_parsed_is_incomplete() {
    let api = Api::start().await;
    let key = api.account().await;
    let good = api.status_draft().signed(&key);
    let fields = good.headers["authorization"].strip_prefix("ACS3-HMAC-SHA256 ");
    let fields = fields.expect("the algorithm").to_owned();
    let of = |part: &str| {
        let found = fields.split(',').find(|field| field.starts_with(part));
        found.expect("a field").to_owned()
    };
    let (credential, signed, signature) =
        (of("Credential="), of("SignedHeaders="), of("Signature="));
    for wrong in [
        String::new(),
        "what is this".to_owned(),
        format!("{credential},{signed}"),
        format!("{credential},{signature}"),
        format!("{signed},{signature}"),
        format!("Credential=,{signed},{signature}"),
        format!("{credential},SignedHeaders=,{signature}"),
        format!("{credential},{signed},Signature="),
        format!("{fields},{credential}"),
        format!("{fields},Extra=1"),
        format!("{fields},"),
        fields.replace(',', ";"),
        fields.replace("Credential", "credential"),
        fields.replace("Signature=", "Signature:"),
    ] {
        let authorization = format!("ACS3-HMAC-SHA256 {wrong}");
        api.refuses_v3(|draft| draft.with("authorization", &authorization), &INCOMPLETE_SIGNATURE)
            .await;
    }
}

/// The Java SDK writes the fields in another order, with blanks after the commas.
#[tokio::test]
async fn the_fields_of_an_authorization_may_come_in_any_order() {
    let api = Api::start().await;
    let key = api.account().await;
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for comma in [",", ", ", " ,  "] {
            let draft = api.status_draft().signed(&key);
            let fields = draft.headers["authorization"].strip_prefix("ACS3-HMAC-SHA256 ");
            let fields: Vec<_> = fields.expect("the algorithm").split(',').collect();
            let fields = order.map(|index| fields[index]).join(comma);
            let draft = draft.with("authorization", &format!("ACS3-HMAC-SHA256 {fields}"));
            api.send_draft(&draft).await.succeeded();
        }
    }
}
