//! The part of the wire format of protobuf that a reply needs. A message is a sequence of records,
//! each with the number of a field and a value.

use bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};
use tonic::Status;

/// The number of a field and a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// The number.
    pub number: u32,
    /// The value.
    pub value: Value<'a>,
}

/// A value as it is encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A number, a boolean or a value of an enum.
    Varint(u64),
    /// Text, or a message.
    Bytes(&'a [u8]),
    /// A value of a kind that replies do not have.
    Other,
}

/// Returns the records of a message in their order.
pub fn records(mut message: &[u8]) -> Result<Vec<Record<'_>>, Status> {
    let mut records = Vec::with_capacity(8);
    while !message.is_empty() {
        let (number, wire_type) = decode_key(&mut message).map_err(|_| malformed())?;
        let value = match wire_type {
            WireType::Varint => Value::Varint(varint(&mut message)?),
            WireType::LengthDelimited => Value::Bytes(bytes(&mut message)?),
            WireType::ThirtyTwoBit => other(&mut message, 4)?,
            WireType::SixtyFourBit => other(&mut message, 8)?,
            WireType::StartGroup | WireType::EndGroup => return Err(malformed()),
        };
        records.push(Record { number, value });
    }
    Ok(records)
}

/// Returns the first number of a sequence, and removes it.
pub fn varint(message: &mut &[u8]) -> Result<u64, Status> {
    decode_varint(message).map_err(|_| malformed())
}

/// Returns the status for a reply that does not match its descriptor.
pub fn malformed() -> Status {
    Status::internal("the reply is malformed")
}

fn bytes<'a>(message: &mut &'a [u8]) -> Result<&'a [u8], Status> {
    let length = usize::try_from(varint(message)?).map_err(|_| malformed())?;
    let (bytes, after) = message.split_at_checked(length).ok_or_else(malformed)?;
    *message = after;
    Ok(bytes)
}

fn other<'a>(message: &mut &[u8], length: usize) -> Result<Value<'a>, Status> {
    if message.len() < length {
        return Err(malformed());
    }
    message.advance(length);
    Ok(Value::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_record_by_record() {
        let message = b"\x08\x96\x01\x12\x02ab\x1d1234\x21123456788\x00";
        let read = records(message).unwrap();
        let expected = [
            (1, Value::Varint(150)),
            (2, Value::Bytes(b"ab")),
            (3, Value::Other),
            (4, Value::Other),
            (7, Value::Varint(0)),
        ];
        assert_eq!(read, expected.map(|(number, value)| Record { number, value }));
        for cut in ["\x08", "\x12\x05ab", "\x1d123", "\x211", "\x0b", "\x00"] {
            assert!(records(cut.as_bytes()).is_err(), "{cut:?}");
        }
    }
}
