//! Tests of the queue of refused attempts.

use std::collections::HashMap;

use super::*;
use crate::error::FlowLimit;

fn audit() -> Audit {
    Audit::new(Metrics::new(HashMap::new()))
}

/// Offers this number of refusals of an action with an error, and returns how many wait after that.
fn waiting_after(
    audit: &Audit,
    number: usize,
    action: &str,
    error: &Error,
    who: &Principal<'_>,
) -> usize {
    let (request_id, origin) = (RequestId::random(), Origin::default());
    for _ in 0..number {
        audit.refused(&Refused {
            action,
            error,
            api_version: None,
            principal: who.clone(),
            account_id: None,
            resource: String::new(),
            request_id: &request_id,
            origin: &origin,
            at: Time::UNIX_EPOCH,
        });
    }
    audit.waiting().len()
}

fn dropped(audit: &Audit) -> String {
    let text = audit.0.metrics.render();
    let line = text.lines().find(|line| line.starts_with("audit_refusals_dropped_total"));
    line.expect("a counter").to_owned()
}

#[test]
fn refusals_are_recorded_of_actions_that_write_and_of_any_action_for_who_the_caller_is() {
    let service = Principal::Verified("service:test".to_owned());
    for (action, error, is_recorded) in [
        ("Lock", Error::AccountNotFound, true),
        ("OpenCdnService", Error::MalformedMessage, true),
        ("DescribeCdnService", Error::AccountNotFound, false),
        ("DescribeCdnService", Error::NonceUsed, true),
        ("ListAccounts", Error::ServiceUnauthenticated, true),
        ("ListAccounts", Error::field("page_size", "is negative"), false),
        ("NoSuchAction", Error::ActionNotFound, false),
        ("Lock", Error::Contended, false),
        ("Lock", Error::internal("a fault"), false),
    ] {
        let recorded = waiting_after(&audit(), 1, action, &error, &service);
        assert_eq!(recorded == 1, is_recorded, "{action}: {error:?}");
    }
}

#[test]
fn a_flood_of_strangers_is_limited_and_does_not_hide_the_refusals_of_callers() {
    let audit = audit();
    let error = Error::ServiceUnauthenticated;
    let strangers = waiting_after(&audit, 10_000, "Lock", &error, &Principal::Unknown);
    // 100 at once, and one in each second that the loop takes.
    assert!((100..110).contains(&strangers), "{strangers}");
    assert_eq!(dropped(&audit), format!("audit_refusals_dropped_total {}", 10_000 - strangers));
    let service = Principal::Verified("service:test".to_owned());
    assert_eq!(waiting_after(&audit, 10, "Lock", &error, &service), strangers + 10);
}

#[test]
fn a_flood_of_repeated_and_throttled_requests_does_not_hide_other_refusals_of_callers() {
    let audit = audit();
    let service = Principal::Verified("service:test".to_owned());
    let key = Principal::Verified("key:LTAI".to_owned());
    let limit = || FlowLimit::new(Duration::ZERO, "service:test", "calls");
    let mut flood = 0;
    for error in [Error::NonceUsed, Error::ThrottledUser(limit()), Error::Throttled(limit())] {
        for who in [&service, &key] {
            flood = waiting_after(&audit, 2000, "Lock", &error, who);
        }
    }
    assert!((100..110).contains(&flood), "{flood}");
    for (count, who) in [(flood + 200, &service), (flood + 400, &key)] {
        let waiting = waiting_after(&audit, 200, "Lock", &Error::ServiceForbidden, who);
        assert_eq!(waiting, count, "each has a limit of its own: {who:?}");
    }
}

#[test]
fn a_full_queue_takes_no_more() {
    let audit = audit();
    assert_eq!(waiting_after(&audit, 1, "Lock", &Error::NonceUsed, &Principal::Unknown), 1);
    let attempt = audit.waiting()[0].clone();
    while audit.push(|| attempt.clone()) {}
    assert_eq!(audit.waiting().len(), MOST_WAITING);
    assert_eq!(
        waiting_after(&audit, 1, "Lock", &Error::NonceUsed, &Principal::Unknown),
        MOST_WAITING
    );
    assert_eq!(dropped(&audit), "audit_refusals_dropped_total 1");
}

#[test]
fn texts_of_callers_are_cut_and_have_no_control_characters() {
    let audit = audit();
    let id = format!("\0LTAI\n{}", "ü".repeat(100));
    waiting_after(&audit, 1, "Lock", &Error::NonceUsed, &Principal::UnverifiedKey(&id));
    let expected = format!("unverified-key:LTAI{}", "ü".repeat(29));
    assert_eq!(audit.waiting()[0].entry.principal, expected);
    let name = format!("service:a\0{}", "b".repeat(300));
    waiting_after(&audit, 1, "Lo\0ck", &Error::NonceUsed, &Principal::Verified(name));
    let entry = audit.waiting()[1].entry.clone();
    assert_eq!(entry.principal, format!("service:a{}", "b".repeat(LONGEST_PRINCIPAL - 10)));
    assert_eq!(entry.action, "Lock");
}
