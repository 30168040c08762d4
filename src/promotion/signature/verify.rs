//! Verifies one signature: by the expected person's key, in the expected namespace, over the
//! expected bytes.
//!
//! Who should have signed is known before; the list of keys is never asked who it could have been.

use jiff::Timestamp;
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use super::{AllowedSigners, Revoked};

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    #[error("it is no SSH signature: {0}")]
    Unreadable(String),
    #[error("it was made in the namespace `{found}`; `{wanted}` is wanted")]
    Namespace { found: String, wanted: String },
    #[error(
        "it is made by {0}, which does not count; Ed25519, ECDSA, RSA with SHA-2 and their security-key forms do"
    )]
    Algorithm(String),
    #[error("its key {0} is revoked")]
    Revoked(String),
    #[error("its key {fingerprint} is not listed for `{person}`")]
    UnknownKey { fingerprint: String, person: String },
    #[error("its key {fingerprint} of `{person}` may not sign in the namespace `{namespace}`")]
    NotForThis {
        fingerprint: String,
        person: String,
        namespace: String,
    },
    #[error("its key {fingerprint} does not count: {why}")]
    NotValid { fingerprint: String, why: String },
    #[error("nobody was there to touch the security key that made it")]
    NoTouch,
    #[error("it does not fit these bytes: another text was signed, or it was changed since")]
    OtherBytes,
}

impl SignatureFault {
    /// How close the signature came to counting; the closest fault is the one to tell.
    pub(in crate::promotion) fn rank(&self) -> u8 {
        match self {
            SignatureFault::Unreadable(_) => 0,
            SignatureFault::Namespace { .. } => 1,
            SignatureFault::Algorithm(_) => 2,
            SignatureFault::UnknownKey { .. } => 3,
            SignatureFault::NotForThis { .. } => 4,
            SignatureFault::OtherBytes => 5,
            SignatureFault::NotValid { .. }
            | SignatureFault::Revoked(_)
            | SignatureFault::NoTouch => 6,
        }
    }
}

/// Verifies an armoured signature and gives the fingerprint of its key. The key must count at each
/// of `times`.
///
/// # Errors
/// Why it does not count.
pub fn verify(
    (signers, revoked): (&AllowedSigners, &Revoked),
    (person, namespace): (&str, &str),
    message: &[u8],
    armored: &str,
    times: &[Timestamp],
) -> Result<String, SignatureFault> {
    let signature =
        SshSig::from_pem(armored).map_err(|error| SignatureFault::Unreadable(error.to_string()))?;
    if signature.namespace() != namespace {
        return Err(SignatureFault::Namespace {
            found: crate::untrusted::clean_line(signature.namespace()),
            wanted: namespace.to_owned(),
        });
    }
    algorithm(&signature)?;
    let key = PublicKey::from(signature.public_key().clone());
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    if revoked.holds(&fingerprint) {
        return Err(SignatureFault::Revoked(fingerprint));
    }
    let same = |listed: &PublicKey| listed.key_data() == signature.public_key();
    let mut lines: Vec<_> = signers.0.iter().collect();
    lines.retain(|line| line.is_of(person) && same(&line.key));
    if lines.is_empty() {
        let person = person.to_owned();
        return Err(SignatureFault::UnknownKey {
            fingerprint,
            person,
        });
    }
    lines.retain(|line| line.signs(namespace));
    if lines.is_empty() {
        return Err(SignatureFault::NotForThis {
            fingerprint,
            person: person.to_owned(),
            namespace: namespace.to_owned(),
        });
    }
    key.verify(namespace, message, &signature)
        .map_err(|_| SignatureFault::OtherBytes)?;
    let mut why = String::new();
    for line in lines {
        match times.iter().find_map(|time| line.not_valid_at(*time)) {
            None => return Ok(fingerprint),
            Some(reason) => why = reason,
        }
    }
    Err(SignatureFault::NotValid { fingerprint, why })
}

fn algorithm(signature: &SshSig) -> Result<(), SignatureFault> {
    let counts = match signature.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => true,
        Algorithm::Rsa { hash } => matches!(hash, Some(HashAlg::Sha256 | HashAlg::Sha512)),
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => {
            // The flags stand before the counter, at the end; the lowest one says that it was touched.
            let bytes = signature.signature_bytes();
            let flags = bytes.len().checked_sub(5).and_then(|at| bytes.get(at));
            if flags.is_none_or(|flags| flags & 1 == 0) {
                return Err(SignatureFault::NoTouch);
            }
            true
        }
        _ => false,
    };
    let hash = matches!(signature.hash_alg(), HashAlg::Sha256 | HashAlg::Sha512);
    match counts
        && hash
        && signature.version() == SshSig::VERSION
        && signature.reserved().is_empty()
    {
        true => Ok(()),
        false => Err(SignatureFault::Algorithm(signature.algorithm().to_string())),
    }
}
