//! Tests of what is admitted and refused, without a database.

use super::*;
use crate::metrics::QuotaRefusals;

fn quotas() -> Quotas {
    let options = QuotaOptions { burst: Duration::from_secs(1) };
    Quotas::new(Some(options), QuotaRefusals::default())
}

fn account(number: i64) -> AccountId {
    AccountId::new(number).unwrap()
}

fn five() -> ActionQuota {
    ActionQuota { action: "Open".into(), per_second: NonZeroU32::new(5).unwrap() }
}

fn code<T>(outcome: Result<T, Error>) -> Option<String> {
    outcome.err().map(|error| error.code().into_owned())
}

#[test]
fn a_request_that_is_not_taken_leaves_the_quota_as_it_is() {
    let (quotas, quota) = (quotas(), five());
    for _ in 0..100 {
        drop(quotas.admit(account(1), Some(&quota)).unwrap());
    }
    for _ in 0..5 {
        quotas.admit(account(1), Some(&quota)).unwrap().take().unwrap();
    }
    assert_eq!(code(quotas.admit(account(1), Some(&quota))).as_deref(), Some("Throttling.User"));
    quotas.admit(account(2), Some(&quota)).unwrap().take().unwrap();
}

#[test]
fn requests_that_were_admitted_together_share_what_is_left() {
    let (quotas, quota) = (quotas(), five());
    let admit = |_| quotas.admit(account(1), Some(&quota)).unwrap();
    let admitted: Vec<_> = (0..8).map(admit).collect();
    let taken = admitted.iter().filter(|admission| admission.take().is_ok()).count();
    assert_eq!(taken, 5);
}

#[test]
fn an_account_has_128_running_requests_and_another_has_its_own() {
    let quotas = quotas();
    let running: Vec<_> = (0..128).map(|_| quotas.admit(account(1), None).unwrap()).collect();
    assert_eq!(code(quotas.admit(account(1), None)).as_deref(), Some("Throttling.User"));
    quotas.admit(account(2), None).unwrap();
    drop(running);
    quotas.admit(account(1), None).unwrap();
}

#[test]
fn a_service_has_1024_running_calls_for_an_account_and_4096_in_all() {
    let (quotas, name) = (quotas(), Arc::from("billing"));
    let admit = |number| quotas.admit_call(&name, AccountId::new(number), None);
    let mut running: Vec<_> = (0..1024).map(|_| admit(1).unwrap()).collect();
    assert!(admit(1).is_err());
    running.extend((0..3072).map(|number| admit(2 + number % 3).unwrap()));
    assert!(admit(9).is_err());
    let other = Arc::from("reports");
    quotas.admit_call(&other, AccountId::new(1), None).unwrap();
    drop(running);
    admit(1).unwrap();
}

#[test]
fn a_service_has_256_running_streams_that_take_no_places_of_calls() {
    let (quotas, name) = (quotas(), Arc::from("billing"));
    let running: Vec<_> = (0..256).map(|_| quotas.admit_stream(&name, None).unwrap()).collect();
    let refused = quotas.admit_stream(&name, None).unwrap_err();
    let flow = refused.flow_limit().unwrap();
    let told = ("service:billing", "streams at the same time: 256");
    assert_eq!((flow.subject(), flow.description()), told);
    let calls: Vec<_> =
        (0..1024).map(|_| quotas.admit_call(&name, AccountId::new(1), None).unwrap()).collect();
    quotas.admit_stream(&Arc::from("reports"), None).unwrap();
    drop(running);
    quotas.admit_stream(&name, None).unwrap();
    drop(calls);
}

#[test]
fn a_stream_is_taken_from_the_limit_of_its_service() {
    let (quotas, name) = (quotas(), Arc::from("billing"));
    let one = NonZeroU32::MIN;
    let limit = Some(CallRate { calls_per_second: one, burst: NonZeroU32::new(2) });
    quotas.admit_stream(&name, limit).unwrap();
    quotas.admit_call(&name, None, limit).unwrap();
    assert!(quotas.admit_stream(&name, limit).is_err());
}

#[test]
fn a_service_with_a_limit_is_limited_over_all_accounts() {
    let (quotas, name) = (quotas(), Arc::from("billing"));
    let five = NonZeroU32::new(5).unwrap();
    let limit = Some(CallRate { calls_per_second: five, burst: NonZeroU32::new(7) });
    for number in 1..=7 {
        quotas.admit_call(&name, AccountId::new(number), limit).unwrap();
    }
    let refused = quotas.admit_call(&name, AccountId::new(8), limit).unwrap_err();
    let flow = refused.flow_limit().unwrap();
    assert_eq!((flow.subject(), flow.description()), ("service:billing", "calls per second: 5"));
}

#[test]
fn without_options_nothing_is_limited() {
    let (quotas, quota) = (Quotas::default(), five());
    let running: Vec<_> =
        (0..1000).map(|_| quotas.admit(account(1), Some(&quota)).unwrap()).collect();
    assert!(running.iter().all(|admission| admission.take().is_ok()));
}
