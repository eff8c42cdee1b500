//! Tests of URLs that psql accepts, and of the errors about wrong ones.

use sqlx::postgres::PgSslMode;

use super::*;

fn parsed(url: &str) -> DatabaseUrl {
    url.parse().unwrap_or_else(|error| panic!("{url} {error}"))
}

fn places(url: &str) -> Vec<String> {
    parsed(url).hosts().iter().map(place).collect()
}

fn refused(url: &str) -> String {
    let error = url.parse::<DatabaseUrl>().expect_err(url);
    format!("DATABASE_URL {error}")
}

#[test]
fn urls_that_psql_accepts_are_accepted() {
    for (url, expected) in [
        ("postgres://db.example/cdn", &["db.example:5432"][..]),
        ("postgresql://db.example:6432/cdn", &["db.example:6432"]),
        ("postgres://a,b:2,c:3/cdn?target_session_attrs=read-write", &["a:5432", "b:2", "c:3"]),
        ("postgres://u:p@[::1]:6432,[fe80::1]/cdn", &["::1:6432", "fe80::1:5432"]),
        ("postgres:///cdn?host=a,b&port=1,2", &["a:1", "b:2"]),
        ("postgres:///cdn?host=a,b&port=7", &["a:7", "b:7"]),
        ("postgres://%2Frun%2Fdb/cdn", &["/run/db"]),
        ("postgres://u@:6432/cdn?host=/run/db,a", &["/run/db", "a:6432"]),
        ("postgres:///cdn?host=/run/db,/run/other&port=5", &["/run/db", "/run/other"]),
        ("postgres://a:1/cdn?connect_timeout=3&keepalives=1&application_name=x", &["a:1"]),
        ("postgres://a:/cdn?channel_binding=prefer&gssencmode=disable", &["a:5432"]),
        ("postgres://a", &["a:5432"]),
    ] {
        assert_eq!(places(url), expected, "{url}");
    }
}

#[test]
fn a_root_certificate_is_verified_as_in_libpq() {
    for (url, verifies) in [
        ("postgres://a/cdn?sslmode=require&sslrootcert=/ca.crt", true),
        ("postgres://a/cdn?sslmode=require", false),
    ] {
        let mode = parsed(url).hosts()[0].get_ssl_mode();
        assert_eq!(matches!(mode, PgSslMode::VerifyCa), verifies, "{url}");
    }
}

#[test]
fn a_database_on_another_host_is_verified_unless_the_url_says_otherwise() {
    use PgSslMode::{Disable, Prefer, Require, VerifyFull};
    for (url, expected) in [
        ("postgres://db.example/cdn", VerifyFull),
        ("postgres://10.0.0.1:6432/cdn", VerifyFull),
        ("postgres:///cdn?host=db.example", VerifyFull),
        ("postgres://a/cdn?sslrootcert=/ca.crt", VerifyFull),
        ("postgres://[fd00::1]/cdn", VerifyFull),
        ("postgres://localhost.example/cdn", VerifyFull),
        ("postgres://db.example/cdn?sslmode=prefer", Prefer),
        ("postgres://db.example/cdn?sslmode=disable", Disable),
        ("postgres://db.example/cdn?sslmode=require", Require),
        ("postgres://localhost/cdn", Prefer),
        ("postgres://127.0.0.1/cdn", Prefer),
        ("postgres://[::1]/cdn", Prefer),
        ("postgres://%2Frun%2Fdb/cdn", Prefer),
        ("postgres:///cdn?host=/run/db", Prefer),
        ("postgres://localhost/cdn?sslmode=verify-full", VerifyFull),
    ] {
        let mode = parsed(url).hosts()[0].get_ssl_mode();
        assert_eq!(format!("{mode:?}"), format!("{expected:?}"), "{url}");
    }
    // Each host of a URL has its own.
    let modes: Vec<_> = parsed("postgres://localhost,db.example/cdn")
        .hosts()
        .iter()
        .map(|options| format!("{:?}", options.get_ssl_mode()))
        .collect();
    assert_eq!(modes, ["Prefer", "VerifyFull"]);
}

#[test]
fn user_password_and_database_are_decoded_and_reach_every_host() {
    let url = "postgres://the%20user:p%40ss+w%2Frd?%26@a,b/the%2Fcdn?sslmode=verify-full";
    for options in parsed(url).hosts().iter() {
        assert_eq!(options.get_username(), "the user");
        assert_eq!(options.get_database(), Some("the/cdn"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
        assert!(format!("{options:?}").contains("\"p@ss+w/rd?&\"")); // the driver's Debug shows it
    }
    let debug = format!("{:?}", parsed(url));
    assert_eq!(debug, r#"["a:5432", "b:5432"]"#);
}

#[test]
fn another_user_or_password_of_the_same_database_replaces_the_earlier_one() {
    let (url, clone) = {
        let url = parsed("postgres://old:one@a,b:6432/cdn");
        (url.clone(), url)
    };
    assert_eq!(url.replace(&parsed("postgres://new:two@a,b:6432/cdn?sslmode=disable")), Ok(()));
    let users: Vec<_> = clone.hosts().iter().map(|host| host.get_username().to_owned()).collect();
    assert_eq!(users, ["new", "new"], "clones share it");
    for other in [
        "postgres://x@a/cdn",
        "postgres://x@a,b:6432/other",
        "postgres://x@b:6432,a/cdn",
        "postgres://x@a,b:6432/cdn?options=-c%20search_path%3Dother",
    ] {
        assert_eq!(url.replace(&parsed(other)), Err(UrlError::OtherDatabase), "{other}");
    }
    assert_eq!(clone.hosts()[0].get_username(), "new");
    let named_after_its_user = parsed("postgres://old@a");
    assert_eq!(
        named_after_its_user.replace(&parsed("postgres://new@a")),
        Err(UrlError::OtherDatabase)
    );
    assert_eq!(named_after_its_user.replace(&parsed("postgres://new@a/old")), Ok(()));
}

#[test]
fn a_wrong_part_is_named_and_no_secret_is_repeated() {
    for (url, sentence) in [
        ("", "is not a postgres:// URL"),
        ("mysql://u:secret@a/cdn", "is not a postgres:// URL"),
        ("host=a password=secret", "is not a postgres:// URL"),
        ("postgres://a:x/cdn", "has a port that is not a number from 1 to 65535"),
        ("postgres://a:0/cdn", "has a port that is not a number from 1 to 65535"),
        ("postgres:///cdn?host=a,b,c&port=1,2", "has 2 ports for 3 hosts"),
        (
            "postgres://[::1/cdn",
            "has a host that is not a name, an address, or an IPv6 address in brackets",
        ),
        ("postgres://a/cdn?service=x", "has a parameter that is not supported: \"service\""),
        ("postgres://a/cdn?sslmode", "has a parameter without a value: \"sslmode\""),
        (
            "postgres://a/cdn?sslmode=on",
            "has sslmode=on, which is not supported: use disable, prefer, require, verify-ca or \
             verify-full",
        ),
        (
            "postgres://a/cdn?target_session_attrs=standby",
            "has target_session_attrs=standby, which is not supported: use read-write",
        ),
        (
            "postgres://a/cdn?channel_binding=require",
            "has channel_binding=require, which is not supported: use prefer",
        ),
        (
            "postgres://u:%FF@a/cdn",
            "has a part that is not UTF-8 in percent encoding, or has a zero byte",
        ),
        (
            "postgres://u:a%00@a/cdn",
            "has a part that is not UTF-8 in percent encoding, or has a zero byte",
        ),
        ("postgres://u:secret/cdn", "has a port that is not a number from 1 to 65535"),
    ] {
        assert_eq!(refused(url), format!("DATABASE_URL {sentence}"), "{url}");
    }
    for url in [
        "postgres://u:se@cret@a/cdn",
        "postgres://u:se/cret@a/cdn",
        "postgres://u:s@e?cret@a/cdn",
        "postgres://u:s/e?cret@a/cdn",
    ] {
        let sentence = "DATABASE_URL has an @, a / or a ? in its user or password that is not \
                        percent-encoded (%40, %2F, %3F)";
        assert_eq!(refused(url), sentence);
    }
}
