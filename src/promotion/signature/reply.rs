//! What comes back from a signer, as one text that survives mail, chat and a terminal.
//!
//! Either the signature alone, as `ssh-keygen -Y sign` writes it beside an issued statement, or an
//! envelope: the statement as the signer has filled it in, and the signature behind it.

use base64ct::{Base64, Encoding as _};

/// A reply is about two kilobytes; what is much larger is none.
pub const LARGEST_REPLY: usize = 64 * 1024;

/// How an envelope begins.
pub const STATEMENT_BEGINS: &str = "-----BEGIN STAGEGATE STATEMENT-----";
const STATEMENT_ENDS: &str = "-----END STAGEGATE STATEMENT-----";
const SIGNATURE_BEGINS: &str = "-----BEGIN SSH SIGNATURE-----";
const SIGNATURE_ENDS: &str = "-----END SSH SIGNATURE-----";
const WIDTH: usize = 70;

/// A reply that was read; nothing of it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The bytes of the statement, where the reply brings them.
    pub statement: Option<Vec<u8>>,
    /// The signature in its armour, in one form whatever blanks a copy has added or lost.
    pub signature: String,
}

impl Reply {
    /// Reads a reply.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(text: &str) -> Result<Reply, String> {
        if text.len() > LARGEST_REPLY {
            return Err(format!("it is larger than {LARGEST_REPLY} bytes"));
        }
        let statement = match block(text, STATEMENT_BEGINS, STATEMENT_ENDS)? {
            Some(body) => {
                Some(Base64::decode_vec(&body).map_err(|_| "its statement is damaged".to_owned())?)
            }
            None => None,
        };
        let Some(body) = block(text, SIGNATURE_BEGINS, SIGNATURE_ENDS)? else {
            return Err(format!(
                "it holds no signature: no {SIGNATURE_BEGINS} stands in it"
            ));
        };
        Ok(Reply {
            statement,
            signature: armored(SIGNATURE_BEGINS, &body, SIGNATURE_ENDS),
        })
    }
}

/// Writes a statement and the signature over it as one text.
pub fn envelope(statement: &[u8], signature: &str) -> String {
    let body = Base64::encode_string(statement);
    let statement = armored(STATEMENT_BEGINS, &body, STATEMENT_ENDS);
    format!("{statement}{}\n", signature.trim())
}

fn armored(begins: &str, body: &str, ends: &str) -> String {
    let mut text = format!("{begins}\n");
    // The body is ASCII: it was encoded here, or has only such characters left.
    for line in body.as_bytes().chunks(WIDTH) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(ends);
    text.push('\n');
    text
}

/// What stands between two marks, without blanks and the marks of a quoted mail.
fn block(text: &str, begins: &str, ends: &str) -> Result<Option<String>, String> {
    let Some((_, rest)) = text.split_once(begins) else {
        return Ok(None);
    };
    let Some((body, after)) = rest.split_once(ends) else {
        return Err(format!("it is cut off: no {ends} stands in it"));
    };
    if after.contains(begins) {
        return Err(format!("it holds {begins} twice; hand them in one by one"));
    }
    let body: String = body
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '>')
        .collect();
    match body
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
    {
        true => Ok(Some(body)),
        false => Err(format!("what stands behind {begins} is damaged")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &str =
        "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n";

    #[test]
    fn an_envelope_comes_back_through_mail_and_terminals() {
        let statement = b"{\"note\":\"\xc3\xa4\"}\n";
        let text = envelope(statement, SIGNATURE);
        let read = Reply::read(&text).unwrap();
        assert_eq!(read.statement.as_deref(), Some(&statement[..]));
        assert_eq!(read.signature, SIGNATURE);
        let mailed = format!("Hello,\r\n> {}\r\nana", text.replace('\n', " \r\n> "));
        assert_eq!(Reply::read(&mailed).unwrap(), read);
        assert_eq!(Reply::read(SIGNATURE).unwrap().statement, None);
    }

    #[test]
    fn what_is_no_reply_is_said() {
        let refused = |text: &str, words: &str| {
            let error = Reply::read(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        refused("", "no signature");
        refused("{\"_type\":\"stagegate/signoff/1\"}", "no signature");
        refused("-----BEGIN SSH SIGNATURE-----\nU1NI", "cut off");
        refused(&SIGNATURE.replace("U1", "\u{1b}["), "damaged");
        refused(&format!("{SIGNATURE}{SIGNATURE}"), "twice");
        refused(&"x".repeat(LARGEST_REPLY + 1), "larger");
        let envelope = envelope(b"x", SIGNATURE).replace("eA==", "e===");
        refused(&envelope, "its statement is damaged");
    }
}
