//! Callers that share an HTTP/2 connection: each has a stream of its own at a time, and sends its
//! next call when its answer is there and has been checked.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::Registry;

use super::buffers::Connection;
use super::frames::{
    FIRST_WINDOW, FRAME_HEADER, Frame, Template, flag, kind, put, put_digits, put_preface,
    put_window_update,
};
use super::hpack::Table;
use super::{Caller, Work};

/// What an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It names the account's instance.
    OwnInstance,
    /// It names an instance, of an account that the server made up.
    AnyInstance,
    /// It has a request id and nothing else.
    RequestId,
}

/// Length of a message with a request id: tag, length, 36 characters.
const REQUEST_ID: usize = 38;
/// Length of gRPC's own header before a message.
const MESSAGE_HEADER: usize = 5;
/// The window is enlarged when so much was received.
const WINDOW_STEP: usize = 1 << 24;

/// The stream of a connection's first call.
const FIRST_STREAM: u32 = 1;

/// The callers of one connection.
pub struct GrpcCaller {
    connection: Connection,
    template: Template,
    expected: Expected,
    /// Streams by caller; 0 where a caller rests.
    streams: Vec<u32>,
    table: Table,
    calls: Vec<Call>,
    next_stream: u32,
    may_send: i64,
    received: usize,
}

struct Call {
    account: u64,
    sent: Instant,
    answer: Vec<u8>,
}

impl GrpcCaller {
    /// Connects `callers` callers.
    pub fn connect(
        address: SocketAddr,
        registry: &Registry,
        token: usize,
        callers: usize,
        (template, expected): (&Template, Expected),
    ) -> io::Result<Self> {
        let mut connection = Connection::open(address, registry, token)?;
        put_preface(&mut connection.out);
        connection.flush()?;
        let resting = || Call { account: 0, sent: Instant::now(), answer: Vec::with_capacity(512) };
        Ok(Self {
            connection,
            template: template.clone(),
            expected,
            streams: vec![0; callers],
            table: Table::default(),
            calls: (0..callers).map(|_| resting()).collect(),
            next_stream: FIRST_STREAM,
            may_send: FIRST_WINDOW,
            received: 0,
        })
    }

    fn send(&mut self, caller: usize, now: Instant, work: &mut Work<'_>) {
        self.streams[caller] = 0;
        let Some(account) = work.next_account() else { return };
        self.may_send -= self.template.window;
        if self.may_send < 0 {
            // Never seen: a server enlarges the window long before. The caller rests from now on.
            return work.record.wrong(1, || "the server does not enlarge its window".to_owned());
        }
        let is_first = self.next_stream == FIRST_STREAM;
        self.template.put(&mut self.connection.out, is_first, self.next_stream, account);
        self.streams[caller] = self.next_stream;
        self.next_stream += 2;
        let call = &mut self.calls[caller];
        (call.account, call.sent) = (account, now);
        call.answer.clear();
    }

    /// Handles the frames that are there.
    fn handle(&mut self, now: Instant, work: &mut Work<'_>) -> io::Result<()> {
        let mut used = 0;
        let mut ended = Vec::new();
        while let Some((frame, length)) = Frame::first(&self.connection.unused()[used..]) {
            used += length;
            match frame.kind {
                kind::DATA => {
                    self.received += length - FRAME_HEADER;
                    if let Some(caller) = position(&self.streams, frame.stream) {
                        self.calls[caller].answer.extend_from_slice(frame.content());
                        if frame.has(flag::END_STREAM) {
                            ended.push((caller, Some("an answer without a status".to_owned())));
                        }
                    }
                }
                kind::HEADERS => {
                    let is_ok = self.table.says_ok(frame.content());
                    let caller = position(&self.streams, frame.stream);
                    if let Some(caller) = caller.filter(|_| frame.has(flag::END_STREAM)) {
                        let refusal = || format!("refused: {}", frame.content().escape_ascii());
                        ended.push((caller, (!is_ok).then(refusal)));
                    }
                }
                kind::RST_STREAM => {
                    if let Some(caller) = position(&self.streams, frame.stream) {
                        ended.push((caller, Some("the stream was reset".to_owned())));
                    }
                }
                kind::WINDOW_UPDATE if frame.stream == 0 => {
                    self.may_send += i64::from(frame.increment());
                }
                kind::GOAWAY | kind::CONTINUATION => return Err(io::ErrorKind::Other.into()),
                kind::SETTINGS | kind::PING if !frame.has(flag::ACK) => {
                    let echoed: &[u8] = if frame.kind == kind::PING { frame.payload } else { &[] };
                    let mut answer = Vec::new();
                    put(&mut answer, frame.kind, flag::ACK, 0, echoed);
                    self.connection.out.extend_from_slice(&answer);
                }
                _ => {}
            }
        }
        self.connection.consume(used);
        for (caller, wrong) in ended {
            self.end(caller, wrong, now, work);
        }
        Ok(())
    }

    fn end(&mut self, caller: usize, wrong: Option<String>, now: Instant, work: &mut Work<'_>) {
        let call = &self.calls[caller];
        let wrong = wrong.or_else(|| self.expected.fault(&call.answer, call.account));
        match wrong {
            None => work.record.right(call.sent, now),
            Some(what) => work.record.wrong(1, || format!("account {}: {what}", call.account)),
        }
        self.send(caller, now, work);
    }
}

fn position(streams: &[u32], stream: u32) -> Option<usize> {
    streams.iter().position(|own| *own == stream)
}

impl Caller for GrpcCaller {
    fn begin(&mut self, now: Instant, work: &mut Work<'_>) -> io::Result<()> {
        for caller in 0..self.streams.len() {
            self.send(caller, now, work);
        }
        self.connection.flush()
    }

    fn proceed(&mut self, work: &mut Work<'_>) -> io::Result<()> {
        while self.connection.read()? {
            self.handle(Instant::now(), work)?;
            if self.connection.is_drained() {
                break;
            }
        }
        if self.received >= WINDOW_STEP {
            let received = u32::try_from(self.received).expect("reads are short");
            put_window_update(&mut self.connection.out, received);
            self.received = 0;
        }
        self.connection.flush()
    }

    fn waiting(&self) -> usize {
        self.streams.iter().filter(|stream| **stream != 0).count()
    }

    fn abandon(&mut self) {
        self.streams.fill(0);
    }
}

impl Expected {
    /// What is wrong with the data of an answer.
    fn fault(self, data: &[u8], account: u64) -> Option<String> {
        let message = data.get(MESSAGE_HEADER..).unwrap_or_default();
        let right = match self {
            Self::RequestId => message.len() == REQUEST_ID && message.starts_with(&[0x0a, 36]),
            Self::AnyInstance => message.get(REQUEST_ID) == Some(&0x12),
            Self::OwnInstance => {
                let mut field = *b"\x12\x0cFP-a00000000";
                put_digits(&mut field[6..], account);
                let usual = message.get(REQUEST_ID..).unwrap_or_default().starts_with(&field);
                usual || message.windows(field.len()).any(|part| part == field)
            }
        };
        (!right).then(|| format!("the answer is {}", data.escape_ascii()))
    }
}

/// What must hold; run by the verb `selftest`.
pub fn selftest() {
    use super::accounts::instance_id;

    let id = [b"\0\0\0\0\x34\x0a\x24", &[b'A'; 36][..]].concat();
    assert_eq!(Expected::RequestId.fault(&id, 1), None);
    assert!(Expected::OwnInstance.fault(&id, 12_345_678).is_some());
    let described = [&id[..], b"\x12\x0cFP-a12345678\x18\x01"].concat();
    assert_eq!(Expected::OwnInstance.fault(&described, 12_345_678), None);
    assert!(described.windows(12).any(|part| part == instance_id(12_345_678).as_bytes()));
    assert!(Expected::OwnInstance.fault(&described, 12_345_679).is_some());
    assert!(Expected::RequestId.fault(&described, 1).is_some());
    assert_eq!(Expected::AnyInstance.fault(&described, 1), None);
}
