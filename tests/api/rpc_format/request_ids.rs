//! Request ids over the RPC query format.

use crate::support::Api;

#[tokio::test]
async fn a_uuid_in_x_request_id_is_the_request_id_and_anything_else_is_not() {
    let api = Api::start().await;
    let key = api.account().await;
    let parameters = api.common(&key, "Action=DescribeUserCdnStatus");
    let given = "8c9d36a3-5c1d-4b52-8d33-5a3f2d4f5e6a";
    for (given, used) in [(given, true), ("my-request-7", false)] {
        let mut parameters = parameters.clone();
        parameters.insert("SignatureNonce".to_owned(), given.to_owned());
        let query = crate::support::rest::query(&api.sign(&key, "GET", parameters));
        let reply = api.send("GET", &format!("/?{query}"), &[("x-request-id", given)], b"").await;
        reply.succeeded();
        let id = reply.text("RequestId");
        assert_eq!(id == given.to_ascii_uppercase(), used, "{id}");
        assert_eq!(reply.headers["x-acs-request-id"], id);
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
