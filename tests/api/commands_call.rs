//! `cdn-activation call`: signs and sends one request, or prints it for another program to send.

use crate::support::Api;
use crate::support::process::{Ended, run};
use crate::support::rest::{Key, Reply};
use crate::support::scratch::Scratch;

/// Runs `call` with a key. Its secret is in the environment.
async fn call(api: &Api, key: &Key, arguments: &[&str]) -> Ended {
    let endpoint = format!("http://{}", api.addresses.rest);
    let all = ["call", "--endpoint", &endpoint].into_iter().chain(arguments.iter().copied());
    let ended = run(all, &variables(key)).await;
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!all.contains(&key.secret), "the secret is shown: {all}");
    ended
}

fn variables(key: &Key) -> [(&str, &str); 2] {
    [("ALIBABA_CLOUD_ACCESS_KEY_ID", &key.id), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &key.secret)]
}

/// Returns the standard output with the request id replaced.
fn printed(ended: &Ended) -> String {
    let body = &ended.stdout;
    let (start, end) = match body.find("<RequestId>") {
        Some(start) => (start + 11, "</RequestId>"),
        None => (body.find("\"RequestId\":\"").expect("a request id") + 13, "\""),
    };
    let length = body[start..].find(end).expect("its end");
    format!("{}REQUEST-ID{}", &body[..start], &body[start + length..])
}

#[tokio::test]
async fn an_answer_is_printed_and_the_status_is_0() {
    let api = Api::start().await;
    api.at("2018-03-19T11:16:11Z");
    for (flags, opened, described) in [
        (
            &[][..],
            "{\"RequestId\":\"REQUEST-ID\"}\n",
            "{\"RequestId\":\"REQUEST-ID\",\"InstanceId\":\"ACCOUNT\",\"InternetChargeType\":\"PayByBandwidth\",\"OpeningTime\":\"2018-03-19T11:16:11Z\",\"ChangingChargeType\":\"\",\"ChangingAffectTime\":\"\",\"OperationLocks\":{\"LockReason\":[]}}\n",
        ),
        (
            &["--xml"],
            "<?xml version='1.0' encoding='UTF-8'?><OpenCdnServiceResponse><RequestId>REQUEST-ID</RequestId></OpenCdnServiceResponse>\n",
            "<?xml version='1.0' encoding='UTF-8'?><DescribeCdnServiceResponse><RequestId>REQUEST-ID</RequestId><InstanceId>ACCOUNT</InstanceId><InternetChargeType>PayByBandwidth</InternetChargeType><OpeningTime>2018-03-19T11:16:11Z</OpeningTime><ChangingChargeType></ChangingChargeType><ChangingAffectTime></ChangingAffectTime><OperationLocks></OperationLocks></DescribeCdnServiceResponse>\n",
        ),
    ] {
        for v3 in [&[][..], &["--v3"]] {
            let key = api.account().await;
            let flags = [flags, v3].concat();
            let open = ["OpenCdnService", "InternetChargeType=PayByBandwidth"];
            let ended = call(&api, &key, &[&open[..], &flags].concat()).await;
            assert_eq!((ended.code, printed(&ended).as_str()), (Some(0), opened), "{ended:?}");
            let ended = call(&api, &key, &[&["DescribeCdnService"][..], &flags].concat()).await;
            let described = described.replace("ACCOUNT", &key.account_id.to_string());
            assert_eq!((ended.code, printed(&ended)), (Some(0), described));
            assert_eq!(ended.stderr, "");
        }
    }
}

#[tokio::test]
async fn a_byte_order_mark_and_blanks_around_a_pasted_key_are_ignored() {
    let (api, scratch) = (Api::start().await, Scratch::new());
    let key = api.account().await;
    let paste = |text: &str| format!("\u{feff} {text}\t\r\n");
    let pasted = Key { id: paste(&key.id), secret: paste(&key.secret), ..key.clone() };
    let file = scratch.file("secret", &pasted.secret);
    for from_file in [&[][..], &["--access-key-secret-file", &file]] {
        let arguments = [&["DescribeUserCdnStatus"][..], from_file].concat();
        let ended = call(&api, &pasted, &arguments).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_printed_and_the_status_is_1() {
    let api = Api::start().await;
    let key = api.account().await;
    let wrong = "InternetChargeType=Ünïcode & more";
    for flags in [&[][..], &["--v3"]] {
        let arguments = [&["OpenCdnService", wrong][..], flags].concat();
        let ended = call(&api, &key, &arguments).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
        let expected = "{\"RequestId\":\"REQUEST-ID\",\"HostId\":\"127.0.0.1\",\"Code\":\"InvalidInternetChargeType.ValueNotSupported\",\"Message\":\"The specified value of parameter \\\"InternetChargeType\\\" is not valid.\"}\n";
        assert_eq!(printed(&ended), expected);
    }
    let wrong_secret = Key { secret: "testsecret".to_owned(), ..key };
    let ended = call(&api, &wrong_secret, &["DescribeCdnService", "--xml"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("<Code>SignatureDoesNotMatch</Code>"), "{ended:?}");
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_reported_in_one_sentence_with_status_2() {
    let key = Key { account_id: 1, id: "testid".to_owned(), secret: "testsecret".to_owned() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let endpoint = format!("http://{address}");
    let arguments = ["call", "--endpoint", &endpoint, "DescribeCdnService"];
    let ended = run(arguments, &variables(&key)).await;
    let start = format!("{endpoint} does not answer: ");
    assert!(ended.sentence(2).starts_with(&start), "{ended:?}");
    let arguments = ["call", "--endpoint", "http://no host", "DescribeCdnService"];
    let ended = run(arguments, &variables(&key)).await;
    assert!(ended.sentence(1).starts_with("http://no host is not a valid endpoint: "), "{ended:?}");
}

#[tokio::test]
async fn the_secret_may_be_in_a_file() {
    let api = Api::start().await;
    let key = api.account().await;
    let scratch = Scratch::new();
    let file = scratch.file("secret", &format!("{}\n", key.secret));
    let endpoint = format!("http://{}/", api.addresses.rest);
    let arguments = [
        "call",
        "DescribeUserCdnStatus",
        "--endpoint",
        &endpoint,
        "--access-key-id",
        &key.id,
        "--access-key-secret-file",
        &file,
    ];
    let ended = run(arguments, &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // The file has precedence over the variable.
    let ended = run(arguments, &[("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "another")]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let missing = scratch.0.join("missing");
    let missing = missing.to_str().expect("UTF-8");
    let arguments = arguments.map(|argument| if argument == file { missing } else { argument });
    let sentence = format!("cannot read {missing}: No such file or directory (os error 2)");
    assert_eq!(run(arguments, &[]).await.sentence(1), sentence);
}

#[tokio::test]
async fn a_url_or_a_curl_command_is_printed_for_another_program() {
    let api = Api::start().await;
    let key = api.account().await;
    let open = ["OpenDcdnService", "BillType=PayByTraffic", "WebsocketBillType=websocketbps"];
    let ended = call(&api, &key, &[&open[..], &["--print-url"]].concat()).await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 1));
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0, "nothing was sent");
    let url = ended.stdout.trim();
    let target = url.strip_prefix(&format!("http://{}", api.addresses.rest)).expect("the endpoint");
    api.send("GET", target, &[], b"").await.succeeded();
    api.send("GET", target, &[], b"").await.refused(
        400,
        "SignatureNonceUsed",
        "Specified signature nonce was used already.",
    );
    for flags in [&["--print-curl"][..], &["--print-curl", "--v3"], &["--print-curl", "--xml"]] {
        let arguments = [&["DescribeDcdnService"][..], flags].concat();
        let ended = call(&api, &key, &arguments).await;
        assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 1));
        let reply = send_printed_curl(&api, ended.stdout.trim()).await;
        assert!(reply.succeeded().body.contains("websocketbps"), "{reply:?}");
        assert_eq!(reply.body.starts_with('<'), flags.contains(&"--xml"));
    }
}

/// Sends the request of a printed curl command, as a shell would run it.
async fn send_printed_curl(api: &Api, line: &str) -> Reply {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned()); // between quotes
        } else {
            words.extend(part.split(' ').filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    let mut words = words.into_iter();
    assert_eq!(words.next().as_deref(), Some("curl"));
    let (mut method, mut headers, mut url) = ("GET".to_owned(), Vec::new(), String::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "-X" => method = words.next().expect("a method"),
            "-H" => headers.push(words.next().expect("a header")),
            _ => url = word,
        }
    }
    let headers: Vec<_> =
        headers.iter().map(|header| header.split_once(": ").expect("a header")).collect();
    let target = url.strip_prefix(&format!("http://{}", api.addresses.rest)).expect("the endpoint");
    api.send(&method, target, &headers, b"").await
}

#[tokio::test]
async fn an_unknown_action_needs_an_api_version() {
    let api = Api::start().await;
    let key = api.account().await;
    let sentence = "DescribeVodService is not an action of this service; give --api-version";
    assert_eq!(call(&api, &key, &["DescribeVodService"]).await.sentence(1), sentence);
    let arguments = ["DescribeVodService", "--api-version", "2018-05-10"];
    let ended = call(&api, &key, &arguments).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("InvalidAction.NotFound"), "{ended:?}");
    let old = ["DescribeCdnService", "--api-version", "2014-11-11"];
    let ended = call(&api, &key, &old).await;
    assert!(ended.stdout.contains("\"Code\":\"OperationDenied\""), "{ended:?}");
}

#[tokio::test]
async fn invalid_arguments_are_reported() {
    let api = Api::start().await;
    let key = api.account().await;
    for (arguments, message) in [
        (&["DescribeCdnService", "NoValue"][..], "\"NoValue\" is not Name=Value"),
        (&["DescribeCdnService", "--print-url", "--v3"], "cannot be used with"),
        (&["DescribeCdnService", "--print-url", "--print-curl"], "cannot be used with"),
    ] {
        let ended = call(&api, &key, arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert!(ended.stderr.contains(message), "{ended:?}");
    }
    let ended = run(["call", "DescribeCdnService", "--access-key-id", "testid"], &[]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--access-key-secret-file"), "{ended:?}");
}
