//! Why a provider could not be reached, in words that hold no path, key or name from a certificate.

use std::io::ErrorKind;

use rustls::CertificateError;

use super::error::TransportError;
use crate::report::calendar;

pub(super) fn words(error: &TransportError) -> String {
    let text = match error {
        TransportError::ConnectTimeout | TransportError::ReadTimeout => "connection timed out",
        TransportError::HostNotFound => "the name is not known",
        TransportError::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(error)) => {
                return format!("its certificate {}; see tls.roots", certificate(error));
            }
            Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS",
            Some(rustls::Error::AlertReceived(_)) => "it refuses our TLS",
            Some(_) => "TLS failed",
            None if error.kind() == ErrorKind::UnexpectedEof => "the connection was closed",
            // Words of ours.
            None if error.kind() == ErrorKind::Other => return error.to_string(),
            None => return crate::error::reason(error),
        },
        TransportError::TunnelRefused(_) | TransportError::Unsendable => {
            "the request could not be sent"
        }
    };
    text.to_owned()
}

fn certificate(error: &CertificateError) -> String {
    let text = match error {
        // A bad signature is that of another authority of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "is signed by nobody we trust (unknown issuer)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name"
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            return format!("has expired on {}", date(not_after.as_secs()));
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            return format!("is not valid yet, but from {} on", date(not_before.as_secs()));
        }
        CertificateError::Revoked => "is revoked",
        _ if is_authority(error) => "is that of an authority, and not of a server",
        _ => "is not valid",
    };
    text.to_owned()
}

/// Whether all that is wrong with a certificate is who has signed it.
pub(super) fn is_about_issuer(error: &CertificateError) -> bool {
    matches!(error, CertificateError::UnknownIssuer | CertificateError::BadSignature)
        || is_authority(error)
}

/// A certificate that may sign others is not taken for a server's. The verifier's own type is not
/// within reach here, only its word.
fn is_authority(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity")
}

/// The day of a Unix time, UTC.
fn date(seconds: u64) -> String {
    calendar::date((seconds / 86_400) as i64)
}
