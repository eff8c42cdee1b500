//! The textbook service: tonic and pools of connections, one query per Describe, one transaction of
//! four statements per Open. It does the same work on the same tables as ours, request by request.

mod describe;
mod open;

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use cdn_activation::proto::cdn::v1 as cdn;
use cdn_activation::proto::cdn::v1::cdn_service_server::{CdnService, CdnServiceServer};
use cdn_activation::proto::dcdn::v1 as dcdn;
use cdn_activation::proto::dcdn::v1::dcdn_service_server::{DcdnService, DcdnServiceServer};
use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use self::describe::DescribeRow;
use super::{not_compared, request_id, serve_until_killed};

/// Connections for Describe. More and fewer were slower on two cores.
const DESCRIBE_CONNECTIONS: u32 = 8;
/// Connections for Open. It waits for the disk, so more of them are faster.
const OPEN_CONNECTIONS: u32 = 16;

/// The options of the service.
pub struct Settings {
    /// The database.
    pub database_url: String,
    /// The statement of Describe; `$1` is the account id, `$2` the product.
    pub describe_sql: String,
    /// The token that callers send.
    pub service_token: String,
}

/// Serves on `address` until the process is killed.
pub fn serve(address: SocketAddr, settings: &Settings) -> anyhow::Result<()> {
    serve_until_killed(address, async |mut server| {
        let database = PgConnectOptions::from_str(&settings.database_url)?;
        let service = Textbook {
            describing: pool(DESCRIBE_CONNECTIONS, database.clone()).await?,
            opening: pool(OPEN_CONNECTIONS, database).await?,
            describe_sql: Arc::from(settings.describe_sql.as_str()),
            authorization: format!("Bearer {}", settings.service_token),
        };
        Ok(server
            .add_service(DcdnServiceServer::new(service.clone()))
            .add_service(CdnServiceServer::new(service)))
    })
}

async fn pool(connections: u32, database: PgConnectOptions) -> Result<PgPool, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        // By default, sqlx pings the database before every query.
        .test_before_acquire(false)
        .connect_with(database)
        .await?;
    // All connections are opened before the first request, and none under load.
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(pool.acquire().await?);
    }
    drop(opened);
    Ok(pool)
}

#[derive(Clone)]
struct Textbook {
    describing: PgPool,
    opening: PgPool,
    describe_sql: Arc<str>,
    authorization: String,
}

impl Textbook {
    /// Returns the account of a call.
    fn account_id(&self, metadata: &MetadataMap) -> Result<i64, Status> {
        let header = |name| metadata.get(name).and_then(|value| value.to_str().ok());
        if header("authorization") != Some(&self.authorization) {
            return Err(Status::unauthenticated("the token is wrong"));
        }
        header("x-account-id")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Status::invalid_argument("x-account-id is not a number"))
    }
}

/// Returns the status for a failure of the database.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn database(error: sqlx::Error) -> Status {
    Status::internal(error.to_string())
}

#[tonic::async_trait]
impl DcdnService for Textbook {
    async fn describe_dcdn_service(
        &self,
        request: Request<dcdn::DescribeDcdnServiceRequest>,
    ) -> Result<Response<dcdn::DescribeDcdnServiceResponse>, Status> {
        let account_id = self.account_id(request.metadata())?;
        let row: Option<DescribeRow> =
            sqlx::query_as(AssertSqlSafe(Arc::clone(&self.describe_sql)))
                .bind(account_id)
                .bind("dcdn")
                .fetch_optional(&self.describing)
                .await
                .map_err(database)?;
        let row = row.ok_or_else(|| Status::not_found("DCDN has not been opened"))?;
        Ok(Response::new(describe::reply(row, now())))
    }

    async fn open_dcdn_service(
        &self,
        _: Request<dcdn::OpenDcdnServiceRequest>,
    ) -> Result<Response<dcdn::OpenDcdnServiceResponse>, Status> {
        not_compared()
    }

    async fn describe_user_dcdn_status(
        &self,
        _: Request<dcdn::DescribeUserDcdnStatusRequest>,
    ) -> Result<Response<dcdn::DescribeUserDcdnStatusResponse>, Status> {
        not_compared()
    }

    async fn describe_dcdn_user_bill_type(
        &self,
        _: Request<dcdn::DescribeDcdnUserBillTypeRequest>,
    ) -> Result<Response<dcdn::DescribeDcdnUserBillTypeResponse>, Status> {
        not_compared()
    }
}

#[tonic::async_trait]
impl CdnService for Textbook {
    async fn open_cdn_service(
        &self,
        request: Request<cdn::OpenCdnServiceRequest>,
    ) -> Result<Response<cdn::OpenCdnServiceResponse>, Status> {
        let account_id = self.account_id(request.metadata())?;
        let charge_type = open::charge_type(request.get_ref().internet_charge_type)
            .ok_or_else(|| Status::invalid_argument("the charge type cannot be opened with"))?;
        open::open(&self.opening, account_id, charge_type).await?;
        Ok(Response::new(cdn::OpenCdnServiceResponse { request_id: request_id() }))
    }

    async fn describe_cdn_service(
        &self,
        _: Request<cdn::DescribeCdnServiceRequest>,
    ) -> Result<Response<cdn::DescribeCdnServiceResponse>, Status> {
        not_compared()
    }

    async fn modify_cdn_service(
        &self,
        _: Request<cdn::ModifyCdnServiceRequest>,
    ) -> Result<Response<cdn::ModifyCdnServiceResponse>, Status> {
        not_compared()
    }

    async fn describe_user_cdn_status(
        &self,
        _: Request<cdn::DescribeUserCdnStatusRequest>,
    ) -> Result<Response<cdn::DescribeUserCdnStatusResponse>, Status> {
        not_compared()
    }

    async fn describe_cdn_user_bill_type(
        &self,
        _: Request<cdn::DescribeCdnUserBillTypeRequest>,
    ) -> Result<Response<cdn::DescribeCdnUserBillTypeResponse>, Status> {
        not_compared()
    }
}

fn now() -> DateTime<Utc> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server of its own, without the service's clock"
    )]
    let now = Utc::now();
    now
}
