//! Callers without credentials can cause a limited number of log lines, however many calls they make
//! and whatever they send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::database::Database;
use crate::support::process::Program;
use crate::support::serve_process::Deployment;

const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Number of streams at once, fewer than a connection may have open.
const AT_ONCE: u32 = 100;

/// Returns a frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Encodes the length of a header's value with a prefix of 7 bits (RFC 7541, section 5.1).
fn hpack_length(length: usize) -> Vec<u8> {
    let Some(mut rest) = length.checked_sub(127) else {
        return vec![u8::try_from(length).expect("short")];
    };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("7 bits") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("7 bits"));
    bytes
}

/// Reads frames until this number of streams has ended.
fn read_ends(connection: &mut TcpStream, streams: u32) {
    let mut ended = 0;
    while ended < streams {
        let mut head = [0; 9];
        connection.read_exact(&mut head).expect("every call is answered");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("short")];
        connection.read_exact(&mut payload).expect("a whole frame");
        ended += u32::from(head[3] == HEADERS && head[4] & END_STREAM != 0);
    }
}

/// Makes calls of one path, which is sent once and from then on as its index in the header table.
/// Returns the number of bytes that were sent.
fn flood(address: SocketAddr, path: &str, calls: u32) -> usize {
    let mut connection = TcpStream::connect(address).expect("it listens");
    connection.set_read_timeout(Some(Duration::from_mins(1))).expect("a time");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[])); // SETTINGS
    let (post, http, path_to_be_indexed, indexes) = (0x83, 0x86, 0x44, [0xbf, 0xbe]);
    let path = [&hpack_length(path.len()), path.as_bytes()].concat();
    let content_type = b"\x5f\x10application/grpc"; // added to the table, too
    let first = [&[post, http, path_to_be_indexed][..], &path, content_type].concat();
    let mut sent = 0;
    for call in 0..calls {
        let headers = if call == 0 { &first[..] } else { &[post, http, indexes[0], indexes[1]] };
        bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, 2 * call + 1, headers));
        if (call + 1) % AT_ONCE == 0 {
            connection.write_all(&bytes).expect("it reads");
            sent += bytes.len();
            bytes.clear();
            read_ends(&mut connection, AT_ONCE);
        }
    }
    sent
}

#[tokio::test]
async fn a_flood_of_refused_calls_leaves_a_bounded_number_of_short_lines_and_is_counted() {
    const CALLS: u32 = 25_000;
    let database = Database::fresh().await;
    let deployment = Deployment::new(&database);
    let mut program = Program::spawn(deployment.serve(&[]));
    let api = program.ready().await;
    let (grpc, began) = (api.addresses.grpc, Instant::now());
    let path = format!("/{}/x", "path".repeat(950));
    let flooding = tokio::task::spawn_blocking(move || flood(grpc, &path, CALLS));
    let sent = flooding.await.expect("every call is answered");
    assert!(sent < 350_000, "{sent}");
    let suppressed = api.metric("log_lines_suppressed_total").await.expect("counted");
    assert!(
        !api.page("/metrics").await.body.contains("pathpath"),
        "no label has a text of a caller"
    );
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let lines: Vec<Value> = ended.stdout.lines().skip(1).map(json).collect();
    let refused = lines.iter().filter(|line| line["message"] == "refused").count();
    let seconds = usize::try_from(began.elapsed().as_secs()).expect("short");
    assert!(refused >= 200 && refused <= 200 + 50 * (seconds + 1), "{refused} in {seconds} s");
    let refused_line = lines.iter().find(|line| line["message"] == "refused").expect("one");
    assert_eq!(
        [&refused_line["action"], &refused_line["code"]],
        ["_OTHER", "InvalidAction.NotFound"]
    );
    let reports: Vec<_> = lines.iter().filter(|line| line["lines"].is_u64()).collect();
    assert!(reports.len() <= seconds + 2, "one line a second: {reports:?}");
    let missing: u64 = reports.iter().filter_map(|line| line["lines"].as_u64()).sum();
    let missing = u32::try_from(missing).expect("few");
    assert_eq!(missing + u32::try_from(refused).expect("few"), CALLS);
    assert!((suppressed - f64::from(missing)).abs() < 1.0, "{suppressed} {missing}");
    assert!(ended.stdout.len() < 1_000_000, "{} bytes of log", ended.stdout.len());
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))
}
