//! Stopping a session's statement from outside.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tokio_postgres::{CancelToken, Client};

use super::connect::Route;
use super::error::PostgresError;
use super::wire::{AlreadySecured, Wire};

const CANCEL_DEADLINE: Duration = Duration::from_secs(5);

/// Stops the statement that a session is running. It goes by a connection of its own, secured
/// like the session's.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    route: Route,
}

impl Canceller {
    pub(super) fn new(token: CancelToken, route: Route) -> Self {
        Self { token, route }
    }

    /// Asks the server to cancel. The session is usable afterwards; if nothing was running,
    /// nothing happens.
    pub async fn cancel(&self) -> Result<(), PostgresError> {
        let request = async {
            let lost = |error: io::Error| PostgresError::ConnectionLost {
                reason: format!("the request to cancel did not reach it: {error}"),
            };
            let wire = self.route.open_again().await.map_err(lost)?;
            self.token.cancel_query_raw(wire, AlreadySecured).await?;
            Ok(())
        };
        timeout(CANCEL_DEADLINE, Box::pin(request))
            .await
            .map_err(|_| PostgresError::Timeout {
                what: "asking the server to cancel".to_owned(),
                after: CANCEL_DEADLINE,
            })?
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canceller")
    }
}

/// Learns the process number that the server announced. The driver does not tell it, but writes
/// it into every request to cancel: so one is written to ourselves.
pub(super) async fn announced_pid(client: &Client) -> Result<i32, PostgresError> {
    let (ours, mut other_end) = tokio::io::duplex(64);
    let wire = Wire::plain(Box::new(ours));
    client
        .cancel_token()
        .cancel_query_raw(wire, AlreadySecured)
        .await?;
    // Length, code, process, key: four bytes each.
    let mut request = [0; 16];
    other_end
        .read_exact(&mut request)
        .await
        .map_err(|error| PostgresError::Protocol {
            reason: format!("the backend's process is not known: {error}"),
        })?;
    let [.., a, b, c, d, _, _, _, _] = request;
    Ok(i32::from_be_bytes([a, b, c, d]))
}
