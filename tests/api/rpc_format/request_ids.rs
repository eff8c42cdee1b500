//! Request ids over the RPC query format.

use crate::support::Api;

#[tokio::test]
async fn every_request_gets_a_new_request_id_whatever_the_caller_sends() {
    let api = Api::start().await;
    let key = api.account().await;
    let parameters = api.common(&key, "Action=DescribeUserCdnStatus");
    let given = "8c9d36a3-5c1d-4b52-8d33-5a3f2d4f5e6a";
    let mut seen = std::collections::HashSet::new();
    for (nonce, given) in [("1", given), ("2", given), ("3", "my-request-7")] {
        let mut parameters = parameters.clone();
        parameters.insert("SignatureNonce".to_owned(), nonce.to_owned());
        let query = crate::support::rest::query(&api.sign(&key, "GET", parameters));
        let reply = api.send("GET", &format!("/?{query}"), &[("x-request-id", given)], b"").await;
        reply.succeeded();
        let id = reply.text("RequestId");
        assert!(!id.eq_ignore_ascii_case(given), "{id}");
        assert_eq!(reply.headers["x-acs-request-id"], id);
        assert!(seen.insert(id), "each request has its own id");
    }
}

#[tokio::test]
async fn an_authorization_of_a_proxy_does_not_hide_a_v1_signature() {
    let api = Api::start().await;
    let key = api.account().await;
    let signed = api.sign(&key, "GET", api.common(&key, "Action=DescribeUserCdnStatus"));
    let query = crate::support::rest::query(&signed);
    let headers = [("Authorization", "Basic cHJveHk6cHJveHk=")];
    api.send("GET", &format!("/?{query}"), &headers, b"").await.succeeded();
}
