//! TLS over our own socket: rustls turns bytes into records and back, and this moves them.
//!
//! The settings hold the sessions: there is one of them for all connections, so that a new
//! connection to a known provider takes up an earlier session.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SigningKey;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use super::certificate;
use super::error::TransportError;
use super::read_buffer::ReadBuffer;
use super::roots::Trust;
use super::socket::{Socket, wait_for_room};

/// Of a body, what is encrypted at once.
const PIECE_BYTES: usize = 64 * 1024;

/// We never sign: the code for keys of our own stays out of the program, 30 KB of it.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(
        &self,
        _: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("no client has a key here".into()))
    }
}

/// How TLS is spoken, and the sessions so far.
#[derive(Clone)]
pub(crate) struct Settings(Arc<ClientConfig>);

impl Settings {
    pub(crate) fn new(trust: Trust) -> Settings {
        let ring = rustls::crypto::ring::default_provider();
        let provider = Arc::new(CryptoProvider { key_provider: &NoKeys, ..ring });
        let roots = Arc::new(trust.roots);
        let authorities =
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        let authorities = authorities.expect("there are roots, and no lists of revoked ones");
        let verifier = Arc::new(Verifier { authorities, pinned: trust.pinned });
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("the provider has ciphers for every version");
        let config = config.dangerous().with_custom_certificate_verifier(verifier);
        Settings(Arc::new(config.with_no_client_auth()))
    }
}

/// Believes authorities, and servers whose very certificate is in the file that `tls.roots` names.
///
/// A self-signed certificate is usually marked as an authority's, which no server may present by the
/// rules; that it is the one that was named makes up for this, and for an issuer that is not known. All
/// else is checked as ever: its dates, which are looked at before its issuer, the name, and that the
/// server has the key.
#[derive(Debug)]
struct Verifier {
    authorities: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.authorities.verify_server_cert(own, others, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(error))
                if certificate::is_about_issuer(&error) && self.pinned.contains(own) =>
            {
                verify_server_name(&ParsedCertificate::try_from(own)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// One connection's TLS.
pub(super) struct Session {
    pub(super) socket: Socket,
    tls: ClientConnection,
    /// Received, and still encrypted.
    received: ReadBuffer,
    /// The other side has closed.
    is_ended: bool,
    /// What is wrong with the bytes behind those that can be read.
    fault: Option<rustls::Error>,
}

impl Session {
    /// Shakes hands with `host`. Apart, as a worker keeps what its stack has touched once.
    #[inline(never)]
    pub(super) fn open(
        settings: &Settings,
        host: &str,
        socket: Socket,
        deadline: Instant,
    ) -> Result<Session, TransportError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| TransportError::Unsendable)?;
        let tls = ClientConnection::new(Arc::clone(&settings.0), name).map_err(invalid)?;
        let mut session =
            Session { socket, tls, received: ReadBuffer::new(), is_ended: false, fault: None };
        // What is sent at once is bounded by whoever sends.
        session.tls.set_buffer_limit(None);
        while session.tls.is_handshaking() {
            session.push()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TransportError::ConnectTimeout);
            }
            session.feed(Some(left)).map_err(|error| match error {
                TransportError::ReadTimeout => TransportError::ConnectTimeout,
                error => error,
            })?;
            session.sound()?;
        }
        session.push()?;
        Ok(session)
    }

    /// Sends all, or notes why not, until the provider speaks; how many bytes of the body are left. What
    /// was encrypted and not sent waits.
    pub(super) fn send(&mut self, head: &[u8], mut body: &[u8]) -> Result<usize, TransportError> {
        self.leave(head)?;
        loop {
            let (piece, left) = body.split_at(body.len().min(PIECE_BYTES));
            self.leave(piece)?;
            body = left;
            if !self.flush()? || body.is_empty() {
                return Ok(body.len());
            }
        }
    }

    /// Sends what waits; false if the provider speaks first, or reads no more.
    fn flush(&mut self) -> Result<bool, TransportError> {
        while !self.push()? {
            match wait_for_room(&self.socket.stream) {
                Ok(true) => {}
                // It may be a session ticket.
                Ok(false) => {
                    self.feed(None)?;
                    if self.is_at_hand() {
                        return Ok(false);
                    }
                }
                Err(error) => self.socket.fail(error),
            }
        }
        Ok(self.socket.can_send())
    }

    /// To be sent when there is room.
    pub(super) fn leave(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(bytes)
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.tls.wants_write()
    }

    /// Sends what there is room for; false if something is left.
    pub(super) fn push(&mut self) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Records(&mut self.socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                written => written?,
            };
        }
        Ok(true)
    }

    /// Whether reading needs nothing that has not come.
    pub(super) fn is_at_hand(&mut self) -> bool {
        let state = self.tls.process_new_packets();
        !self.received.input().is_empty()
            || self.fault.is_some()
            || self.is_ended
            || state.map_or(true, |state| {
                state.plaintext_bytes_to_read() > 0 || state.peer_has_closed()
            })
    }

    /// Bytes of what has come; `None` if it is not for us.
    pub(super) fn receive_some(
        &mut self,
        out: &mut [u8],
        wait: Option<Duration>,
    ) -> Result<Option<usize>, TransportError> {
        match self.tls.reader().read(out) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.sound()?;
                self.feed(wait)?;
                self.push()?;
                Ok(None)
            }
            outcome => Ok(Some(outcome?)),
        }
    }

    /// Waits for bytes; how many have come, 0 at the end.
    pub(super) fn receive(
        &mut self,
        out: &mut [u8],
        wait: Option<Duration>,
    ) -> Result<usize, TransportError> {
        loop {
            if let Some(count) = self.receive_some(out, wait)? {
                return Ok(count);
            }
        }
    }

    /// Takes in what comes next.
    fn feed(&mut self, wait: Option<Duration>) -> Result<(), TransportError> {
        if self.received.input().is_empty() {
            let count = self.socket.receive(self.received.input_append_buf(), wait)?;
            self.received.input_appended(count);
            self.is_ended = count == 0;
        }
        let taken = self.tls.read_tls(&mut self.received.input())?;
        self.received.input_consume(taken);
        if taken == 0 && self.tls.is_handshaking() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if let Err(error) = self.tls.process_new_packets() {
            // The other side is told why.
            self.push()?;
            self.fault = Some(error);
        }
        Ok(())
    }

    fn sound(&mut self) -> Result<(), TransportError> {
        self.fault.take().map_or(Ok(()), |error| Err(invalid(error)))
    }

    /// Whether nothing is left of what has come, so that the next bytes belong to the next answer.
    pub(super) fn is_spent(&mut self) -> bool {
        while !self.received.input().is_empty() {
            let Ok(taken) = self.tls.read_tls(&mut self.received.input()) else { return false };
            self.received.input_consume(taken);
            if taken == 0 || self.tls.process_new_packets().is_err() {
                return false;
            }
        }
        self.received.end_input();
        self.fault.is_none()
            && self
                .tls
                .process_new_packets()
                .is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed())
    }
}

fn invalid(error: rustls::Error) -> TransportError {
    io::Error::new(io::ErrorKind::InvalidData, error).into()
}

/// Where records go.
struct Records<'a>(&'a mut Socket);

impl Write for Records<'_> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(record)])
    }

    fn write_vectored(&mut self, records: &[IoSlice]) -> io::Result<usize> {
        let length = |parts: &[IoSlice]| parts.iter().map(|part| part.len()).sum::<usize>();
        let mut left = records.to_vec();
        let mut left = &mut left[..];
        match self.0.push(&mut left) {
            // What could not be sent will not be: the socket has noted it.
            true => Ok(length(records)),
            false if length(left) == length(records) => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(length(records) - length(left)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
