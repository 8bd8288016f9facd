//! TLS for peers: version 1.3 alone, mutual, raw public keys (RFC 7250), X25519MLKEM768 alone, no early data, no
//! resumption. There is no certificate authority: a key is right if the card of a pinned CERT names it.

use std::sync::{Arc, OnceLock, Weak};

use mithaq_core::{
    card::VerifiedCard,
    keys::{KeyError, PublicKey, SecretKey},
};
use mithaq_sync::{ALPN, BriefKey, Fault};
use quinn::{
    TransportConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{
    clock,
    identity::{Identity, NoUsableKey},
    node::Node,
};

/// What names that secret of a connection which briefs are made with.
const BRIEF_LABEL: &[u8] = b"EXPORTER-mithaq-brief/1";

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the TLS key cannot be used")]
    Key(#[from] KeyError),
    #[error(transparent)]
    NoKey(#[from] NoUsableKey),
    #[error("TLS cannot be set up")]
    Rustls(#[from] Error),
    #[error("TLS cannot be set up for QUIC")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

/// The one set of algorithms that peers speak.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768], ..aws_lc_rs::default_provider() })
}

/// The key that we show now, as a raw public key.
fn shown_key(identity: &Identity) -> Result<Arc<CertifiedKey>, TlsError> {
    certified_key(identity.tls_key(clock::wall())?)
}

fn certified_key(key: &SecretKey) -> Result<Arc<CertifiedKey>, TlsError> {
    let der = PrivatePkcs8KeyDer::from(key.to_pkcs8_der()?);
    let signer = aws_lc_rs::sign::any_eddsa_type(&der)?;
    let public = CertificateDer::from(key.public().to_spki_der());
    Ok(Arc::new(CertifiedKey::new(vec![public], signer)))
}

/// The configuration for peers that dial us.
pub(crate) fn server(node: &Arc<Node>, transport: Arc<TransportConfig>) -> Result<quinn::ServerConfig, TlsError> {
    let verifier = Arc::new(KnownPeers { node: Arc::downgrade(node), algorithms: algorithms() });
    let resolver = KeyOfTheDay { node: Arc::downgrade(node) };
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config)?));
    config.transport_config(transport).migration(true).max_incoming(super::endpoint::INCOMING_MAX);
    Ok(config)
}

/// The configuration for dialling one peer, and whom it found instead if it found another.
pub(crate) fn client(
    identity: &Identity,
    peer: &VerifiedCard,
    transport: Arc<TransportConfig>,
) -> Result<(quinn::ClientConfig, Arc<OnceLock<PublicKey>>), TlsError> {
    let stranger = Arc::new(OnceLock::new());
    let verifier = ThisPeer { card: peer.clone(), stranger: Arc::clone(&stranger), algorithms: algorithms() };
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(shown_key(identity)?)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config)?));
    config.transport_config(transport);
    Ok((config, stranger))
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    aws_lc_rs::default_provider().signature_verification_algorithms
}

/// What briefs of an established connection are made with: a secret that its two sides alone have
/// (RFC 8446, 7.5).
pub(super) fn brief_key(connection: &quinn::Connection) -> Result<BriefKey, Fault> {
    let mut secret = [0; 32];
    let exported = connection.export_keying_material(&mut secret, BRIEF_LABEL, b"");
    exported.map_err(|_| Fault::Internal("exporting a secret of the connection"))?;
    Ok(BriefKey::new(secret))
}

/// The key that the other side of an established connection showed.
pub(crate) fn peer_key(connection: &quinn::Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    match &identity[..] {
        [key] => PublicKey::from_spki_der(key),
        _ => None,
    }
}

fn no_tls12() -> Error {
    Error::PeerIncompatible(rustls::PeerIncompatible::Tls13RequiredForQuic)
}

/// Checks the handshake's signature by a raw public key.
fn verify_raw(
    message: &[u8],
    key: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(key.as_ref()), signed, algorithms)
}

fn refused() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

/// Shows the TLS key that our card names for the moment of the handshake, so that a rotation needs no new endpoint.
#[derive(Debug)]
struct KeyOfTheDay {
    node: Weak<Node>,
}

impl ResolvesServerCert for KeyOfTheDay {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let identity = self.node.upgrade()?.identity();
        shown_key(&identity)
            .inspect_err(|error| tracing::error!(%error, "a peer cannot be answered: there is no key to show"))
            .ok()
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

/// Accepts clients whose key the card of any peer names now. What they may do is for the session to say.
#[derive(Debug)]
struct KnownPeers {
    node: Weak<Node>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for KnownPeers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let node = self.node.upgrade().ok_or_else(refused)?;
        let key = PublicKey::from_spki_der(end_entity).ok_or_else(refused)?;
        match node.peer_with_tls_key(key, clock::wall()) {
            Some(_) => Ok(ClientCertVerified::assertion()),
            None => Err(refused()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_raw(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Accepts the one server that was dialled.
#[derive(Debug)]
struct ThisPeer {
    card: VerifiedCard,
    stranger: Arc<OnceLock<PublicKey>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ThisPeer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = PublicKey::from_spki_der(end_entity).ok_or_else(refused)?;
        if self.card.has_tls_key(key, clock::wall()) {
            return Ok(ServerCertVerified::assertion());
        }
        let _ = self.stranger.set(key);
        Err(refused())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_raw(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
