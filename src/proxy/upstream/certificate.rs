//! What is wrong with a provider's certificate, in words that hold no name from it.

use rustls::CertificateError;

use crate::report::calendar;

pub(super) fn words(error: &CertificateError) -> String {
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
