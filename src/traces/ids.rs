//! The ids of traces and spans.

use std::fmt;

use crate::ids::random_uuid;

/// The bits of a trace id that decide whether it is sampled: its last seven bytes, which are random
/// in every trace id that follows level 2 of W3C Trace Context.
pub(super) const RANDOMNESS: u128 = (1 << 56) - 1;

/// The id of a trace. It is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// The id of a span. It is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl TraceId {
    /// Reads 32 digits.
    pub(super) fn parse(hex: &str) -> Option<Self> {
        u128::from_str_radix(hex, 16).ok().filter(|id| *id != 0).map(Self)
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().into()
    }

    /// Returns the random bits of a trace id.
    pub(super) fn randomness(self) -> u64 {
        u64::try_from(self.0 & RANDOMNESS).expect("56 bits remain")
    }
}

impl SpanId {
    /// Reads 16 digits.
    pub(super) fn parse(hex: &str) -> Option<Self> {
        u64::from_str_radix(hex, 16).ok().filter(|id| *id != 0).map(Self)
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().into()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// Random bits for one request. They come from a generator in this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(u128);

impl Random {
    pub fn new() -> Self {
        Self(random_uuid().as_u128())
    }

    /// Returns the random bits that decide whether a new trace is sampled.
    pub fn low(self) -> u64 {
        TraceId(self.0).randomness()
    }

    /// Returns a new trace id, which ends in [`Random::low`]. An id that is exported is random in
    /// all of its bits; an id of a call that is not sampled has the fixed bits of a UUID.
    pub fn trace_id(self, is_sampled: bool) -> TraceId {
        if !is_sampled {
            return TraceId(self.0);
        }
        // Rotated, the fixed bits of the second one meet random bits of the first one.
        let other = random_uuid().as_u128().rotate_left(64);
        TraceId(self.0 ^ (other & !RANDOMNESS))
    }

    /// Returns a new span id. It is not zero, because it contains the version of a UUID.
    pub fn span_id(self) -> SpanId {
        SpanId(u64::try_from(self.0 >> 64).expect("64 bits remain"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_id_of_a_sampled_trace_is_random_in_every_bit_and_keeps_what_the_decision_was_made_by() {
        let (mut ones, mut zeros, mut seen) = (0_u128, 0_u128, HashSet::new());
        for _ in 0..200 {
            let random = Random::new();
            let trace_id = random.trace_id(true);
            assert_eq!(trace_id.randomness(), random.low());
            ones |= trace_id.0;
            zeros |= !trace_id.0;
            assert!(seen.insert(trace_id));
            assert_ne!(random.span_id().0, 0);
        }
        assert_eq!((ones, zeros), (u128::MAX, u128::MAX));
    }
}
