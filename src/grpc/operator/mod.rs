//! The operator services, one file for each noun. Internal services use them to maintain accounts,
//! access keys, changes and locks. They have no API version, so they are not reachable in the RPC
//! query format.

mod access_key;
mod account;
mod audit;
mod charge_type_change;
mod event;
mod instance;
pub(super) mod names;
mod operation_lock;
pub mod page;
pub(crate) mod repeat;
mod security_token;

pub use event::Events;

use crate::domain::{AccountId, Product, Requested};
use crate::error::Error;
use crate::proto::convert::requested_product;

/// Reads the account id of a request.
fn account_id(number: i64) -> Result<AccountId, Error> {
    AccountId::new(number).ok_or_else(|| Error::account_id_field("account_id"))
}

/// Reads the account id of an account.
fn account_id_of(account: &crate::proto::operator::v1::Account) -> Result<AccountId, Error> {
    AccountId::new(account.account_id).ok_or_else(|| Error::account_id_field("account.account_id"))
}

/// Reads the id of an access key, which is required.
fn access_key_id(id: &str) -> Result<&str, Error> {
    if id.is_empty() { Err(Error::field("access_key_id", "is required")) } else { Ok(id) }
}

/// Reads the product filter of a list; `None` if there is none.
fn product_filter(number: i32) -> Result<Option<Product>, Error> {
    match requested_product(number) {
        Requested::NotGiven => Ok(None),
        _ => product(number).map(Some),
    }
}

/// Reads the key in a page token. A token of the service always contains a valid key.
fn key_of<T: std::str::FromStr>(after: Option<&str>) -> Result<Option<T>, Error> {
    let wrong = |_| Error::field("page_token", "is not a token of this list");
    after.map(|after| after.parse().map_err(wrong)).transpose()
}

/// Reads the product of a request, which is required.
fn product(number: i32) -> Result<Product, Error> {
    match requested_product(number) {
        Requested::Known(product) => Ok(product),
        Requested::NotGiven => Err(Error::field("product", "is required")),
        Requested::Unknown => Err(Error::field("product", "is not a product")),
    }
}

/// Returns the etag of a version, quoted as in HTTP (AIP-154).
fn etag(version: i64) -> String {
    format!("\"{version}\"")
}
