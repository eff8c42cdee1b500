//! Captured requests of real clients. Their signatures are computed again and compared. The
//! requests are answered when they are sent again byte for byte, and when they are signed anew.

mod expected;
mod replayed;
mod resigned;
mod vectors;

use crate::support::captures::Capture;
use crate::support::refusals::Format;

/// Returns the format that a capture asks for.
fn format(capture: &Capture) -> Format {
    match (capture.is_v1(), capture.text("format")) {
        (false, _) | (true, "JSON" | "json") => Format::Json,
        (true, "XML" | "None") => Format::Xml,
        (true, other) => panic!("{}: {other}", capture.file),
    }
}
