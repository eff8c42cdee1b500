//! Captured requests of real clients: their signatures are computed as the clients computed them, and
//! the requests are answered, byte for byte as they were sent and signed anew.

mod expected;
mod replayed;
mod resigned;
mod vectors;

use crate::support::captures::Capture;
use crate::support::refusals::Format;

/// The format that a capture asks for.
fn format(capture: &Capture) -> Format {
    match (capture.is_v1(), capture.text("format")) {
        (false, _) | (true, "JSON" | "json") => Format::Json,
        (true, "XML" | "None") => Format::Xml,
        (true, other) => panic!("{}: {other}", capture.file),
    }
}
