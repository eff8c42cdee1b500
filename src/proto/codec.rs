//! A protobuf codec for gRPC with small buffers. The codec of tonic allocates 8 KiB for each
//! message. A call has two messages, and one over REST four. Most of that memory is never written
//! to, and none of it is in a CPU cache.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// Initial capacity of a buffer, in bytes. Nearly all messages fit; for others the buffer grows.
const TYPICAL_LENGTH: usize = 512;
/// Number of bytes up to which messages of a stream are sent together, as in the codec of tonic.
const SENT_TOGETHER: usize = 32 * 1024;

/// Returns how messages are buffered.
#[must_use]
pub fn buffers() -> BufferSettings {
    BufferSettings::new(TYPICAL_LENGTH, SENT_TOGETHER)
}

/// The codec of the generated services, which `build.rs` names.
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
