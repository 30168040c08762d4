//! Sends what a person wrote to people: kept in the run's folder, posted where that was asked for,
//! and recorded.

use secrecy::SecretString;
use tokio::sync::oneshot;

use super::actor::Engine;
use super::handle::CommandError;
use super::work::Report;
use crate::promotion::{Actor, Command, Moment, decide};
use crate::runbook::{Shape, Webhook};
use crate::system::webhook;

/// A message that a person has read and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    pub message: String,
    /// The gate that waits for it.
    pub gate: Option<String>,
    pub subject: String,
    pub body: String,
    /// Post it to the message's webhook; otherwise the person pastes it somewhere.
    pub post: bool,
}

/// An announcement that is on its way.
pub(super) struct Posted {
    announcement: Announcement,
    actor: Actor,
    /// What its text hashes to.
    text: String,
    outcome: Result<String, String>,
    reply: oneshot::Sender<Result<(), CommandError>>,
}

impl Engine {
    pub(super) fn announce(
        &mut self,
        announcement: Announcement,
        actor: Actor,
        reply: oneshot::Sender<Result<(), CommandError>>,
    ) {
        let text = format!("{}\n\n{}\n", announcement.subject, announcement.body);
        let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let name = format!("{}-{stamp}.txt", announcement.message);
        let text = match self.store.put("messages", &name, text.as_bytes()) {
            Ok(digest) => digest,
            Err(error) => {
                let error = format!("the message cannot be kept: {error}");
                let _ = reply.send(Err(CommandError::Message(error)));
                return;
            }
        };
        let mut posted = Posted {
            announcement,
            actor,
            text,
            outcome: Ok("copied".to_owned()),
            reply,
        };
        // What may not be recorded is not sent either.
        if let Err(refused) = self.may_say(&posted) {
            let _ = posted.reply.send(Err(refused));
            return;
        }
        if !posted.announcement.post {
            self.announced(posted);
            return;
        }
        let webhook = self
            .runbook
            .message(&posted.announcement.message)
            .and_then(|message| message.webhook.clone());
        let Some(webhook) = webhook else {
            posted.outcome = Err("this message has no webhook in the runbook".to_owned());
            self.announced(posted);
            return;
        };
        let Some(address) = self.targets.variable(&webhook.variable).map(str::to_owned) else {
            posted.outcome = Err(format!(
                "{} is not set; it holds the webhook's address",
                webhook.variable
            ));
            self.announced(posted);
            return;
        };
        self.in_flight += 1;
        let reports = self.reports.clone();
        self.tasks.spawn(async move {
            let body = shaped(&webhook, &posted.announcement);
            let address = SecretString::from(address);
            let sent = tokio::task::spawn_blocking(move || webhook::post(&address, &body)).await;
            posted.outcome = match sent {
                Ok(Ok(())) => Ok(format!("posted to {}", webhook.variable)),
                Ok(Err(error)) => Err(format!("{} did not take it: {error}", webhook.variable)),
                Err(_) => Err("posting ended in a defect of this program".to_owned()),
            };
            let _ = reports.send(Report::Posted(Box::new(posted))).await;
        });
    }

    fn may_say(&self, posted: &Posted) -> Result<(), CommandError> {
        if let Some(error) = &self.view.journal_error {
            return Err(CommandError::Journal(error.clone()));
        }
        let command = Command::SayMessage {
            message: posted.announcement.message.clone(),
            gate: posted.announcement.gate.clone(),
            how: "posted".to_owned(),
            text: posted.text.clone(),
        };
        let at = Moment {
            now: jiff::Timestamp::now(),
            actor: posted.actor.clone(),
        };
        decide(Some(&self.run), &command, &at)?;
        Ok(())
    }

    /// Records a message that went out, and answers whoever sent it.
    pub(super) fn announced(&mut self, posted: Posted) {
        let Posted {
            announcement,
            actor,
            text,
            outcome,
            reply,
        } = posted;
        let result = match outcome {
            Ok(how) => self.command(
                &Command::SayMessage {
                    message: announcement.message,
                    gate: announcement.gate,
                    how,
                    text,
                },
                &actor,
            ),
            Err(error) => Err(CommandError::Message(error)),
        };
        self.publish();
        let _ = reply.send(result);
    }
}

/// The JSON that a chat takes.
fn shaped(webhook: &Webhook, announcement: &Announcement) -> serde_json::Value {
    let (subject, body) = (&announcement.subject, &announcement.body);
    match webhook.shape {
        Shape::Slack => serde_json::json!({ "text": format!("*{subject}*\n{body}") }),
        Shape::Teams => serde_json::json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        { "type": "TextBlock", "weight": "Bolder", "wrap": true, "text": subject },
                        { "type": "TextBlock", "wrap": true, "text": body },
                    ],
                },
            }],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_get_the_shape_they_take() {
        let announcement = Announcement {
            message: "m".into(),
            gate: None,
            subject: "S".into(),
            body: "B".into(),
            post: true,
        };
        let webhook = |shape| Webhook {
            variable: "V".into(),
            shape,
        };
        let slack = shaped(&webhook(Shape::Slack), &announcement);
        assert_eq!(slack["text"], "*S*\nB");
        let teams = shaped(&webhook(Shape::Teams), &announcement);
        assert_eq!(teams["attachments"][0]["content"]["body"][1]["text"], "B");
    }
}
