//! Protobuf over gRPC with buffers as long as messages are here. A codec of tonic's begins each message
//! with 8 KiB; a call has two of them, and one over REST four, nearly all of it never written to, and
//! each in memory that no cache has.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// What a buffer begins with, in bytes: nearly all messages fit, and for others it grows.
const TYPICAL_LENGTH: usize = 512;
/// A stream's messages are sent together up to so many bytes, as with tonic's own codec.
const SENT_TOGETHER: usize = 32 * 1024;

/// How messages are buffered.
#[must_use]
pub fn buffers() -> BufferSettings {
    BufferSettings::new(TYPICAL_LENGTH, SENT_TOGETHER)
}

/// The codec of the generated services: `build.rs` names it.
#[derive(Clone, Debug)]
pub struct MessageCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for MessageCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for MessageCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(buffers())
    }
}
