//! Errors point to the page about their code, on both wires, and say over gRPC what they mean in the
//! language of the caller. The pages show every error of the table.

use cdn_activation::error::texts::{Language, rows};
use cdn_activation::explorer::errors;
use cdn_activation::proto::operator::v1 as wire;
use prost::Message;
use tonic_types::StatusExt;

use crate::support::Api;
use crate::support::grpc::refusal;
use crate::support::raw_grpc::{RawReply, framed};
use crate::support::rest::Key;

const EXPLORER: &str = "https://cdn.example.com/explorer/";
const DESCRIBE: &str = "/activation.cdn.v1.CdnService/DescribeCdnService";
const STATUS: &str = "/activation.cdn.v1.CdnService/DescribeUserCdnStatus";
const LOCK: &str = "/activation.operator.v1.OperationLockService/Lock";
const NOT_OPENED: (&str, &str) = ("The account has not opened CDN.", "该账号尚未开通 CDN 服务。");
/// Largest metadata that gRPC clients accept by default, in bytes.
const LARGEST_METADATA: usize = 8 * 1024;

async fn api_with_explorer() -> Api {
    Api::start_with(|settings| settings.explorer_url = Some(EXPLORER.into())).await
}

/// Returns the reply to a Describe of an account that has not opened CDN, with this preference.
async fn refused(api: &Api, key: &Key, accept_language: Option<&str>) -> RawReply {
    let account_id = key.account_id.to_string();
    let mut metadata = vec![("x-account-id", account_id.as_str())];
    metadata.extend(accept_language.map(|languages| ("accept-language", languages)));
    let reply = api.raw_grpc().await.call(DESCRIBE, &metadata, &[]).await;
    assert_eq!(refusal(&reply.status()).code, "CdnServiceNotFound");
    reply
}

/// Returns the only link of an error, and its localized message, as locale and text.
fn advice(reply: &RawReply) -> (Option<String>, Option<(String, String)>) {
    let status = reply.status();
    let mut links = status.get_details_help().map(|help| help.links).unwrap_or_default();
    assert!(links.len() <= 1, "{links:?}");
    let localized = status.get_details_localized_message();
    let localized = localized.map(|localized| (localized.locale, localized.message));
    (links.pop().map(|link| link.url), localized)
}

fn said(locale: &str, message: &str) -> (String, String) {
    (locale.to_owned(), message.to_owned())
}

#[tokio::test]
async fn an_error_body_points_to_the_page_of_its_code() {
    let api = api_with_explorer().await;
    let key = api.account().await;
    let message = "Your account does not open CDN service yet.";
    let address = format!("{EXPLORER}errors/CdnServiceNotFound");
    let reply = api.get(&key, "Action=DescribeCdnService").await;
    reply.refused_with(403, "CdnServiceNotFound", message, Some(&address));
    let reply = api.get(&key, "Action=DescribeCdnService&Format=XML").await;
    let xml = "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>REQUEST-ID</RequestId>\
               <HostId>127.0.0.1</HostId><Code>CdnServiceNotFound</Code>\
               <Message>Your account does not open CDN service yet.</Message>\
               <Recommend><![CDATA[https://cdn.example.com/explorer/errors/CdnServiceNotFound]]>\
               </Recommend></Error>";
    assert_eq!(reply.body_without_request_id(), xml);
    // In this version the code has another name.
    let reply = api.get(&key, "Action=DescribeCdnService&Version=2014-11-11").await;
    assert_eq!(reply.text("Recommend"), format!("{EXPLORER}errors/OperationDenied"));
    // The code has a parameter, and the request did not reach an action.
    let reply = api.get(&key, "Action=").await;
    assert_eq!(reply.text("Recommend"), format!("{EXPLORER}errors/MissingAction"));
    // The server could not read the request as HTTP.
    let reply = api.send_raw(b"what is this\r\n\r\n").await;
    let link = format!("<Recommend><![CDATA[{EXPLORER}errors/MalformedRequest]]></Recommend>");
    assert!(reply.body.contains(&link), "{}", reply.body);
    let reply = api.get(&key, "Action=DescribeUserCdnStatus").await;
    assert!(!reply.succeeded().body.contains("Recommend"));
}

#[tokio::test]
async fn without_an_explorer_errors_have_no_address() {
    let api = Api::start().await;
    let key = api.account().await;
    let reply = api.get(&key, "Action=DescribeCdnService&Format=XML").await;
    let xml = "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>REQUEST-ID</RequestId>\
               <HostId>127.0.0.1</HostId><Code>CdnServiceNotFound</Code>\
               <Message>Your account does not open CDN service yet.</Message></Error>";
    assert_eq!(reply.body_without_request_id(), xml);
    let message = "Your account does not open CDN service yet.";
    let reply = api.get(&key, "Action=DescribeCdnService").await;
    reply.refused(403, "CdnServiceNotFound", message);
    assert_eq!(advice(&refused(&api, &key, None).await), (None, None));
    // The language does not depend on an explorer.
    let reply = refused(&api, &key, Some("zh-CN")).await;
    assert_eq!(advice(&reply), (None, Some(said("zh-CN", NOT_OPENED.1))));
}

#[tokio::test]
async fn a_grpc_error_has_a_link_and_speaks_the_language_of_the_caller() {
    let api = api_with_explorer().await;
    let key = api.account().await;
    let link = Some(format!("{EXPLORER}errors/CdnServiceNotFound"));
    let (english, chinese) = (Some(said("en", NOT_OPENED.0)), Some(said("zh-CN", NOT_OPENED.1)));
    for (accept_language, localized) in [
        (None, &None),
        (Some("en"), &english),
        (Some("en-GB,en;q=0.9,zh;q=0.8"), &english),
        (Some("zh-CN"), &chinese),
        (Some("zh"), &chinese),
        (Some("fr, zh-Hans;q=0.5, en;q=0.2"), &chinese),
        (Some("fr"), &english),
        (Some(""), &english),
        (Some(";;q=,*;ü"), &english),
    ] {
        let reply = refused(&api, &key, accept_language).await;
        assert_eq!(advice(&reply), (link.clone(), localized.clone()), "{accept_language:?}");
        let refused = refusal(&reply.status());
        assert_eq!(refused.message, "Your account does not open CDN service yet.");
        assert_eq!((refused.http, refused.request_id.as_str()), (403, reply.request_id()));
    }
}

#[tokio::test]
async fn refusals_before_the_action_have_the_same_advice() {
    let api = api_with_explorer().await;
    let grpc = api.raw_grpc().await;
    let of = |code: &str| Some(format!("{EXPLORER}errors/{code}"));
    let chinese = [("accept-language", "zh")];
    let reply = grpc.send(DESCRIBE, &chinese, framed(&[])).await;
    let localized = Some(said("zh-CN", "调用方服务的令牌缺失、不正确或重复出现。"));
    assert_eq!(advice(&reply), (of("ServiceUnauthenticated"), localized));
    let reply = grpc.send(DESCRIBE, &[], framed(&[])).await;
    assert_eq!(advice(&reply), (of("ServiceUnauthenticated"), None));
    let reply = grpc.call("/activation.cdn.v1.CdnService/NoMethod", &chinese, &[]).await;
    let localized = Some(said("zh-CN", "该 API 版本中没有此操作，或者路径、gRPC 方法不存在。"));
    assert_eq!(advice(&reply), (of("InvalidAction.NotFound"), localized));
    let health = tonic_health::pb::HealthCheckRequest { service: "none".to_owned() };
    let check = "/grpc.health.v1.Health/Check";
    let reply = grpc.send(check, &chinese, framed(&health.encode_to_vec())).await;
    let localized = Some(said("zh-CN", "服务器不提供此名称的服务。"));
    assert_eq!(advice(&reply), (of("ServiceNotFound"), localized));
}

#[tokio::test]
async fn a_success_has_no_advice() {
    let api = api_with_explorer().await;
    let account_id = api.account().await.account_id.to_string();
    let metadata = [("x-account-id", account_id.as_str()), ("accept-language", "zh")];
    let reply = api.raw_grpc().await.call(STATUS, &metadata, &[]).await;
    assert_eq!(reply.status().code(), tonic::Code::Ok);
    let has_details = |headers: &http::HeaderMap| headers.contains_key("grpc-status-details-bin");
    assert!(!has_details(&reply.headers) && !has_details(&reply.trailers), "{reply:?}");
}

#[tokio::test]
async fn the_largest_error_with_advice_fits_into_the_metadata() {
    let explorer = format!("https://cdn.example.com/{}/", "x".repeat(487));
    assert_eq!(explorer.len(), 512);
    let api = Api::start_with(|settings| settings.explorer_url = Some(explorer.into())).await;
    let wrong = "é".repeat(200);
    let request = wire::LockRequest {
        account_id: -1,
        product: 77,
        reason: wrong.clone(),
        locked_by: format!("{wrong}\n"),
        request_id: wrong,
    };
    let metadata = [("accept-language", "zh")];
    let reply = api.raw_grpc().await.call(LOCK, &metadata, &request.encode_to_vec()).await;
    let status = reply.status();
    let violations = status.get_details_bad_request().expect("a BadRequest").field_violations;
    assert_eq!(violations.len(), 5, "the advice replaces no other detail");
    let (link, localized) = advice(&reply);
    assert!(link.is_some_and(|link| link.ends_with("/errors/InvalidAccountId")));
    assert_eq!(localized, Some(said("zh-CN", "元数据或字段中的账号 ID 不是正的 64 位整数。")));
    let sent: usize =
        reply.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(sent < LARGEST_METADATA, "{sent} bytes");
}

/// Escapes as HTML demands.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// Returns a text as the pages show it, with code between backticks.
fn shown(text: &str) -> String {
    let mut is_code = false;
    let tag = |_| {
        is_code = !is_code;
        if is_code { "<code>" } else { "</code>" }
    };
    let mut parts = text.split('`').map(escaped);
    let first = parts.next().unwrap_or_default();
    let tags: Vec<_> = (1..text.split('`').count()).map(tag).collect();
    parts.zip(tags).fold(first, |all, (part, tag)| all + tag + &part)
}

#[test]
fn every_error_has_its_page_in_both_languages() {
    let mut count = 0;
    for language in Language::ALL {
        let list = errors::list(language);
        for row in rows() {
            let page = errors::page(&row.code, language).expect("a page");
            let mut parts = vec![
                format!("<html lang=\"{}\">", language.locale()),
                format!("<h1><code>{}</code></h1>", escaped(&row.code)),
            ];
            let of_row = [
                row.http_status.to_string(),
                format!("<code>{}</code>", row.grpc_code),
                escaped(&row.message),
                shown(&row.meaning(language)),
                shown(&row.what_to_do(language)),
            ];
            let answered_by = row.answered_by().iter().map(|by| escaped(by.text(language)));
            let of_row: Vec<_> = of_row.into_iter().chain(answered_by).collect();
            for part in &of_row {
                assert!(list.contains(part), "the list in {language:?} lacks {part}");
            }
            parts.extend(of_row);
            for part in &parts {
                assert!(page.contains(part), "{} in {language:?} lacks {part}", row.code);
            }
            assert!(list.contains(&format!("<tr data-code=\"{}\">", escaped(&row.code))));
            assert!(!page.contains("{{") && !list.contains("{{"));
            let other = if language == Language::English { "zh" } else { "en" };
            assert!(page.contains(&format!("<a href=\"?lang={other}\"")));
            count += 1;
        }
        assert!(list.contains("<input id=\"search\" ") && list.contains("aria-live=\"polite\""));
    }
    assert!(count > 100, "{count} pages");
}

#[test]
fn a_page_loads_nothing_from_elsewhere_and_has_no_inline_code() {
    let pages = Language::ALL.map(|language| {
        let page = errors::page("SignatureDoesNotMatch", language).expect("a page");
        [errors::list(language), page]
    });
    for page in pages.into_iter().flatten() {
        for wrong in ["://", " style=", "<style", "onclick", "<script>", "url("] {
            assert!(!page.contains(wrong), "{wrong}");
        }
        assert!(page.contains("<link rel=\"stylesheet\" href=\"../style.css\">"));
    }
}

#[test]
fn the_page_of_signatures_shows_both_versions_and_leads_to_the_doctor() {
    let page = errors::page("SignatureDoesNotMatch", Language::English).expect("a page");
    assert!(page.contains("server string to sign is:") && page.contains("server CanonicalRequest"));
    assert!(page.contains("href=\"../?lang=en#doctor\""));
    let other = errors::page("SignatureNonceUsed", Language::English).expect("a page");
    assert!(!other.contains("#doctor"));
}
