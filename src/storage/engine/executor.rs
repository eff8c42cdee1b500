//! Runs a statement on the connections of a store: takes a connection, waits for the answer within
//! the limit, and returns the connection.

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Error as SqlxError, Execute, Executor, Postgres, SqlStr};

use super::connections::{DatabaseConnections, limited};
use super::watched::WatchedQuery;

impl<'c> Executor<'c> for &'_ DatabaseConnections {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, SqlxError>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let connections = self.clone();
        let all = async move {
            let (query, watch) = WatchedQuery::new(query, &connections);
            let all = async {
                let mut connection = connections.take().await?;
                let all = limited(connection.fetch_many(query).try_collect::<Vec<_>>()).await;
                connection.answered(all)
            };
            watch.ended(all.await)
        };
        let rows = |all: Vec<_>| stream::iter(all.into_iter().map(Ok));
        Box::pin(stream::once(all).map_ok(rows).try_flatten())
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, SqlxError>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let connections = self.clone();
        Box::pin(async move {
            let (query, watch) = WatchedQuery::new(query, &connections);
            let row = async {
                let mut connection = connections.take().await?;
                let row = limited(connection.fetch_optional(query)).await;
                connection.answered(row)
            };
            watch.ended(row.await)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, SqlxError>>
    where
        'c: 'e,
    {
        let connections = self.clone();
        Box::pin(async move {
            let mut connection = connections.take().await?;
            let statement = limited(connection.prepare_with(sql, parameters)).await;
            connection.answered(statement)
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, SqlxError>>
    where
        'c: 'e,
    {
        let connections = self.clone();
        Box::pin(async move {
            let mut connection = connections.take().await?;
            let description = limited(connection.describe(sql)).await;
            connection.answered(description)
        })
    }
}
