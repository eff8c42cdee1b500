//! The log lines of a whole session of `serve`, at `info` and at `trace`. They do not contain
//! secrets, signatures or the service token.

use std::collections::BTreeSet;

use cdn_activation::auth::sealing::SealingKey;

use crate::support::database::Database;
use crate::support::process::Program;
use crate::support::raw_grpc::framed;
use crate::support::rest::{encode, query, sign_v1};
use crate::support::scratch::Scratch;
use crate::support::{TOKEN, callers};

/// Returns the variables of a `serve` with this log filter.
fn variables<'a>(
    database: &'a Database,
    sealing_key: &'a str,
    [tokens, grants]: &'a [(&'a str, String); 2],
    log: &'a str,
) -> [(&'a str, &'a str); 8] {
    [
        ("DATABASE_URL", &database.url),
        ("SEALING_KEY_FILE", sealing_key),
        (tokens.0, &tokens.1),
        (grants.0, &grants.1),
        ("GRPC_ADDR", "127.0.0.1:0"),
        ("REST_ADDR", "127.0.0.1:0"),
        ("OPS_ADDR", "127.0.0.1:0"),
        ("LOG", log),
    ]
}

#[tokio::test]
async fn log_lines_do_not_contain_secrets_signatures_or_the_token() {
    for log in ["info", "trace"] {
        let (database, scratch) = (Database::fresh().await, Scratch::new());
        let sealing_key = SealingKey::generate().expect("random bytes");
        let key_file = scratch.file("sealing-key", &sealing_key);
        let callers = callers::files(&scratch.0);
        let mut program =
            Program::start(["serve"], &variables(&database, &key_file, &callers, log));
        let api = program.ready().await;
        let mut hidden = BTreeSet::from([TOKEN.to_owned(), sealing_key.to_string()]);
        let key = api.account().await;
        hidden.insert(key.secret.clone());

        // V1: a valid request, the same one again, one with the signature of another secret, and
        // one with an unknown key.
        let parameters = api.common(&key, "Action=OpenCdnService");
        for secret in [key.secret.as_str(), "another-secret"] {
            let signature = sign_v1("GET", &parameters, secret);
            hidden.extend([encode(&signature), signature]);
        }
        let signed = api.sign(&key, "GET", parameters.clone());
        let mut wrong = signed.clone();
        wrong.insert("Signature".to_owned(), sign_v1("GET", &parameters, "another-secret"));
        let mut unknown = signed.clone();
        unknown.insert("AccessKeyId".to_owned(), "nobody".to_owned());
        for (parameters, status) in [(&signed, 200), (&signed, 400), (&wrong, 400), (&unknown, 404)]
        {
            assert_eq!(api.send_get(&query(parameters)).await.status, status);
        }
        // V3: a valid request, and one with a body that was not signed.
        let query = crate::support::rest::parameters("");
        let named = [("x-acs-action", "DescribeCdnService"), ("x-acs-version", "2018-05-10")];
        let headers = api.sign_v3(&key, "POST", &query, &named, b"");
        let (_, authorization) =
            headers.iter().find(|(name, _)| name == "Authorization").expect("signed");
        hidden.insert(authorization.split("Signature=").nth(1).expect("a signature").to_owned());
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(api.send("POST", "/?", &headers, b"").await.status, 200);
        assert_eq!(api.send("POST", "/?", &headers, b"a=b").await.status, 400);
        // gRPC: a valid call, one with another token, and one that is refused. The request ids are
        // written to the log.
        api.open_dcdn(&key).await;
        let grpc = api.raw_grpc().await;
        let path = "/activation.cdn.v1.CdnService/OpenCdnService";
        hidden.insert("another-token".to_owned());
        let metadata = [("authorization", "Bearer another-token"), ("x-request-id", "mine-42")];
        grpc.send(path, &metadata, framed(&[])).await;
        grpc.call(path, &[("x-account-id", "abc"), ("x-request-id", "mine-43")], &[]).await;
        // A fault.
        database.execute("ALTER TABLE instances RENAME TO elsewhere").await;
        assert_eq!(api.get(&key, "Action=DescribeDcdnService").await.status, 500);

        let ended = program.stop().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let account_id = key.account_id.to_string();
        let lines = format!("{}{}", ended.stdout, ended.stderr);
        for expected in [
            "mine-42",
            "mine-43",
            "127.0.0.1",
            "SignatureDoesNotMatch",
            "does not exist",
            &account_id,
        ] {
            assert!(lines.contains(expected), "the log ({log}) does not contain {expected}");
        }
        for line in lines.lines() {
            for text in &hidden {
                assert!(!line.contains(text.as_str()), "the log ({log}) contains {text}: {line}");
            }
        }
    }
}
