//! What a symbol is part of.

/// What the service consists of, each by the crates that do it.
pub const PARTS: [(&str, &[&str]); 8] = [
    (HTTP_PART, &["h2", "hyper", "hyper_util", "http", "http_body_util", "httparse"]),
    ("gRPC", &["tonic", "tower", "prost"]),
    ("PostgreSQL client", &["sqlx_core", "sqlx_postgres"]),
    ("own code", &["cdn_activation"]),
    ("TLS", &["rustls", "ring", "webpki", "tokio_rustls", "hyper_rustls", "rustls_pki_types"]),
    ("descriptors", &["prost_reflect", "prost_types", "tonic_reflection"]),
    ("command line", &["clap_builder", "clap_lex", "anstream", "anstyle"]),
    ("runtime", &["tokio", "tokio_util", "futures_util", "futures_core", "mio", "tracing"]),
];
/// Where hyper's HTTP/1 is: the compiler puts it into the one function of ours that serves with it.
const HTTP_1: &str = "cdn_activation::server::http::";
/// How symbols begin that allocate, free and copy.
const MEMORY: [&str; 3] = ["mi_", "_mi_", "__mem"];
/// Of a symbol that reads or writes HTTP.
const HTTP_PART: &str = "HTTP";
/// Of a symbol that allocates, frees or copies.
pub const MEMORY_PART: &str = "memory";
/// Of all other symbols.
pub const OTHER_PART: &str = "other";

/// The part by the first of its crates in a symbol: what is generic belongs to what it is made for.
pub fn of(symbol: &str) -> &'static str {
    if MEMORY.iter().any(|beginning| symbol.starts_with(beginning)) {
        return MEMORY_PART;
    }
    if symbol.starts_with(HTTP_1) {
        return HTTP_PART;
    }
    let mut names = symbol.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let part = |name| PARTS.iter().find(|(_, crates)| crates.contains(&name));
    names.find_map(part).map_or(OTHER_PART, |(part, _)| part)
}

/// What must hold; run before every measurement.
pub fn selftest() {
    assert_eq!(of("__memmove_avx_unaligned_erms"), "memory");
    assert_eq!(of("<tower::A<h2::B> as core::C>::call"), "gRPC");
    assert_eq!(of("core::ptr::drop_in_place<h2::B>"), "HTTP");
    assert_eq!(of("cdn_activation::server::http::connection::{{closure}}"), "HTTP");
    assert_eq!(of("std::rt::init"), "other");
}
