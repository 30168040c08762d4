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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::*;

    /// A chat that gives these answers, one a request, and hands over what it was sent.
    fn chat(answers: &'static [&'static str]) -> (SecretString, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/T0/secret-path", listener.local_addr().unwrap());
        let (sender, received) = mpsc::channel();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut bytes = Vec::new();
                let mut buffer = [0; 4096];
                while !String::from_utf8_lossy(&bytes).ends_with('}') {
                    let read = stream.read(&mut buffer).unwrap();
                    bytes.extend_from_slice(&buffer[..read]);
                }
                sender.send(String::from_utf8(bytes).unwrap()).unwrap();
                let reply = format!(
                    "HTTP/1.1 {answer}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nno_x"
                );
                stream.write_all(reply.as_bytes()).unwrap();
            }
        });
        (SecretString::from(address), received)
    }

    #[test]
    fn what_is_posted_arrives_once() {
        let (address, received) = chat(&["200 OK"]);
        post(&address, &serde_json::json!({ "text": "hello" })).unwrap();
        let request = received.recv().unwrap();
        assert!(
            request.starts_with("POST /T0/secret-path HTTP/1.1"),
            "{request}"
        );
        let body = &request[request.find("\r\n\r\n").unwrap()..];
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body, serde_json::json!({ "text": "hello" }));
    }

    #[test]
    fn an_error_of_the_other_side_is_tried_again_and_a_refusal_is_not() {
        let (address, received) = chat(&["503 Busy", "500 Oops", "200 OK"]);
        post(&address, &serde_json::json!({})).unwrap();
        assert_eq!(received.iter().count(), 3);
        let (address, received) = chat(&["404 Not Found"]);
        let error = post(&address, &serde_json::json!({})).unwrap_err();
        assert_eq!(
            error,
            PostError::Refused {
                status: 404,
                said: "no_x".into()
            }
        );
        assert_eq!(received.iter().count(), 1);
    }

    #[test]
    fn the_address_is_in_no_error() {
        // Nothing listens there.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = format!("http://{}/T0/secret-path", listener.local_addr().unwrap());
        drop(listener);
        for address in [gone, "no address secret-path".to_owned()] {
            let error = post(&SecretString::from(address), &serde_json::json!({})).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(!said.contains("secret-path"), "{said}");
        }
    }
}
