//! The common parameters (docs/protocol.md, "Common parameters"): the parameters that every signed
//! request has, the answer if one of them is wrong, and the error that is reported first if
//! several are wrong.

mod actions;
mod keys;
mod missing;
mod nonces;
mod order;
mod order_v1;
mod order_v3;
mod permissions;
mod signature_methods;
mod signature_v1;
mod signature_v3;
mod signed_headers;
mod timestamps;

use crate::support::Api;
use crate::support::drafts::DraftV3;
use crate::support::refusals::{Format, Refusal};
use crate::support::rest::{Key, Parameters, Reply, parameters, query};

/// An action that succeeds whatever the account has opened.
const STATUS: &str = "Action=DescribeUserCdnStatus";
/// The answer of this action to an account that has opened nothing.
const STATUS_JSON: &str = concat!(
    r#"{"RequestId":"REQUEST-ID","Enabled":false,"OnService":false,"#,
    r#""InDebt":false,"InDebtOverdue":false}"#
);

impl Api {
    /// Sends a V1 GET that is changed before it is signed.
    async fn get_changed(
        &self,
        key: &Key,
        given: &str,
        change: impl FnOnce(&mut Parameters),
    ) -> Reply {
        let mut parameters = self.common(key, given);
        change(&mut parameters);
        self.send_get(&query(&self.sign(key, "GET", parameters))).await
    }

    /// Checks that a V1 GET that is changed before it is signed is refused like this, in both
    /// formats.
    async fn refuses(&self, key: &Key, change: impl Fn(&mut Parameters), refusal: &Refusal) {
        let json = self.get_changed(key, STATUS, &change).await;
        json.is(Format::Json, refusal);
        let xml = self.get_changed(key, "Action=DescribeUserCdnStatus&Format=XML", &change).await;
        xml.is(Format::Xml, refusal);
    }

    /// Returns a V3 POST of the status action that is not signed yet.
    fn status_draft(&self) -> DraftV3 {
        self.draft("DescribeUserCdnStatus", "2018-05-10", "")
    }

    /// Checks that a V3 POST that `prepare` changes and signs is refused like this, in both
    /// formats.
    async fn refuses_v3(&self, prepare: impl Fn(DraftV3) -> DraftV3, refusal: &Refusal) {
        for (format, accept) in [(Format::Json, "application/json"), (Format::Xml, "text/xml")] {
            let draft = prepare(self.status_draft().with("accept", accept));
            self.send_draft(&draft).await.is(format, refusal);
        }
    }

    /// Sends a V3 request without a signature.
    async fn post_unsigned_v3(&self, action: &str, version: &str) -> Reply {
        self.send_draft(&self.draft(action, version, "")).await
    }

    /// Sends a V1 request without a signature.
    async fn get_unsigned(&self, given: &str) -> Reply {
        self.send_get(&query(&parameters(given))).await
    }
}
