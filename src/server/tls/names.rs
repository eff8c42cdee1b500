//! The names in the certificate of a client.

use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// Returns the names in the first certificate of a verified chain: its URIs, of which SPIFFE is one,
/// then its DNS names.
pub(in crate::server) fn names_of(chain: Option<&[CertificateDer<'_>]>) -> Arc<[String]> {
    let Some(certificate) = chain.and_then(<[_]>::first) else { return Arc::default() };
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Arc::default() };
    let names = certificate.valid_uri_names().chain(certificate.valid_dns_names());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn uris_come_before_dns_names_and_other_names_are_left_out() {
        let mut params = CertificateParams::default();
        let uri = "spiffe://example.org/ns/billing/sa/orders";
        params.subject_alt_names = vec![
            SanType::DnsName("orders.example.org".try_into().unwrap()),
            SanType::IpAddress([127, 0, 0, 1].into()),
            SanType::Rfc822Name("orders@example.org".try_into().unwrap()),
            SanType::URI(uri.try_into().unwrap()),
        ];
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let names = names_of(Some(&[certificate.der().clone()]));
        assert_eq!(names[..], [uri.to_owned(), "orders.example.org".to_owned()]);
    }

    #[test]
    fn without_a_certificate_there_are_no_names() {
        assert!(names_of(None).is_empty() && names_of(Some(&[])).is_empty());
        assert!(names_of(Some(&[CertificateDer::from(vec![0x30, 0])])).is_empty());
    }
}
