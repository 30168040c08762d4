//! TLS the way PostgreSQL's own library means it: what each `sslmode` trusts, and certificate
//! trouble said in words.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::conninfo::{Conninfo, RootCertificates, SslMode};
use super::error::ConnectFailure;
use super::refusal::Refusal;

/// The protocol's name in a handshake that starts at once, without PostgreSQL's question before.
const ALPN: &[u8] = b"postgresql";

/// What is checked of the server's certificate.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// `None` accepts any certificate, as `sslmode=require` without a root certificate does.
    trusted: Option<Trusted>,
    check_name: bool,
}

#[derive(Debug)]
struct Trusted {
    roots: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trusted) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &trusted.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        );
        if let Err(error) = chain {
            // A server with a self-signed certificate is commonly trusted by naming that very
            // certificate. Its validity in time was checked before this error arose.
            let is_the_trusted_one = webpki_reason(&error).contains("CaUsedAsEndEntity")
                && trusted.certificates.iter().any(|root| root == end_entity);
            if !is_the_trusted_one {
                return Err(error);
            }
        }
        if self.check_name {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Builds the TLS settings that an address asks for.
pub(super) fn client_config(info: &Conninfo) -> Result<ClientConfig, Refusal> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier {
        provider: Arc::clone(&provider),
        trusted: trusted(info)?,
        check_name: info.sslmode == SslMode::VerifyFull,
    };
    let versions: &[&rustls::SupportedProtocolVersion] = if info.tls13_only {
        &[&rustls::version::TLS13]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| tls_file(format!("TLS cannot be set up: {error}"), ""))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match own_certificate(info)? {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| tls_file(format!("sslcert and sslkey do not fit: {error}"), ""))?,
        None => builder.with_no_client_auth(),
    };
    if info.ssl_direct {
        config.alpn_protocols = vec![ALPN.to_vec()];
    }
    Ok(config)
}

fn tls_file(cause: String, advice: &str) -> Refusal {
    Refusal::new(ConnectFailure::TlsFile, cause, advice)
}

fn trusted(info: &Conninfo) -> Result<Option<Trusted>, Refusal> {
    let certificates = match &info.sslrootcert {
        Some(RootCertificates::File(file)) => read_certificates(file, "sslrootcert")?,
        Some(RootCertificates::System) => rustls_native_certs::load_native_certs().certs,
        None if info.sslmode >= SslMode::VerifyCa => {
            return Err(tls_file(
                format!(
                    "sslmode={} needs the certificate of the authority to verify against",
                    info.sslmode.as_str()
                ),
                "Name it with sslrootcert=FILE, put it into ~/.postgresql/root.crt, or trust \
                 what the system trusts with sslrootcert=system",
            ));
        }
        None => return Ok(None),
    };
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(certificates.iter().cloned());
    if usable == 0 {
        return Err(tls_file(
            "there is no usable root certificate".to_owned(),
            "Check sslrootcert; for sslrootcert=system install the ca-certificates package",
        ));
    }
    Ok(Some(Trusted {
        roots,
        certificates,
    }))
}

fn read_certificates(file: &Path, keyword: &str) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let unreadable = |why: String| {
        tls_file(
            format!("the certificate file {} {why}", file.display()),
            &format!("Check {keyword}; it holds certificates in PEM form"),
        )
    };
    let pem =
        std::fs::read(file).map_err(|error| unreadable(format!("cannot be read: {error}")))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(format!("is damaged: {error}")))?;
    if certificates.is_empty() {
        return Err(unreadable("holds no certificate".to_owned()));
    }
    Ok(certificates)
}

type OwnCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own_certificate(info: &Conninfo) -> Result<Option<OwnCertificate>, Refusal> {
    let Some(certificate) = &info.sslcert else {
        return Ok(None);
    };
    let Some(key) = &info.sslkey else {
        return Err(tls_file(
            format!(
                "there is no key for the certificate {}",
                certificate.display()
            ),
            "Name it with sslkey=FILE",
        ));
    };
    let chain = read_certificates(certificate, "sslcert")?;
    let unusable = |why: String, advice: &str| {
        tls_file(format!("the key file {} {why}", key.display()), advice)
    };
    let metadata = std::fs::metadata(key)
        .map_err(|error| unusable(format!("cannot be read: {error}"), "Check sslkey"))?;
    // The same rule as PostgreSQL's own: root may share a key with a group.
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(unusable(
            format!("may be read by others (mode {:o})", metadata.mode() & 0o777),
            "Run chmod 0600 on it",
        ));
    }
    let pem = std::fs::read(key)
        .map_err(|error| unusable(format!("cannot be read: {error}"), "Check sslkey"))?;
    if String::from_utf8_lossy(&pem).contains("ENCRYPTED") {
        return Err(unusable(
            "is encrypted, which is not supported".to_owned(),
            "Decrypt it into a file with mode 0600 (openssl pkey -in KEY -out PLAIN)",
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        unusable(
            format!("holds no usable key: {error}"),
            "It must be a key in PEM form; other forms are not read",
        )
    })?;
    Ok(Some((chain, key)))
}

/// Returns the verifier's own word for what it found, which has no variant of its own.
fn webpki_reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            format!("{:?}", other.0)
        }
        _ => String::new(),
    }
}

/// Explains a handshake that failed.
pub(super) fn explain(error: &std::io::Error, info: &Conninfo) -> Refusal {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(reason)) => explain_certificate(reason, info),
        // A server that asks for a certificate says so only by ending the handshake.
        Some(rustls::Error::AlertReceived(alert)) => Refusal::new(
            ConnectFailure::TlsHandshake,
            format!("the server ended the TLS handshake: {alert:?}"),
            "It may ask for a client certificate (sslcert, sslkey) or speak other TLS versions",
        ),
        Some(other) => Refusal::new(
            ConnectFailure::TlsHandshake,
            format!("the TLS handshake failed: {other}"),
            "",
        ),
        None => Refusal::new(
            ConnectFailure::TlsHandshake,
            format!("the TLS handshake failed: {error}"),
            "",
        ),
    }
}

fn explain_certificate(reason: &CertificateError, info: &Conninfo) -> Refusal {
    let (cause, advice) = match reason {
        CertificateError::UnknownIssuer => (
            "the server's certificate is signed by an authority that is not trusted here"
                .to_owned(),
            match &info.sslrootcert {
                Some(RootCertificates::System) => {
                    "Name the authority's certificate with sslrootcert=FILE".to_owned()
                }
                Some(RootCertificates::File(file)) => format!(
                    "The trusted ones are in {}: get the server's authority from who runs it",
                    file.display()
                ),
                None => String::new(),
            },
        ),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => (
            format!(
                "the server's certificate is not for {}: it holds no subject alternative name, \
                 and a name that is only its common name (CN) is not looked at",
                info.host
            ),
            "Issue it again with a subject alternative name, or use sslmode=verify-ca".to_owned(),
        ),
        CertificateError::NotValidForNameContext { presented, .. } => (
            format!(
                "the server's certificate is not for {} but for {}",
                info.host,
                presented.join(", ")
            ),
            "Connect by a name that is in the certificate (hostaddr=… says where it is)".to_owned(),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "the server's certificate has expired".to_owned(),
            "Renew it; check this machine's clock too".to_owned(),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "the server's certificate is not valid yet".to_owned(),
            "Check this machine's clock".to_owned(),
        ),
        CertificateError::Other(other) => {
            let reason = format!("{:?}", other.0);
            if reason.contains("UnsupportedCertVersion") {
                (
                    "the server's certificate is of X.509 version 1, which is not supported"
                        .to_owned(),
                    "Issue it again as version 3, with a subject alternative name".to_owned(),
                )
            } else {
                (
                    format!("the server's certificate cannot be used: {reason}"),
                    String::new(),
                )
            }
        }
        other => (
            format!("the server's certificate was not accepted: {other}"),
            String::new(),
        ),
    };
    Refusal::new(ConnectFailure::Certificate, cause, &advice)
}
