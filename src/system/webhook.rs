//! Posts a message to a chat. The address is a secret: it is in no error.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Attempts in all, and the first pause between two; each further one is twice as long.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    #[error("it answered {status}: {said}")]
    Refused { status: u16, said: String },
    #[error("it could not be reached in {attempts} attempts: {reason}")]
    Unreachable { attempts: u32, reason: String },
}

/// Posts JSON, again when the other side is not to be reached or has an error of its own. Blocks.
///
/// # Errors
/// What came back, or that nothing did; never the address.
pub fn post(address: &SecretString, body: &serde_json::Value) -> Result<(), PostError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .into();
    let mut pause = PAUSE;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let error = match agent.post(address.expose_secret()).send_json(body) {
            Ok(mut answer) => {
                let status = answer.status().as_u16();
                if (200..300).contains(&status) {
                    return Ok(());
                }
                let said = answer.body_mut().read_to_string().unwrap_or_default();
                let said = crate::untrusted::clip(&crate::untrusted::clean_line(&said), 200);
                let error = PostError::Refused { status, said };
                if !(status == 429 || status >= 500) {
                    return Err(error);
                }
                error
            }
            Err(error) => PostError::Unreachable {
                attempts: attempt,
                reason: without_address(&error),
            },
        };
        if attempt >= ATTEMPTS {
            return Err(error);
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
}

/// What went wrong, in words that cannot hold the address.
fn without_address(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "it took too long".to_owned(),
        ureq::Error::HostNotFound => "its name is not known".to_owned(),
        ureq::Error::ConnectionFailed => "the connection failed".to_owned(),
        ureq::Error::Io(error) => error.kind().to_string(),
        ureq::Error::Rustls(error) => error.to_string(),
        ureq::Error::BadUri(_) => "its address is no address".to_owned(),
        _ => "the request failed".to_owned(),
    }
}
