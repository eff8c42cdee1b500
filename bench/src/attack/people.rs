//! The accounts of a run, the well-behaved callers, and the operator's writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context;
use cdn_activation::proto::cdn::v1 as cdn;
use cdn_activation::proto::cdn::v1::cdn_service_client::CdnServiceClient;
use cdn_activation::proto::operator::v1 as operator;
use cdn_activation::proto::operator::v1::access_key_service_client::AccessKeyServiceClient;
use cdn_activation::proto::operator::v1::account_service_client::AccountServiceClient;
use futures_util::future::try_join_all;
use tonic::transport::Channel;

use super::wire::{Key, channel, told};

/// The number of accounts whose rows are locked.
pub const MANY: i64 = 64;
const FIRST: i64 = 700_000_000;
/// Accounts that well-behaved callers write in turn, so that they do not wait for each other.
const OWN: i64 = 100;
/// The first account that is made during an attack.
const NEW: i64 = FIRST + OWN + MANY;
/// Callers that make the accounts and the backlog.
const WRITERS: usize = 16;

/// A well-behaved caller. Clones share the channel.
#[derive(Clone)]
pub struct Caller {
    channel: Channel,
    token: String,
    key: Key,
    /// Counts the writes.
    next: Arc<AtomicI64>,
}

/// An account that may open everything.
fn account(account_id: i64, balance: i64) -> operator::Account {
    operator::Account {
        account_id,
        real_name_verified: true,
        profile_complete: true,
        payment_method_valid: true,
        balance,
        ..Default::default()
    }
}

impl Caller {
    /// Makes the accounts, one of them with a key and CDN, and a backlog of events.
    pub async fn settle(grpc: SocketAddr, token: &str, events: i64) -> anyhow::Result<Self> {
        let key = Key { id: String::new(), secret: String::new() };
        let (channel, token) = (channel(grpc), token.to_owned());
        let mut caller = Self { channel, token, key, next: Arc::new(AtomicI64::new(0)) };
        for accounts in (FIRST..NEW).collect::<Vec<_>>().chunks(WRITERS) {
            try_join_all(accounts.iter().map(|id| caller.create(*id))).await?;
        }
        caller.open(FIRST).await?;
        let create = operator::CreateAccessKeyRequest { account_id: FIRST, ..Default::default() };
        let mut keys = AccessKeyServiceClient::new(caller.channel.clone());
        let created = keys.create_access_key(told(&caller.token, None, create)).await?.into_inner();
        let id = created.access_key.context("a key")?.access_key_id;
        caller.key = Key { id, secret: created.access_key_secret };
        let writing = (0..MANY).map(|writer| {
            let caller = caller.clone();
            async move {
                for number in 0..events / MANY {
                    caller.update(held(writer), number).await?;
                }
                anyhow::Ok(())
            }
        });
        try_join_all(writing).await?;
        Ok(caller)
    }

    /// Returns the same caller for another address.
    pub fn at(&self, grpc: SocketAddr) -> Self {
        Self { channel: channel(grpc), ..self.clone() }
    }

    /// Returns the key of the first account.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Describes the first account over gRPC.
    pub async fn describe(&self) -> anyhow::Result<()> {
        let request = told(&self.token, Some(FIRST), cdn::DescribeCdnServiceRequest::default());
        CdnServiceClient::new(self.channel.clone()).describe_cdn_service(request).await?;
        Ok(())
    }

    /// Writes the next account, as an operator.
    pub async fn update_own(&self) -> anyhow::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.update(FIRST + number % OWN, number).await
    }

    /// Writes an account, as an operator.
    pub async fn update(&self, account_id: i64, balance: i64) -> anyhow::Result<()> {
        let account = Some(account(account_id, 10_000 + balance));
        let update = operator::UpdateAccountRequest { account, ..Default::default() };
        let mut accounts = AccountServiceClient::new(self.channel.clone());
        accounts.update_account(told(&self.token, None, update)).await?;
        Ok(())
    }

    /// Makes another account, and opens CDN for it.
    pub async fn another_opens(&self) -> anyhow::Result<()> {
        let account_id = NEW + self.next.fetch_add(1, Ordering::Relaxed);
        self.create(account_id).await?;
        self.open(account_id).await
    }

    async fn create(&self, account_id: i64) -> anyhow::Result<()> {
        let account = Some(account(account_id, 10_000));
        let create = operator::CreateAccountRequest { account, ..Default::default() };
        let mut accounts = AccountServiceClient::new(self.channel.clone());
        accounts.create_account(told(&self.token, None, create)).await?;
        Ok(())
    }

    async fn open(&self, account_id: i64) -> anyhow::Result<()> {
        let open = cdn::OpenCdnServiceRequest::default();
        let request = told(&self.token, Some(account_id), open);
        CdnServiceClient::new(self.channel.clone()).open_cdn_service(request).await?;
        Ok(())
    }
}

/// Returns one of the accounts whose rows are locked.
pub fn held(number: i64) -> i64 {
    FIRST + OWN + number
}
