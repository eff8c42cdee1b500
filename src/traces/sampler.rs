//! Which requests are sampled: the samplers that `OTEL_TRACES_SAMPLER` names.

use super::ids::RANDOMNESS;
use super::parent::Parent;

/// The samplers, as `OTEL_TRACES_SAMPLER` names them.
const NAMES: &str = "always_on, always_off, traceidratio, parentbased_always_on, \
                     parentbased_always_off or parentbased_traceidratio";

/// Decides whether a request is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Whether the decision of a sender that is trusted is followed.
    follows_parent: bool,
    /// Requests whose random bits are below this number are not sampled.
    threshold: u64,
}

impl Default for Sampler {
    /// `parentbased_always_on`, the default of OpenTelemetry.
    fn default() -> Self {
        Self { follows_parent: true, threshold: 0 }
    }
}

impl Sampler {
    /// Returns the sampler of this name. The argument is the ratio of those that have one, and 1 if
    /// there is none. The error is a sentence.
    pub fn parse(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let (follows_parent, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let ratio = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => argument.map_or(Ok(1.0), ratio)?,
            _ => return Err(format!("{name:?} is not a sampler; expected {NAMES}")),
        };
        Ok(Self { follows_parent, threshold: threshold(ratio) })
    }

    /// Whether the request of a sender that is trusted is sampled.
    pub(super) fn samples_child(self, parent: &Parent) -> bool {
        if self.follows_parent {
            return parent.is_sampled;
        }
        self.samples_root(parent.trace_id.randomness())
    }

    /// Whether a request with these random bits is sampled that has no parent.
    pub(super) fn samples_root(self, random: u64) -> bool {
        random >= self.threshold
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    let parsed = text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    parsed.ok_or_else(|| format!("{text:?} is not a ratio between 0 and 1"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the product is between 0 and 2^56, which a float has exactly"
)]
fn threshold(ratio: f64) -> u64 {
    ((1.0 - ratio) * (RANDOMNESS + 1) as f64) as u64
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::traces::ids::Random;

    fn parent(traceparent: &'static str) -> Parent {
        let headers = [("traceparent", HeaderValue::from_static(traceparent))];
        let headers = headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value));
        Parent::of(&headers.collect::<HeaderMap>()).unwrap()
    }

    #[test]
    fn every_sampler_of_the_standard_decides_as_it_says() {
        let recorded = parent("00-0af7651916cd43dd8400000000000000-b7ad6b7169203331-01");
        let unrecorded = parent("00-0af7651916cd43dd84ffffffffffffff-b7ad6b7169203331-00");
        for (name, argument, expected) in [
            // a root with the lowest and the highest random bits, a sampled and an unsampled parent
            ("always_on", None, [true, true, true, true]),
            ("always_off", None, [false, false, false, false]),
            ("traceidratio", None, [true, true, true, true]),
            ("traceidratio", Some("0.5"), [false, true, false, true]),
            ("traceidratio", Some("0"), [false, false, false, false]),
            ("parentbased_always_on", None, [true, true, true, false]),
            ("parentbased_always_off", None, [false, false, true, false]),
            ("parentbased_traceidratio", Some("0.5"), [false, true, true, false]),
        ] {
            let sampler = Sampler::parse(name, argument).unwrap();
            let highest = u64::try_from(RANDOMNESS).unwrap();
            let found = [
                sampler.samples_root(0),
                sampler.samples_root(highest),
                sampler.samples_child(&recorded),
                sampler.samples_child(&unrecorded),
            ];
            assert_eq!(found, expected, "{name} {argument:?}");
        }
        assert_eq!(Sampler::parse("parentbased_always_on", None), Ok(Sampler::default()));
    }

    #[test]
    fn a_ratio_is_kept() {
        let sampler = Sampler::parse("traceidratio", Some("0.25")).unwrap();
        let taken = (0..20_000).filter(|_| sampler.samples_root(Random::new().low())).count();
        assert!((4_500..5_500).contains(&taken), "{taken} of 20000");
    }

    #[test]
    fn an_unknown_sampler_and_a_wrong_ratio_are_refused() {
        for (name, argument) in [
            ("", None),
            ("always", None),
            ("parentbased_", None),
            ("traceidratio", Some("")),
            ("traceidratio", Some("1.1")),
            ("traceidratio", Some("-1")),
            ("traceidratio", Some("NaN")),
            ("parentbased_traceidratio", Some("1%")),
        ] {
            assert!(Sampler::parse(name, argument).is_err(), "{name} {argument:?}");
        }
    }
}
