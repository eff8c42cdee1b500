//! The ops pages as a probe or a scraper reads them.

use std::net::SocketAddr;

use super::Api;
use super::rest::Reply;

impl Api {
    /// Gets an ops page.
    pub async fn page(&self, path: &str) -> Reply {
        page_of(self.addresses.ops, path).await
    }

    /// Returns the value of a metric with this name and these labels; `None` if there is no such
    /// line.
    pub async fn metric(&self, name_and_labels: &str) -> Option<f64> {
        let text = self.page("/metrics").await.body;
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name_and_labels));
        values.find_map(|value| value.strip_prefix(' ')?.parse().ok())
    }
}

/// Gets a page at this address.
pub async fn page_of(address: SocketAddr, path: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    Reply::of(address, request.as_bytes()).await
}
