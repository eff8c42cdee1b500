//! Audit records: as the database has them, as operators list them, and for writes of tests that no
//! request makes.

use cdn_activation::ids::new_id;
use cdn_activation::proto::operator::v1 as wire;
use cdn_activation::proto::operator::v1::audit_service_client::AuditServiceClient;
use cdn_activation::storage::AuditEntry;
use serde_json::Value;
use sqlx::{Connection, FromRow};
use tonic::{Request, Status};

use super::database::Database;
use super::grpc::Caller;
use super::{Api, eventually};

/// A row of `audit_records`.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub struct Record {
    /// The account.
    pub account_id: i64,
    /// The caller.
    pub principal: String,
    /// The address of the client.
    pub address: Option<String>,
    /// The name of the rpc.
    pub action: String,
    /// What the call was about.
    pub resource: String,
    /// The id of the request.
    pub request_id: String,
    /// The id that the client sent.
    pub correlation_id: Option<String>,
    /// `OK` or a code.
    pub result: String,
    /// The state before.
    pub before: Option<Value>,
    /// The state after.
    pub after: Option<Value>,
}

/// Returns the record of a write that a test makes without a request.
pub fn entry(action: &'static str) -> AuditEntry {
    AuditEntry {
        audit_id: new_id(),
        recorded_at: cdn_activation::domain::Time::UNIX_EPOCH,
        principal: "test".to_owned(),
        address: None,
        action: action.into(),
        resource: String::new(),
        request_id: String::new(),
        correlation_id: None,
        before: None,
        after: Some(Value::Object(serde_json::Map::new())),
    }
}

/// Returns a request with a correlation id.
pub fn with_correlation_id<T>(message: T, id: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-request-id", id.parse().expect("visible characters"));
    request
}

impl Database {
    /// Returns the records about an account in the order in which they were made.
    pub async fn audit_records(&self, account_id: i64) -> Vec<Record> {
        let mut connection = self.connect().await;
        let records = sqlx::query_as(
            "SELECT account_id, principal, address, action, resource, request_id, correlation_id,
                result, before, after
             FROM audit_records
             WHERE account_id = $1
             ORDER BY recorded_at, audit_id",
        )
        .bind(account_id)
        .fetch_all(&mut connection)
        .await
        .expect("reads");
        connection.close().await.expect("closed");
        records
    }

    /// Waits until there are records about an account with these results, in any order, and returns
    /// them.
    pub async fn audit_records_become(&self, account_id: i64, results: &[&str]) -> Vec<Record> {
        let mut expected = results.to_vec();
        expected.sort_unstable();
        let mut found = Vec::new();
        eventually(&format!("{results:?} are recorded"), async || {
            found = self.audit_records(account_id).await;
            let mut results: Vec<_> = found.iter().map(|record| record.result.as_str()).collect();
            results.sort_unstable();
            assert!(results.len() <= expected.len(), "{found:#?}");
            results == expected
        })
        .await;
        found
    }
}

impl Api {
    /// Returns a client of `AuditService`.
    pub async fn audit(&self) -> AuditServiceClient<Caller> {
        AuditServiceClient::new(self.operator().await)
    }

    /// Returns a page of records.
    pub async fn list_audit_records(
        &self,
        request: wire::ListAuditRecordsRequest,
    ) -> Result<wire::ListAuditRecordsResponse, Status> {
        Ok(self.audit().await.list_audit_records(request).await?.into_inner())
    }
}
