//! Writes a status as the error body.

use std::collections::HashMap;

use tonic::Status;
use tonic_types::StatusExt;

use super::{Body, Writer};
use crate::error::denial::TOLD;
use crate::error::status::HTTP_STATUS;
use crate::error::texts;
use crate::ids::RequestId;
use crate::rest::parameters::Format;

/// The member of an error body that says which policy does not allow the action.
const ACCESS_DENIED_DETAIL: &str = "AccessDeniedDetail";

/// Writes the body of an error. It contains exactly what a gRPC client can read in the status, and
/// the address of the page about its code if there is an explorer.
#[must_use]
pub fn refusal(
    status: &Status,
    request_id: &RequestId,
    host_id: &str,
    format: Format,
    explorer_url: Option<&str>,
) -> Body {
    let info = status.get_details_error_info();
    let http_status = info
        .as_ref()
        .and_then(|info| info.metadata.get(HTTP_STATUS))
        .and_then(|number| number.parse().ok());
    let (code, metadata) = info.map_or_else(
        || ("InternalError".to_owned(), HashMap::new()),
        |info| (info.reason, info.metadata),
    );
    let mut writer = Writer::new(format);
    writer.begin_root("Error");
    writer.begin_object();
    for (name, text) in [
        ("RequestId", request_id.as_str()),
        ("HostId", host_id),
        ("Code", &code),
        ("Message", status.message()),
    ] {
        writer.text_member(name, text);
    }
    if let Some(explorer_url) = explorer_url {
        writer.begin("Recommend");
        writer.link(&texts::address(explorer_url, &code));
        writer.end("Recommend");
    }
    if let Some(told) = told(&metadata) {
        writer.begin(ACCESS_DENIED_DETAIL);
        writer.begin_object();
        for (name, value) in told {
            writer.text_member(name, value);
        }
        writer.end_object();
        writer.end(ACCESS_DENIED_DETAIL);
    }
    writer.end_object();
    writer.end("Error");
    let retry_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    Body { http_status: http_status.unwrap_or(500), text: writer.out, retry_after }
}

/// Returns the members of `AccessDeniedDetail`, if the status tells of a denial.
fn told(metadata: &HashMap<String, String>) -> Option<Vec<(&'static str, &str)>> {
    let told = |(key, name)| metadata.get(key).map(|value| (name, value.as_str()));
    TOLD.into_iter().map(told).collect()
}

impl Writer {
    /// Writes an address: a text in JSON, a CDATA section in XML. An address has no `>`, which the
    /// setting and the escaping see to, and so does not end the section.
    fn link(&mut self, address: &str) {
        match self.format {
            Format::Json => self.text(address),
            Format::Xml => {
                self.push("<![CDATA[");
                self.push(address);
                self.push("]]>");
            }
        }
    }
}
