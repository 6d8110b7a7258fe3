//! Whom we trust to vouch for a provider (`tls.roots`).
//!
//! The system's roots are read from the one file that every distribution keeps for OpenSSL. The
//! crates for the system's store bring a verifier of their own and a dozen others; the file has the
//! same certificates.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::TlsRoots;
use crate::error::Error;
use crate::safe_path;

/// Where distributions keep their roots: Debian, Fedora, openSUSE, Alpine.
const SYSTEM_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom we believe.
pub(crate) struct Trust {
    /// Authorities, which sign for others.
    pub(super) roots: RootCertStore,
    /// Certificates that a file of the user's names, which may be a server's own.
    pub(super) pinned: Vec<CertificateDer<'static>>,
}

/// Reads the certificates that `tls.roots` names.
pub(crate) fn load(roots: &TlsRoots) -> Result<Trust, Error> {
    let read = match roots {
        TlsRoots::File(_) => safe_path::read,
        _ => |path: &Path| std::fs::read(path),
    };
    let file = match roots {
        TlsRoots::Bundled => {
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
            return Ok(Trust { roots, pinned: Vec::new() });
        }
        TlsRoots::File(path) => path.as_path(),
        TlsRoots::System(Some(path)) => path.as_path(),
        TlsRoots::System(None) => {
            let found = SYSTEM_FILES.iter().map(Path::new).find(|path| path.exists());
            found.ok_or_else(|| fault("system", "no file of certificates is known here"))?
        }
    };
    let name = file.display().to_string();
    let text = read(file).map_err(|error| fault(&name, &crate::error::reason(&error)))?;
    let certificates = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
    let mut certificates: Vec<_> = certificates.collect();
    let mut store = RootCertStore::empty();
    // One that is not understood vouches for nobody; the others do.
    if store.add_parsable_certificates(certificates.iter().cloned()).0 == 0 {
        return Err(fault(&name, "no certificate in it"));
    }
    if matches!(roots, TlsRoots::System(None)) {
        // Hundreds, all of them authorities.
        certificates.clear();
    }
    Ok(Trust { roots: store, pinned: certificates })
}

fn fault(what: &str, why: &str) -> Error {
    Error::config(vec![format!("tls.roots: {what}: {why}")])
}
