//! The operator services, one file per noun: how the internal services keep accounts, keys and
//! locks. They have no API version, so the RPC query format cannot see them.

mod access_key;
mod account;
mod charge_type_change;
mod event;
mod instance;
pub(super) mod names;
mod operation_lock;
pub(super) mod page;
pub(crate) mod repeat;

pub use event::Events;

use crate::domain::{AccountId, Product, Requested};
use crate::error::Error;
use crate::proto::convert::requested_product;

/// The account id of an operator request.
fn account_id(number: i64) -> Result<AccountId, Error> {
    AccountId::new(number).ok_or_else(|| Error::account_id_field("account_id"))
}

/// The account id in an account.
fn account_id_of(account: &crate::proto::operator::v1::Account) -> Result<AccountId, Error> {
    AccountId::new(account.account_id).ok_or_else(|| Error::account_id_field("account.account_id"))
}

/// The id of an access key: required.
fn access_key_id(id: &str) -> Result<&str, Error> {
    if id.is_empty() { Err(Error::field("access_key_id", "is required")) } else { Ok(id) }
}

/// The product that a list is narrowed to, if any.
fn product_filter(number: i32) -> Result<Option<Product>, Error> {
    match requested_product(number) {
        Requested::NotGiven => Ok(None),
        _ => product(number).map(Some),
    }
}

/// The key that a page token carries; one that was made here reads back.
fn key_of<T: std::str::FromStr>(after: Option<&str>) -> Result<Option<T>, Error> {
    let wrong = |_| Error::field("page_token", "is not a token of this list");
    after.map(|after| after.parse().map_err(wrong)).transpose()
}

/// The product of an operator request: required.
fn product(number: i32) -> Result<Product, Error> {
    match requested_product(number) {
        Requested::Known(product) => Ok(product),
        Requested::NotGiven => Err(Error::field("product", "is required")),
        Requested::Unknown => Err(Error::field("product", "is not a product")),
    }
}

/// The etag of a version: quoted, as HTTP quotes it (AIP-154).
fn etag(version: i64) -> String {
    format!("\"{version}\"")
}
