//! `AuditService`: who changed what, or tried to, and from where.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp};
use serde_json::Value;
use tonic::Request;
use uuid::Uuid;

use super::{account_id, key_of};
use crate::domain::Time;
use crate::error::{Error, both};
use crate::grpc::{Actions, Reply, operate};
use crate::proto::convert::{time_of, timestamp};
use crate::proto::operator::v1 as wire;
use crate::proto::operator::v1::audit_service_server::AuditService;
use crate::storage::{AuditFilter, StoredAuditRecord};

#[tonic::async_trait]
impl AuditService for Actions {
    async fn list_audit_records(
        &self,
        request: Request<wire::ListAuditRecordsRequest>,
    ) -> Reply<wire::ListAuditRecordsResponse> {
        operate("ListAuditRecords", request, async |context, message| {
            let caller = context.service_name()?;
            let list = list_name(&message);
            let page = self.page_tokens.page(caller, &list, message.page_size, &message.page_token);
            let end = instant("end_time", message.end_time.as_ref());
            let ((filter, end), page) = both(both(filter(&message), end), page)?;
            let end = (end.unwrap_or(Time::MAX_UTC), Uuid::nil());
            let before = key_of::<RecordKey>(page.after.as_deref())?;
            let before = before.map_or(end, |RecordKey(key)| key);
            let size = page.read_size();
            let mut records = self.store.audit_records_before(&filter, before, size).await?;
            let end = page.cut(&mut records, |record| RecordKey::of(record).to_string());
            Ok(wire::ListAuditRecordsResponse {
                audit_records: records.into_iter().map(shown).collect(),
                next_page_token: self.page_tokens.next(caller, &list, end),
            })
        })
        .await
    }
}

/// Returns the name of a list, with its filters. The texts are quoted, so that two lists have two
/// names.
fn list_name(message: &wire::ListAuditRecordsRequest) -> String {
    let wire::ListAuditRecordsRequest { principal, action, result, .. } = message;
    let (start, end) = (message.start_time.as_ref(), message.end_time.as_ref());
    let account_id = message.account_id;
    format!("audit records of {account_id} {principal:?} {action:?} {result:?} {start:?} {end:?}")
}

fn filter(message: &wire::ListAuditRecordsRequest) -> Result<AuditFilter, Error> {
    let account = match message.account_id {
        0 => Ok(None),
        number => account_id(number).map(Some),
    };
    let text = |name, text: &String| match text.as_str() {
        "" => Ok(None),
        // A text in PostgreSQL cannot contain NUL.
        given if given.contains('\0') => Err(Error::field(name, "contains NUL")),
        given => Ok(Some(given.to_owned())),
    };
    let principal = text("principal", &message.principal);
    let (action, result) = (text("action", &message.action), text("result", &message.result));
    let start = instant("start_time", message.start_time.as_ref());
    let checked = both(both(account, principal), both(action, both(result, start)));
    let ((account_id, principal), (action, (result, start))) = checked?;
    let start = start.unwrap_or(Time::UNIX_EPOCH);
    Ok(AuditFilter { account_id, principal, action, result, start })
}

fn instant(field: &'static str, given: Option<&Timestamp>) -> Result<Option<Time>, Error> {
    let time = |given| time_of(given).ok_or_else(|| Error::field(field, "is not an instant"));
    given.map(time).transpose()
}

/// The place of a record in the order of a list.
struct RecordKey((Time, Uuid));

impl RecordKey {
    fn of(record: &StoredAuditRecord) -> Self {
        Self((record.recorded_at, record.audit_id))
    }
}

impl std::fmt::Display for RecordKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self((time, id)) = self;
        write!(formatter, "{} {id}", time.timestamp_micros())
    }
}

/// A text that is not the key of a record.
struct NoKey;

impl std::str::FromStr for RecordKey {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let (micros, id) = text.split_once(' ').ok_or(NoKey)?;
        let time = micros.parse().ok().and_then(Time::from_timestamp_micros).ok_or(NoKey)?;
        Ok(Self((time, id.parse().map_err(|_| NoKey)?)))
    }
}

fn shown(record: StoredAuditRecord) -> wire::AuditRecord {
    wire::AuditRecord {
        audit_id: record.audit_id.to_string(),
        record_time: Some(timestamp(record.recorded_at)),
        account_id: record.account_id,
        principal: record.principal,
        address: record.address.unwrap_or_default(),
        action: record.action,
        resource: record.resource,
        request_id: record.request_id,
        correlation_id: record.correlation_id.unwrap_or_default(),
        result: record.result,
        before: record.before.and_then(|state| structure(state.0)),
        after: record.after.and_then(|state| structure(state.0)),
    }
}

/// Returns the structure of a JSON object.
fn structure(state: Value) -> Option<Struct> {
    let Value::Object(members) = state else { return None };
    let fields = members.into_iter().map(|(name, value)| (name, value_of(value)));
    Some(Struct { fields: fields.collect() })
}

fn value_of(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(value_of).collect() })
        }
        object @ Value::Object(_) => Kind::StructValue(structure(object).unwrap_or_default()),
    };
    prost_types::Value { kind: Some(kind) }
}
