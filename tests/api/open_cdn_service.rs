//! OpenCdnService (seed: OpenCdnService).

use crate::support::Api;

#[tokio::test]
async fn an_account_opens_only_once() {
    let api = Api::start().await;
    let key = api.account().await;
    let opened = api.get(&key, "Action=OpenCdnService&InternetChargeType=PayByBandwidth").await;
    assert_eq!(opened.succeeded().body_without_request_id(), r#"{"RequestId":"REQUEST-ID"}"#);
    let again = api.get(&key, "Action=OpenCdnService").await;
    again.refused(400, "CdnService.HasOpened", "Your cdn service has opened.");
    assert_eq!(api.database.count("SELECT count(*) FROM orders").await, 1);
}
