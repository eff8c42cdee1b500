//! The settings of TLS and of addresses beyond loopback, and `call` over TLS.

use cdn_activation::config::named;

use crate::support::database::Database;
use crate::support::eventually;
use crate::support::process::{Ended, Program, dev_on, run};
use crate::support::scratch::Scratch;
use crate::support::serve_process::Deployment;
use crate::support::tls::{Authority, HTTP_1, ServerFiles, TlsClient};

async fn serve(deployment: &Deployment, variables: &[(&str, &str)]) -> Ended {
    Program::spawn(deployment.serve(variables)).end().await
}

fn exposed(setting: &str) -> String {
    format!(
        "{setting} is reachable from other hosts, and TLS is not set: set TLS_CERT_FILE and TLS_KEY_FILE, or \
         INSECURE_PLAINTEXT=true if a mesh or a proxy terminates TLS"
    )
}

#[tokio::test]
async fn plaintext_beyond_loopback_needs_a_setting_that_says_so() {
    let deployment = Deployment::new(&Database::fresh().await);
    for (variable, address) in
        [("GRPC_ADDR", "0.0.0.0:0"), ("REST_ADDR", "0.0.0.0:0"), ("REST_ADDR", "[::]:0")]
    {
        let ended = serve(&deployment, &[(variable, address)]).await;
        assert_eq!(ended.sentence(1), exposed(&format!("{}: {address}", named(variable))));
    }
    let open = [
        ("GRPC_ADDR", "0.0.0.0:0"),
        ("REST_ADDR", "0.0.0.0:0"),
        ("OPS_ADDR", "0.0.0.0:0"),
        ("INSECURE_PLAINTEXT", "true"),
    ];
    let mut program = Program::spawn(deployment.serve(&open));
    program.ready().await;
    assert_eq!(program.stop().await.code, Some(0));
    let mut program = Program::spawn(deployment.serve(&[("OPS_ADDR", "0.0.0.0:0")]));
    program.ready().await; // probes come from other hosts
    let (authority, database) = (Authority::new("the authority"), Scratch::new());
    let files = ServerFiles::new(&authority.issue(&[]), &authority.pem());
    let (certificate, key) = (files.path("tls.crt"), files.path("tls.key"));
    let tls = [("TLS_CERT_FILE", certificate.as_str()), ("TLS_KEY_FILE", &key)];
    let mut program = Program::spawn(deployment.serve(&[&open[..3], &tls].concat()));
    program.ready().await;
    drop(program);

    let directory = database.0.join("dev");
    let dev = dev_on(directory.to_str().expect("UTF-8"));
    let arguments =
        dev.map(|argument| if argument == "127.0.0.1:0" { "0.0.0.0:0" } else { argument });
    let ended = run(arguments, &[]).await;
    let sentence = ended.stderr.lines().find(|line| line.starts_with("cdn-activation: "));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        sentence,
        Some(&*format!("cdn-activation: {}", exposed("GRPC_ADDR (--grpc-addr): 0.0.0.0:0")))
    );
}

#[tokio::test]
async fn a_proxy_protocol_without_trusted_proxies_is_refused_at_the_start() {
    let deployment = Deployment::new(&Database::fresh().await);
    let ended = serve(&deployment, &[("PROXY_PROTOCOL", "true")]).await;
    let sentence = "PROXY_PROTOCOL (--proxy-protocol) is without effect unless TRUSTED_PROXIES \
                    (--trusted-proxies) names the proxies; set both";
    assert_eq!(ended.sentence(1), sentence);
    let both = [("PROXY_PROTOCOL", "true"), ("TRUSTED_PROXIES", "10.0.0.0/8")];
    let mut program = Program::spawn(deployment.serve(&both));
    program.ready().await;
    assert_eq!(program.stop().await.code, Some(0));
}

#[tokio::test]
async fn files_of_tls_that_do_not_fit_are_one_sentence_at_the_start() {
    let deployment = Deployment::new(&Database::fresh().await);
    let authority = Authority::new("the authority");
    let files = ServerFiles::new(&authority.issue(&[]), "no authority");
    let other = ServerFiles::new(&authority.issue(&[]), &authority.pem());
    let (certificate, key, ca) =
        (files.path("tls.crt"), files.path("tls.key"), files.path("ca.crt"));
    let other_key = other.path("tls.key");
    let (cert, private, client) = ("TLS_CERT_FILE", "TLS_KEY_FILE", "TLS_CLIENT_CA_FILE");
    for (variables, sentence) in [
        (
            vec![(cert, &certificate)],
            "TLS_CERT_FILE (--tls-cert-file) is set without TLS_KEY_FILE (--tls-key-file); set both"
                .to_owned(),
        ),
        (
            vec![(private, &key)],
            "TLS_KEY_FILE (--tls-key-file) is set without TLS_CERT_FILE (--tls-cert-file); set both"
                .to_owned(),
        ),
        (
            vec![(client, &ca)],
            "TLS_CLIENT_CA_FILE (--tls-client-ca-file) is set without TLS_CERT_FILE (--tls-cert-file) and \
             TLS_KEY_FILE (--tls-key-file); set all three"
                .to_owned(),
        ),
        (
            vec![(cert, &certificate), (private, &other_key)],
            format!(
                "{certificate} and {other_key} cannot be used together: keys may not be consistent: KeyMismatch"
            ),
        ),
        (
            vec![(cert, &key), (private, &key)],
            format!("{key} does not contain certificates in PEM"),
        ),
        (
            vec![(cert, &certificate), (private, &certificate)],
            format!("{certificate} can be read by every user; run: chmod o-r {certificate}"),
        ),
        (
            vec![(cert, &certificate), (private, &key), (client, &ca)],
            format!("{ca} does not contain certificates in PEM"),
        ),
    ] {
        let variables: Vec<_> =
            variables.iter().map(|(name, path)| (*name, path.as_str())).collect();
        assert_eq!(serve(&deployment, &variables).await.sentence(1), sentence);
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_also_under_the_name_of_a_public_endpoint() {
    let authority = Authority::new("the authority");
    let files = ServerFiles::new(&authority.issue(&["cdn.aliyuncs.com"]), &authority.pem());
    let (certificate, key) = (files.path("tls.crt"), files.path("tls.key"));
    let roots = files.path("ca.crt");
    let scratch = Scratch::new();
    let directory = scratch.0.join("dev");
    let (program, api) = Program::dev(
        directory.to_str().expect("UTF-8"),
        &["--tls-cert-file", &certificate, "--tls-key-file", &key],
    )
    .await;
    let port = api.addresses.rest.port();
    let line = format!("curl --cacert CA_FILE 'https://127.0.0.1:{port}/");
    eventually("a command is printed", async || program.stderr().contains(&line)).await;

    let variables = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid-opened"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
        ("SSL_CERT_FILE", &roots),
    ];
    let endpoint = format!("https://localhost:{port}");
    let arguments = ["call", "DescribeUserCdnStatus", "--endpoint", &endpoint];
    let trusting = run(arguments, &variables).await;
    assert_eq!(trusting.code, Some(0), "{trusting:?}");
    let distrustful = run(arguments, &variables[..2]).await;
    assert_eq!(distrustful.code, Some(2), "{distrustful:?}");

    // A client with a fixed endpoint reaches the service if its name has this address.
    let public = format!("https://cdn.aliyuncs.com:{port}");
    let arguments = ["call", "DescribeUserCdnStatus", "--endpoint", &public, "--print-url"];
    let signed = run(arguments, &variables[..2]).await.stdout;
    let target = signed.trim().strip_prefix(&public).expect("a URL of the endpoint");
    let request = api.request("GET", target, &[("Connection", "close")], b"");
    let client = TlsClient::new(&authority.pem(), HTTP_1).named("cdn.aliyuncs.com");
    let reply = client.exchange(api.addresses.rest, &request).await.expect("a handshake");
    assert_eq!(reply.succeeded().json()["OnService"], true);
}

#[tokio::test]
async fn what_identifies_the_service_to_a_commerce_system_is_checked_at_the_start() {
    let deployment = Deployment::new(&Database::fresh().await);
    let scratch = Scratch::new();
    let token = scratch.file("token", "a-token-of-the-service");
    for (variables, sentence) in [
        (
            [("ORDER_ENDPOINT", "https://orders"), ("ORDER_CERT_FILE", "/none")],
            "ORDER_CERT_FILE (--order-cert-file) is set without ORDER_KEY_FILE (--order-key-file); set both",
        ),
        (
            [("ORDER_ENDPOINT", "https://orders"), ("ORDER_KEY_FILE", "/none")],
            "ORDER_KEY_FILE (--order-key-file) is set without ORDER_CERT_FILE (--order-cert-file); set both",
        ),
        (
            [("ORDER_ENDPOINT", "http://orders"), ("ORDER_TOKEN_FILE", &token)],
            "ORDER_ENDPOINT (--order-endpoint): \"http://orders\" does not begin with https://, which ORDER_CA_FILE, \
             ORDER_CERT_FILE and ORDER_TOKEN_FILE need",
        ),
    ] {
        assert_eq!(serve(&deployment, &variables).await.sentence(1), sentence);
    }
}
