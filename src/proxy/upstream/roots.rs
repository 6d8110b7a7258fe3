//! Whom we trust to vouch for a provider (`tls.roots`), and what to say when nobody does.
//!
//! The system's roots are read from the one file that every distribution keeps for OpenSSL. The
//! crates for the system's store bring a verifier of their own and a dozen others; the file has the
//! same certificates.

use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::TlsRoots;
use crate::error::Error;

/// Where distributions keep their roots: Debian, Fedora, openSUSE, Alpine.
const SYSTEM_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Reads the certificates that `tls.roots` names.
pub(crate) fn load(roots: &TlsRoots) -> Result<RootCertStore, Error> {
    let file = match roots {
        TlsRoots::Bundled => {
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
            return Ok(roots.collect());
        }
        TlsRoots::File(path) => path.as_path(),
        TlsRoots::System(Some(path)) => path.as_path(),
        TlsRoots::System(None) => {
            let found = SYSTEM_FILES.iter().map(Path::new).find(|path| path.exists());
            found.ok_or_else(|| fault("system", "no file of certificates is known here"))?
        }
    };
    let name = file.display().to_string();
    let text = std::fs::read(file).map_err(|error| fault(&name, &crate::error::reason(&error)))?;
    let certificates = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
    let mut roots = RootCertStore::empty();
    // One that is not understood vouches for nobody; the others do.
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err(fault(&name, "no certificate in it")),
        _ => Ok(roots),
    }
}

fn fault(what: &str, why: &str) -> Error {
    Error::config(vec![format!("tls.roots: {what}: {why}")])
}

/// Why TLS failed, in our words: rustls's own name the host and its certificate's names.
pub(crate) fn reason(error: &io::Error) -> &'static str {
    let text = error.to_string();
    let reasons = [
        ("UnknownIssuer", "its certificate is signed by nobody we trust; see tls.roots"),
        // Another authority of the same name.
        ("BadSignature", "its certificate is signed by nobody we trust; see tls.roots"),
        ("NotValidForName", "its certificate is for another name"),
        ("not valid for name", "its certificate is for another name"),
        ("Expired", "its certificate has expired"),
        ("expired", "its certificate has expired"),
        ("NotValidYet", "its certificate is not valid yet"),
        ("not valid yet", "its certificate is not valid yet"),
        ("invalid peer certificate", "its certificate is not valid"),
        ("InvalidContentType", "it does not speak TLS"),
        ("corrupt message", "it does not speak TLS"),
        ("received fatal alert", "it refuses our TLS"),
    ];
    reasons.iter().find(|(mark, _)| text.contains(mark)).map_or("TLS failed", |(_, words)| words)
}
