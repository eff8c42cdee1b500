//! The RPC query format on the wire (docs/protocol.md, "The RPC query format"): where parameters may
//! be, how they may be encoded, which format an answer has, and which requests are refused because
//! they cannot be read, are too large, or arrive too slowly.

mod broken_requests;
mod changed_bytes;
mod connections;
mod content_md5;
mod duplicates;
mod encodings;
mod formats;
mod limits;
mod methods_and_paths;
mod not_http;
mod placement;
mod request_ids;
mod slow_clients;
mod unreadable;

use crate::support::Api;
use crate::support::rest::Key;

/// The content type of a form.
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
/// An action whose answer repeats the period of the request.
const HISTORY: &str = concat!(
    "Action=DescribeCdnUserBillType",
    "&StartTime=2018-03-02T01:02:03Z&EndTime=2018-03-03T04:05:06Z"
);
/// Its answer for the key of [`cdn_account`].
const HISTORY_JSON: &str = concat!(
    r#"{"RequestId":"REQUEST-ID","BillTypeData":{"BillTypeDataItem":[{"#,
    r#""StartTime":"2018-03-02T01:02:03Z","EndTime":"2018-03-03T04:05:06Z","#,
    r#""BillType":"hour_flow","BillingCycle":"hour","Product":"cdn","Dimension":"flow"}]}}"#
);
/// The same in XML.
const HISTORY_XML: &str = concat!(
    "<?xml version='1.0' encoding='UTF-8'?><DescribeCdnUserBillTypeResponse>",
    "<RequestId>REQUEST-ID</RequestId><BillTypeData><BillTypeDataItem>",
    "<StartTime>2018-03-02T01:02:03Z</StartTime><EndTime>2018-03-03T04:05:06Z</EndTime>",
    "<BillType>hour_flow</BillType><BillingCycle>hour</BillingCycle><Product>cdn</Product>",
    "<Dimension>flow</Dimension></BillTypeDataItem></BillTypeData>",
    "</DescribeCdnUserBillTypeResponse>"
);

/// Creates an account that opens CDN before the period of [`HISTORY`]. Returns its key.
async fn cdn_account(api: &Api) -> Key {
    let key = api.account().await;
    api.at("2018-03-01T00:00:00Z");
    api.open_cdn(&key).await;
    key
}
