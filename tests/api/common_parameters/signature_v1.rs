//! `SignatureDoesNotMatch` of V1. Its text is part of the protocol: an introduction that ends with
//! a colon, followed directly by the string to sign of the server, which clients compare with
//! their own.

use cdn_activation::domain::time;

use super::STATUS;
use crate::support::Api;
use crate::support::refusals::{Format, signature_v1_does_not_match};
use crate::support::rest::{Key, Parameters, query, string_to_sign_v1};

const FORM: &str = "application/x-www-form-urlencoded";

/// Returns the string that the server signs: all parameters except the signature.
fn server_string(method: &str, parameters: &Parameters) -> String {
    let mut signed = parameters.clone();
    signed.remove("Signature");
    string_to_sign_v1(method, &signed)
}

#[tokio::test]
async fn a_wrong_secret_is_answered_with_the_servers_string_to_sign() {
    let api = Api::start().await;
    let key = api.account().await;
    for secret in [String::new(), "testsecret".to_owned(), format!("{}&", key.secret)] {
        let wrong = Key { secret, ..key.clone() };
        for (name, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
            let given = format!("{STATUS}&Format={name}&Extra=<a&b=\"é 打开'>~*");
            let signed = api.sign(&wrong, "GET", api.common(&wrong, &given));
            let refusal = signature_v1_does_not_match(&server_string("GET", &signed));
            api.send_get(&query(&signed)).await.is(format, &refusal);
        }
    }
}

/// The expected text is written out here, so that it is not computed by the same rules as the
/// answer.
#[tokio::test]
async fn the_refusal_has_exactly_the_documented_text() {
    let api = Api::start().await;
    let key = api.account().await;
    api.clock.set_wire_now(time::parse("2024-02-29T12:00:00Z").expect("an instant"));
    let given = |format: &str| {
        format!(
            "Action=DescribeUserCdnStatus&Version=2018-05-10&AccessKeyId={}&Format={format}\
             &SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&SignatureNonce=n%201\
             &Timestamp=2024-02-29T12%3A00%3A00Z&Signature=KkkQOf0ymKf4yVZLggy6kYiwgFs%3D\
             &SignatureType=&Key=a%2Ab",
            key.id,
        )
    };
    let json = api.send_get(&given("JSON")).await;
    let expected = format!(
        "{{\"RequestId\":\"REQUEST-ID\",\"HostId\":\"127.0.0.1\",\"Code\":\"SignatureDoesNotMatch\",\
         \"Message\":\"Specified signature is not matched with our calculation. server string to \
         sign is:GET&%2F&AccessKeyId%3D{}%26Action%3DDescribeUserCdnStatus%26Format%3DJSON%26\
         Key%3Da%252Ab%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dn%25201%26SignatureType%3D\
         %26SignatureVersion%3D1.0%26Timestamp%3D2024-02-29T12%253A00%253A00Z%26Version%3D2018-05-10\"}}",
        key.id,
    );
    assert_eq!((json.status, json.body_without_request_id()), (400, expected));
    let xml = api.send_get(&given("XML")).await;
    let expected = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>REQUEST-ID</RequestId><HostId>\
         127.0.0.1</HostId><Code>SignatureDoesNotMatch</Code><Message>Specified signature is not \
         matched with our calculation. server string to sign is:GET&amp;%2F&amp;AccessKeyId%3D{}%26\
         Action%3DDescribeUserCdnStatus%26Format%3DXML%26Key%3Da%252Ab%26SignatureMethod%3DHMAC-SHA1\
         %26SignatureNonce%3Dn%25201%26SignatureType%3D%26SignatureVersion%3D1.0%26Timestamp%3D2024-02-29T12%253A00%253A00Z%26\
         Version%3D2018-05-10</Message></Error>",
        key.id,
    );
    assert_eq!((xml.status, xml.body_without_request_id()), (400, expected));
    // The classic Python SDK takes the text after the first colon.
    let message = json.text("Message");
    assert_eq!(message.matches(':').count(), 1, "{message}");
}

/// Changes a signed request.
type Change = fn(&mut Parameters);

#[tokio::test]
async fn every_change_after_signing_is_detected() {
    let api = Api::start().await;
    let key = api.account().await;
    let changes: [(&str, Change); 6] = [
        ("another value", |all| drop(all.insert("Owner".to_owned(), "2".to_owned()))),
        ("another letter case", |all| drop(all.insert("Owner".to_owned(), "a".to_owned()))),
        ("an empty value", |all| drop(all.insert("Owner".to_owned(), String::new()))),
        ("an added parameter", |all| drop(all.insert("Extra".to_owned(), String::new()))),
        ("a removed parameter", |all| drop(all.remove("Owner"))),
        ("another name", |all| {
            all.remove("Owner");
            all.insert("owner".to_owned(), "A".to_owned());
        }),
    ];
    for (what, change) in changes {
        let given = format!("{STATUS}&Owner=A");
        let mut signed = api.sign(&key, "GET", api.common(&key, &given));
        change(&mut signed);
        let refusal = signature_v1_does_not_match(&server_string("GET", &signed));
        let reply = api.send_get(&query(&signed)).await;
        assert_eq!(reply.text("Code"), "SignatureDoesNotMatch", "{what}");
        reply.is(Format::Json, &refusal);
    }
}

#[tokio::test]
async fn the_method_is_signed() {
    let api = Api::start().await;
    let key = api.account().await;
    for (signed_as, sent_as) in [("GET", "POST"), ("POST", "GET"), ("get", "GET")] {
        let signed = api.sign(&key, signed_as, api.common(&key, STATUS));
        let refusal = signature_v1_does_not_match(&server_string(sent_as, &signed));
        let target = format!("/?{}", query(&signed));
        api.send(sent_as, &target, &[], b"").await.is(Format::Json, &refusal);
    }
}

#[tokio::test]
async fn a_form_is_signed_together_with_the_query() {
    let api = Api::start().await;
    let key = api.account().await;
    let mut signed = api.sign(&key, "POST", api.common(&key, STATUS));
    signed.insert("Added".to_owned(), "later".to_owned());
    let refusal = signature_v1_does_not_match(&server_string("POST", &signed));
    let (query_part, form): (Parameters, Parameters) =
        signed.into_iter().partition(|(name, _)| name.as_str() < "Format");
    let target = format!("/?{}", query(&query_part));
    let body = query(&form);
    let reply = api.send("POST", &target, &[("Content-Type", FORM)], body.as_bytes()).await;
    reply.is(Format::Json, &refusal);
}

#[tokio::test]
async fn a_signature_that_is_not_a_mac_does_not_match() {
    let api = Api::start().await;
    let key = api.account().await;
    let good = api.sign(&key, "GET", api.common(&key, STATUS));
    let mac = good["Signature"].clone();
    for signature in [
        "x".to_owned(),
        "=".to_owned(),
        "AAAA".to_owned(),
        "A".repeat(3000),
        "é".to_owned(),
        mac.to_lowercase(),
        mac.trim_end_matches('=').to_owned(),
        format!("{mac}="),
        format!(" {mac}"),
        format!("{mac}AAAA"),
        mac[..24].to_owned(),
    ] {
        let mut changed = good.clone();
        changed.insert("Signature".to_owned(), signature);
        let refusal = signature_v1_does_not_match(&server_string("GET", &changed));
        api.send_get(&query(&changed)).await.is(Format::Json, &refusal);
    }
    api.send_get(&query(&good)).await.succeeded(); // no refusal has used the nonce up
}
