//! Runs one case on every wire: REST with both signatures in both formats, and gRPC. Answers have
//! one form, so that they can be compared.

use serde_json::{Value, json};
use tonic::Code;

use super::Api;
use super::grpc::GrpcRefusal;
use super::leaves::{Leaves, json_leaves, xml_leaves};
use super::rest::{Key, Reply, parameters, query};

/// A way to send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// V1, everything in the query, JSON.
    V1Get,
    /// V1, everything in the form, JSON.
    V1Post,
    /// V1 in XML.
    V1Xml,
    /// V3 in JSON.
    V3,
    /// V3 in XML.
    V3Xml,
    /// gRPC.
    Grpc,
}

/// The content of an answer on any wire, except the request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; over gRPC the one in the details.
    pub http: u16,
    /// Every text with its path.
    pub says: Leaves,
}

/// A documented refusal.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub http: u16,
    /// The code.
    pub code: &'static str,
    /// The message.
    pub message: &'static str,
    /// The gRPC status.
    pub grpc: Code,
}

impl Wire {
    /// All ways.
    pub const ALL: [Self; 6] =
        [Self::V1Get, Self::V1Post, Self::V1Xml, Self::V3, Self::V3Xml, Self::Grpc];
}

impl Answer {
    /// Returns `OK`, or the code of the refusal.
    pub fn code(&self) -> &str {
        let code = self.says.iter().find(|(path, _)| path == "Code");
        code.map_or("OK", |(_, code)| code)
    }

    fn of_reply(reply: &Reply, mut says: Leaves) -> Self {
        let request_id = take(&mut says, "RequestId");
        assert_eq!(request_id, reply.headers["x-acs-request-id"]);
        if reply.status != 200 {
            let host = take(&mut says, "HostId");
            assert!(["127.0.0.1", "localhost"].contains(&host.as_str()), "{host}");
        }
        // gRPC omits the fields that REST shows as these two empty ones.
        let may_be_empty = ["ChangingChargeType", "ChangingAffectTime"];
        says.retain(|(path, text)| !(text.is_empty() && may_be_empty.contains(&path.as_str())));
        Self { http: reply.status, says }
    }

    /// The answer to a call.
    pub fn of_call(called: Result<Value, GrpcRefusal>) -> Self {
        let (http, body) = match called {
            Ok(body) => (200, body),
            Err(GrpcRefusal { http, code, message, request_id, .. }) => {
                (http, json!({"RequestId": request_id, "Code": code, "Message": message}))
            }
        };
        let mut says = json_leaves(&body);
        let request_id = take(&mut says, "RequestId");
        assert_eq!((request_id.len(), request_id.to_uppercase()), (36, request_id.clone()));
        Self { http, says }
    }
}

fn take(says: &mut Leaves, path: &str) -> String {
    let found = says.iter().position(|(at, _)| at == path);
    says.remove(found.unwrap_or_else(|| panic!("no {path}: {says:?}"))).1
}

impl Api {
    /// Sends a request. `given` is like `Action=OpenCdnService&InternetChargeType=PayByTraffic`.
    pub async fn ask(&self, wire: Wire, key: &Key, given: &str) -> Answer {
        let xml = format!("{given}&Format=XML");
        match wire {
            Wire::Grpc => Answer::of_call(self.call(key, given).await),
            Wire::V1Get => json_answer(&self.get(key, given).await),
            Wire::V1Post => json_answer(&self.post(key, given).await),
            Wire::V3 => json_answer(&self.ask_v3(key, given, "application/json").await),
            Wire::V1Xml => xml_answer(&self.get(key, &xml).await),
            Wire::V3Xml => xml_answer(&self.ask_v3(key, given, "application/xml").await),
        }
    }

    async fn ask_v3(&self, key: &Key, given: &str, accept: &str) -> Reply {
        let common = self.common(key, given);
        let named = [("x-acs-action", &*common["Action"]), ("x-acs-version", &*common["Version"])];
        let mut own = parameters(given);
        own.retain(|name, _| name != "Action" && name != "Version");
        let headers = [("accept", accept), named[0], named[1]];
        let headers = self.sign_v3(key, "POST", &own, &headers, b"");
        let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        self.send("POST", &format!("/?{}", query(&own)), &headers, b"").await
    }

    /// Checks that the request is refused like this in JSON, in XML and over gRPC.
    pub async fn refuses_everywhere(&self, key: &Key, given: &str, expected: &Refusal) {
        let Refusal { http, code, message, .. } = *expected;
        let json = self.get(key, given).await;
        assert!(json.body.contains(&format!("\"{code}\"")), "{given}: {code}, not {}", json.body);
        json.refused(http, code, message);

        let xml = self.get(key, &format!("{given}&Format=XML")).await;
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>REQUEST-ID</RequestId>\
             <HostId>127.0.0.1</HostId><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        assert_eq!((xml.status, xml.body_without_request_id()), (http, body), "{given}");
        assert_eq!(xml.headers["content-type"], "text/xml;charset=utf-8");

        self.refuses_over_grpc(key, given, expected).await;
    }

    /// Checks that the request is refused like this over gRPC.
    pub async fn refuses_over_grpc(&self, key: &Key, given: &str, expected: &Refusal) {
        let refused = self.call(key, given).await.expect_err(given);
        let said = (refused.http, refused.code.as_str(), refused.message.as_str(), refused.grpc);
        let Refusal { http, code, message, grpc } = *expected;
        assert_eq!(said, (http, code, message, grpc), "{given}");
    }
}

/// Returns the content of a reply in JSON.
pub fn json_answer(reply: &Reply) -> Answer {
    assert_eq!(reply.headers["content-type"], "application/json;charset=utf-8");
    Answer::of_reply(reply, json_leaves(&reply.json()))
}

/// Returns the content of a reply in XML.
pub fn xml_answer(reply: &Reply) -> Answer {
    assert_eq!(reply.headers["content-type"], "text/xml;charset=utf-8");
    Answer::of_reply(reply, xml_leaves(&reply.body))
}
