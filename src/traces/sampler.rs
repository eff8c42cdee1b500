//! Which requests are sampled: the samplers of the SDK, as `OTEL_TRACES_SAMPLER` names them. The SDK
//! reads the variable, too, but records everything if it does not know the name.

use opentelemetry_sdk::trace::Sampler;

/// The names of the samplers.
const NAMES: &str = "always_on, always_off, traceidratio, parentbased_always_on, \
                     parentbased_always_off or parentbased_traceidratio";
/// The default of OpenTelemetry.
const DEFAULT: &str = "parentbased_always_on";

/// Returns the sampler of this name. The argument is the ratio of those that have one, and 1 if there
/// is none. The error is a sentence that names the variable.
pub fn sampler(name: Option<&str>, argument: Option<&str>) -> Result<Sampler, String> {
    let given = name.unwrap_or(DEFAULT);
    let name = given.to_ascii_lowercase();
    let (follows_parent, root) = match name.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, name.as_str()),
    };
    let root = match root {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(argument.map_or(Ok(1.0), ratio)?),
        _ => return Err(format!("OTEL_TRACES_SAMPLER is {given:?}; expected {NAMES}")),
    };
    Ok(if follows_parent { Sampler::ParentBased(Box::new(root)) } else { root })
}

fn ratio(text: &str) -> Result<f64, String> {
    let parsed = text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    parsed.ok_or_else(|| format!("OTEL_TRACES_SAMPLER_ARG is {text:?}; expected 0 to 1"))
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanKind, TraceId};
    use opentelemetry_sdk::trace::{
        IdGenerator, RandomIdGenerator, SamplingDecision, ShouldSample,
    };

    use super::*;

    /// Whether a sampler takes a request without a parent.
    fn takes(sampler: &Sampler, trace_id: TraceId) -> bool {
        let result = sampler.should_sample(None, trace_id, "", &SpanKind::Server, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn a_ratio_is_kept() {
        let sampler = sampler(Some("TraceIdRatio"), Some("0.25")).unwrap();
        let ids = RandomIdGenerator::default();
        let taken = (0..20_000).filter(|_| takes(&sampler, ids.new_trace_id())).count();
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
            assert!(sampler(Some(name), argument).is_err(), "{name} {argument:?}");
        }
    }
}
