//! The time that the check of a REST request's signature takes, on one core and without a socket: a
//! captured GET (284 bytes of query, 10 parameters and the signature), from the query to the verdict.

use std::hint::black_box;
use std::time::Instant;

use cdn_activation::auth::secret::Secret;
use cdn_activation::auth::signature::{Parameters, v1, v3};
use cdn_activation::rest::decode;
use http::{HeaderMap, HeaderName, HeaderValue};

/// `tests/captures/py_classic__DescribeCdnService__GET_JSON.http`
const QUERY: &str = "Version=2018-05-10&Action=DescribeCdnService&Format=JSON&RegionId=cn-hangzhou\
    &Timestamp=2026-11-21T22%3A29%3A50Z&SignatureMethod=HMAC-SHA1&SignatureType=\
    &SignatureVersion=1.0&SignatureNonce=7a6e551cde62bcc74778728992ebe12f&AccessKeyId=testid\
    &Signature=LQiDG9T44kN8%2B%2F8ZHldgLqre2EM%3D";
const SECRET: &str = "testsecret";

/// `tests/captures/py_tea__DescribeCdnService__GET_JSON_acs3.http`
const HEADERS: [(&str, &str); 9] = [
    ("accept", "application/json"),
    ("host", "127.0.0.1:45535"),
    ("user-agent", "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2"),
    ("x-acs-action", "DescribeCdnService"),
    ("x-acs-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("x-acs-credentials-provider", "static_ak"),
    ("x-acs-date", "2026-11-21T22:31:48Z"),
    ("x-acs-signature-nonce", "88b72c2d5d7a04966152f549622bd1f6"),
    ("x-acs-version", "2018-05-10"),
];
const V3_SIGNATURE: &str = "6a42326e824bbe34a030c88bb932b090d1cef4e46484ad7b329c6228bcc11a38";

/// The number of operations in a round, and of rounds.
const REPETITIONS: u32 = 50;
const ROUNDS: usize = 1_001;

/// Returns the name of each operation, and its median time in nanoseconds.
#[must_use]
pub fn measure() -> Vec<(&'static str, f64)> {
    let key = v1::Key::new(&Secret::new(SECRET.to_owned()));
    let key_v3 = v3::Key::new(&Secret::new(SECRET.to_owned()));
    let (headers, signed_headers) = signed_headers();
    let parameters = parse();
    assert!(check(&key, &parameters), "the V1 signature is that of the capture");
    assert!(check_v3(&key_v3, &headers, &signed_headers), "and so is the V3 one");
    vec![
        ("parse, sort, check names", nanoseconds(|| parse().iter().count())),
        ("canonical form, string to sign, V1 check", nanoseconds(|| check(&key, &parameters))),
        ("from the query to the V1 verdict", nanoseconds(|| check(&key, &parse()))),
        ("V3 check", nanoseconds(|| check_v3(&key_v3, &headers, &signed_headers))),
    ]
}

fn nanoseconds<T>(mut operation: impl FnMut() -> T) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..REPETITIONS {
                black_box(operation());
            }
            started.elapsed().as_secs_f64() * 1e9 / f64::from(REPETITIONS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn parse() -> Parameters {
    let (parameters, wrong) = decode(black_box(QUERY).as_bytes(), b"");
    assert!(wrong.is_none() && parameters.repeated().is_none());
    parameters
}

fn check(key: &v1::Key, parameters: &Parameters) -> bool {
    let signature = parameters.get(v1::SIGNATURE).unwrap_or_default();
    key.verify(&v1::string_to_sign("GET", parameters), signature)
}

fn signed_headers() -> (HeaderMap, String) {
    let headers = HEADERS
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    (headers.into_iter().collect(), HEADERS.map(|(name, _)| name).join(";"))
}

fn check_v3(key: &v3::Key, headers: &HeaderMap, signed_headers: &str) -> bool {
    let parameters = Parameters::default();
    let hash = v3::hash(b"");
    let canonical = v3::canonical_request("GET", &parameters, headers, signed_headers, &hash);
    key.verify(&v3::string_to_sign(&canonical), black_box(V3_SIGNATURE))
}
