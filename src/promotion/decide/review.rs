//! Grants marks of reviewers: a person in front of a console says that a change was read.

use super::Decided;
use super::conditions::{needs_console, said};
use crate::promotion::{Command, Event, Moment, Refusal, Run};

pub(super) fn review(run: &Run, at: &Moment, command: &Command) -> Decided {
    let (Command::ReviewFile {
        repository,
        path,
        old,
        new,
    }
    | Command::WithdrawReview {
        repository,
        path,
        old,
        new,
    }) = command
    else {
        return Ok(Vec::new());
    };
    needs_console(at, || format!("reviewing `{}`", said(path)))?;
    if path.is_empty() || (old.is_none() && new.is_none()) {
        return Err(Refusal::NothingToReview);
    }
    let sides = [old.as_deref(), new.as_deref()];
    let known = run.reviews.get(repository);
    let reviewed = known.is_some_and(|of| of.standing(path, sides).is_reviewed());
    let withdrawn = matches!(command, Command::WithdrawReview { .. });
    if reviewed != withdrawn {
        // It is said already.
        return Ok(Vec::new());
    }
    let (repository, path) = (repository.clone(), path.clone());
    let (old, new) = (old.clone(), new.clone());
    Ok(vec![match withdrawn {
        true => Event::ReviewWithdrawn {
            repository,
            path,
            old,
            new,
        },
        false => Event::FileReviewed {
            repository,
            path,
            old,
            new,
        },
    }])
}
