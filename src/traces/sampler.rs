//! Which requests are sampled: the samplers of the SDK, as `OTEL_TRACES_SAMPLER` names them. The SDK
//! reads the variable, too, but records everything if it does not know the name.

use opentelemetry_sdk::trace::Sampler;

/// The names of the samplers.
const NAMES: &str = "always_on, always_off, traceidratio, parentbased_always_on, \
                     parentbased_always_off or parentbased_traceidratio";
/// The default of OpenTelemetry.
const DEFAULT: &str = "parentbased_always_on";

/// Returns the sampler of this name. The argument is the ratio of those that have one, and 1 if there
/// is none. The error is a sentence.
pub fn sampler(name: Option<&str>, argument: Option<&str>) -> Result<Sampler, String> {
    let name = name.unwrap_or(DEFAULT);
    let (follows_parent, root) = match name.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, name),
    };
    let root = match root {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(argument.map_or(Ok(1.0), ratio)?),
        _ => return Err(format!("{name:?} is not a sampler; expected {NAMES}")),
    };
    Ok(if follows_parent { Sampler::ParentBased(Box::new(root)) } else { root })
}

fn ratio(text: &str) -> Result<f64, String> {
    let parsed = text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    parsed.ok_or_else(|| format!("{text:?} is not a ratio between 0 and 1"))
}

#[cfg(test)]
mod tests {
    use opentelemetry::Context;
    use opentelemetry::trace::{
        SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
    };
    use opentelemetry_sdk::trace::{
        IdGenerator, RandomIdGenerator, SamplingDecision, ShouldSample,
    };

    use super::*;

    /// Whether a sampler takes a request with this parent.
    fn takes(sampler: &Sampler, parent: Option<TraceFlags>, trace_id: TraceId) -> bool {
        let parent = parent.map(|flags| {
            let sender = SpanId::from(1);
            let parent = SpanContext::new(trace_id, sender, flags, true, TraceState::NONE);
            Context::new().with_remote_span_context(parent)
        });
        let kind = SpanKind::Server;
        let result = sampler.should_sample(parent.as_ref(), trace_id, "", &kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn every_sampler_of_the_standard_decides_as_it_says() {
        for (name, argument, expected) in [
            // without a parent, with a sampled one, with one that is not
            (None, None, [true, true, false]),
            (Some("always_on"), None, [true, true, true]),
            (Some("always_off"), None, [false, false, false]),
            (Some("traceidratio"), None, [true, true, true]),
            (Some("traceidratio"), Some("0"), [false, false, false]),
            (Some("parentbased_always_on"), None, [true, true, false]),
            (Some("parentbased_always_off"), None, [false, true, false]),
            (Some("parentbased_traceidratio"), Some("0"), [false, true, false]),
            (Some("parentbased_traceidratio"), Some("1"), [true, true, false]),
        ] {
            let sampler = sampler(name, argument).unwrap();
            let parents = [None, Some(TraceFlags::SAMPLED), Some(TraceFlags::NOT_SAMPLED)];
            let found = parents.map(|parent| takes(&sampler, parent, TraceId::from(u128::MAX / 3)));
            assert_eq!(found, expected, "{name:?} {argument:?}");
        }
    }

    #[test]
    fn a_ratio_is_kept() {
        let sampler = sampler(Some("traceidratio"), Some("0.25")).unwrap();
        let ids = RandomIdGenerator::default();
        let taken = (0..20_000).filter(|_| takes(&sampler, None, ids.new_trace_id())).count();
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
