//! The common parameters (docs/protocol.md, "Common parameters"): what every signed request carries, what
//! is answered where one of them is wrong, and which answer comes first where several are.

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

/// An action that answers whatever the account has opened.
const STATUS: &str = "Action=DescribeUserCdnStatus";
/// What it answers for an account that has opened nothing.
const STATUS_JSON: &str = concat!(
    r#"{"RequestId":"REQUEST-ID","Enabled":false,"OnService":false,"#,
    r#""InDebt":false,"InDebtOverdue":false}"#
);

impl Api {
    /// A V1 GET, changed before it is signed.
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

    /// A V1 GET that is changed before it is signed is refused so, in both formats.
    async fn refuses(&self, key: &Key, change: impl Fn(&mut Parameters), refusal: &Refusal) {
        let json = self.get_changed(key, STATUS, &change).await;
        json.is(Format::Json, refusal);
        let xml = self.get_changed(key, "Action=DescribeUserCdnStatus&Format=XML", &change).await;
        xml.is(Format::Xml, refusal);
    }

    /// A V3 POST of the status action, not signed yet.
    fn status_draft(&self) -> DraftV3 {
        self.draft("DescribeUserCdnStatus", "2018-05-10", "")
    }

    /// A V3 POST that `prepare` changes and signs is refused so, in both formats.
    async fn refuses_v3(&self, prepare: impl Fn(DraftV3) -> DraftV3, refusal: &Refusal) {
        for (format, accept) in [(Format::Json, "application/json"), (Format::Xml, "text/xml")] {
            let draft = prepare(self.status_draft().with("accept", accept));
            self.send_draft(&draft).await.is(format, refusal);
        }
    }

    /// What a V3 client without a signature sends.
    async fn post_unsigned_v3(&self, action: &str, version: &str) -> Reply {
        self.send_draft(&self.draft(action, version, "")).await
    }

    /// A V1 request without a signature.
    async fn get_unsigned(&self, given: &str) -> Reply {
        self.send_get(&query(&parameters(given))).await
    }
}
