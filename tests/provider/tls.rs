//! TLS before the stand-in, with certificates made on the spot, and a CONNECT proxy before that.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{HandshakeKind, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A certificate authority that exists for one test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, ready to be shown.
pub(crate) struct Identity {
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The certificate as a file has it.
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The certificate that `tls.roots` names.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `name`, good for the rest of the century.
    pub(crate) fn sign(&self, name: &str) -> Identity {
        self.sign_until(name, 2090)
    }

    /// A certificate that has expired, or will, with the year `until`.
    pub(crate) fn sign_until(&self, name: &str, until: i32) -> Identity {
        self.sign_between(name, [2020, until])
    }

    pub(crate) fn sign_between(&self, name: &str, years: [i32; 2]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        [params.not_before, params.not_after] = years.map(|year| date_time_ymd(year, 1, 1));
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Identity { chain: vec![certificate.der().clone()], key, pem: certificate.pem() }
    }
}

/// A server that signs for itself, from one year to another; marked as an authority's, as
/// `openssl req -x509` does, or not.
pub(crate) fn self_signed(name: &str, years: [i32; 2], is_authority: bool) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    [params.not_before, params.not_after] = years.map(|year| date_time_ymd(year, 1, 1));
    if is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Identity { chain: vec![certificate.der().clone()], key, pem: certificate.pem() }
}

/// Listens with TLS for a plain server on `port`; its own port.
pub(crate) fn tls(port: u16, identity: Identity) -> u16 {
    tls_versions(port, identity, rustls::ALL_VERSIONS)
}

pub(crate) fn tls_versions(
    port: u16,
    identity: Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> u16 {
    tls_watched(port, identity, versions).0
}

/// How each connection's keys were agreed upon: anew, or from an earlier session.
pub(crate) type Handshakes = Arc<Mutex<Vec<HandshakeKind>>>;

pub(crate) fn tls_watched(
    port: u16,
    identity: Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> (u16, Handshakes) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_protocol_versions(versions).unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(identity.chain, identity.key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let handshakes = Handshakes::default();
    let seen = handshakes.clone();
    thread::spawn(move || {
        for outside in listener.incoming().flatten() {
            let (config, seen) = (config.clone(), seen.clone());
            thread::spawn(move || {
                let inside = TcpStream::connect(("127.0.0.1", port))?;
                terminate(ServerConnection::new(config).unwrap(), (&outside, &inside), &seen)
            });
        }
    });
    (own, handshakes)
}

/// Carries bytes between an encrypted and a plain connection until one of them ends. Neither direction
/// waits for the other.
fn terminate(
    session: ServerConnection,
    (outside, inside): (&TcpStream, &TcpStream),
    seen: &Handshakes,
) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut carrier = Carrier { session, outside, inside, plain: Vec::new() };
    let mut kind = None;
    outside.set_nonblocking(true)?;
    inside.set_nonblocking(true)?;
    loop {
        carrier.flush()?;
        let when = |waits, flag| if waits { flag } else { PollFlags::empty() };
        let [to_outside, to_inside] = [carrier.session.wants_write(), !carrier.plain.is_empty()];
        let flags = [
            when(to_outside, PollFlags::OUT) | when(!to_inside, PollFlags::IN),
            when(to_inside, PollFlags::OUT) | when(!to_outside, PollFlags::IN),
        ];
        let mut fds = [PollFd::new(outside, flags[0]), PollFd::new(inside, flags[1])];
        poll(&mut fds, None)?;
        let [from_outside, from_inside] =
            [0, 1].map(|n| !fds[n].revents().difference(PollFlags::OUT).is_empty());
        // First: what comes from outside once the server has closed is for nobody, and stays unread.
        if from_inside && !carrier.encrypt()? || from_outside && !carrier.decrypt()? {
            return Ok(());
        }
        if kind.is_none() {
            kind = carrier.session.handshake_kind();
            seen.lock().unwrap().extend(kind);
        }
    }
}

struct Carrier<'a> {
    session: ServerConnection,
    outside: &'a TcpStream,
    inside: &'a TcpStream,
    /// Decrypted, and not yet taken by the server.
    plain: Vec<u8>,
}

impl Carrier<'_> {
    /// Writes what can be written without waiting.
    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.outside) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                written => _ = written?,
            }
        }
        while !self.plain.is_empty() {
            match self.inside.write(&self.plain) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                written => _ = self.plain.drain(..written?),
            }
        }
        Ok(())
    }

    /// From the server to the other side; false at its end.
    fn encrypt(&mut self) -> io::Result<bool> {
        let mut piece = vec![0; 16 * 1024];
        match self.inside.read(&mut piece)? {
            0 => {
                self.session.send_close_notify();
                self.outside.set_nonblocking(false)?;
                self.flush()?;
                self.outside.shutdown(Shutdown::Both)?;
                Ok(false)
            }
            count => self.session.writer().write_all(&piece[..count]).map(|()| true),
        }
    }

    /// From the other side to the server; false at its end.
    fn decrypt(&mut self) -> io::Result<bool> {
        if self.session.read_tls(&mut self.outside)? == 0 {
            return self.end();
        }
        if let Err(error) = self.session.process_new_packets() {
            let _ = self.session.write_tls(&mut self.outside);
            return Err(io::Error::other(error));
        }
        match self.session.reader().read_to_end(&mut self.plain) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
            Ok(_) => self.end(),
        }
    }

    /// The server gets what is left, and the end.
    fn end(&mut self) -> io::Result<bool> {
        self.inside.set_nonblocking(false)?;
        self.inside.write_all(&std::mem::take(&mut self.plain))?;
        self.inside.shutdown(Shutdown::Both).map(|()| false)
    }
}

/// A proxy that knows CONNECT and leads every name to one port of this machine.
pub(crate) struct Tunnel {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    /// Answers with `answer` (status line and headers); leads to `port` if that is a success.
    pub(crate) fn to(port: u16, answer: &'static str) -> Tunnel {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = seen.clone();
                thread::spawn(move || carry(&stream, port, answer, &seen));
            }
        });
        Tunnel { port: own, heads }
    }

    /// What was asked so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn carry(
    mut stream: &TcpStream,
    port: u16,
    answer: &str,
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    heads.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
    stream.write_all(answer.as_bytes())?;
    if !answer.starts_with("HTTP/1.1 2") {
        return stream.shutdown(Shutdown::Both);
    }
    let inside = TcpStream::connect(("127.0.0.1", port))?;
    let (mut up, mut down) = (inside.try_clone()?, stream.try_clone()?);
    let back = thread::spawn(move || {
        let _ = io::copy(&mut &inside, &mut down);
        let _ = down.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut stream, &mut up);
    let _ = up.shutdown(Shutdown::Both);
    let _ = back.join();
    Ok(())
}
