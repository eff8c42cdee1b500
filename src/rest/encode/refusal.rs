//! Writes a status as the error body.

use tonic::Status;
use tonic_types::StatusExt;

use super::{Body, Writer};
use crate::error::status::HTTP_STATUS;
use crate::error::texts;
use crate::ids::RequestId;
use crate::rest::parameters::Format;

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
    let code = info.map_or_else(|| "InternalError".to_owned(), |info| info.reason);
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
    writer.end_object();
    writer.end("Error");
    let retry_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    Body { http_status: http_status.unwrap_or(500), text: writer.out, retry_after }
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
