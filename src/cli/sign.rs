//! `sign`: a person reads a statement and signs it with a key of their own.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use super::sign_arguments::SignArguments;
use super::{Exit, say, sign_words};
use crate::promotion::Decision;
use crate::promotion::signature::{KeyStatement, Purpose, envelope};
use crate::system::durable::{make_private_folder, write_whole};
use crate::system::ssh_keygen;
use crate::untrusted::{clean, clean_line};

/// A statement is about one kilobyte.
const LARGEST: u64 = 64 * 1024;

/// Why nothing was signed, what can be done, and how the program ends.
type NotSigned = (String, String, Exit);

pub(super) fn run(arguments: &SignArguments) -> Exit {
    match sign(arguments) {
        Ok(()) => Exit::Well,
        Err((what, next, exit)) => {
            say::Trouble {
                what,
                untouched: "nothing was signed",
                next,
                evidence: arguments.statement.display().to_string(),
            }
            .say();
            exit
        }
    }
}

fn sign(arguments: &SignArguments) -> Result<(), NotSigned> {
    let statement = statement(arguments)?;
    let key = key(arguments)?;
    say::note("You are asked to sign this:\n");
    say::note(&sign_words::statement(&statement, jiff::Timestamp::now()));
    say_changes(&statement);
    if let Some(warning) = forwarded_agent() {
        say::note(&format!("  ! {warning}\n"));
    }
    say::note(&format!("It will be signed with {}.", key.display()));
    agreed(arguments, &statement)?;
    let bytes = statement.canonical();
    let signature = ssh_keygen::sign(&key, &statement.namespace, &bytes).map_err(|error| {
        let next = "see what ssh-keygen says above; name another key with --key FILE";
        (error.to_string(), next.to_owned(), Exit::Error)
    })?;
    let text = envelope(&bytes, &signature);
    let out = arguments.out.clone();
    let out = out.unwrap_or_else(|| arguments.statement.with_extension("signed"));
    remember(&statement);
    if out == Path::new("-") {
        say::data(&text);
        say::note("Signed. Hand this text in, or paste it into the run's console.");
        return Ok(());
    }
    std::fs::write(&out, &text).map_err(|error| {
        let next = "name a place with --out FILE, or --out - for standard output".to_owned();
        (format!("{}: {error}", out.display()), next, Exit::Error)
    })?;
    say::note(&format!(
        "Signed: {}\nHand it in: send it to the operator, who pastes it at the gate, puts it beside the \
         statement,\nor calls: stagegate hand-in {} FILE",
        out.display(),
        clean_line(&statement.run)
    ));
    Ok(())
}

/// Reads the statement, with what its signer adds.
fn statement(arguments: &SignArguments) -> Result<KeyStatement, NotSigned> {
    let path = &arguments.statement;
    let shown = path.display();
    let trouble = |what: String, next: &str| (what, next.to_owned(), Exit::Error);
    let whole = "ask for the file as the run has written it";
    let size = std::fs::metadata(path).map_or(0, |data| data.len());
    if size > LARGEST {
        return Err(trouble(
            format!("{shown} is larger than {LARGEST} bytes"),
            whole,
        ));
    }
    let bytes = std::fs::read(path)
        .map_err(|error| trouble(format!("{shown}: {error}"), "name a file that can be read"))?;
    let mut statement =
        KeyStatement::read(&bytes).map_err(|why| trouble(format!("{shown}: {why}"), whole))?;
    let namespace = &statement.namespace;
    let begins = format!("{}.{}.", statement.role, statement.purpose.word());
    if !namespace.starts_with(&begins) {
        let what =
            format!("{shown}: its namespace `{namespace}` is not that of its role and purpose");
        return Err(trouble(what, "do not sign it; ask whoever sent it"));
    }
    if arguments.reject {
        statement.decision = Decision::Reject;
    }
    if let Some(note) = &arguments.note {
        statement.note = clean(note.trim()).into_owned();
    }
    if statement.decision == Decision::Reject
        && statement.purpose == Purpose::Signoff
        && statement.note.is_empty()
    {
        let next = "say why: --note \"…\"".to_owned();
        return Err(("a rejection ends the run".to_owned(), next, Exit::Usage));
    }
    if jiff::Timestamp::now() >= statement.expires {
        let what = format!("{shown} expired at {}", statement.expires);
        return Err(trouble(what, "ask for new statements at the gate"));
    }
    Ok(statement)
}

fn key(arguments: &SignArguments) -> Result<PathBuf, NotSigned> {
    if let Some(key) = &arguments.key {
        return Ok(key.clone());
    }
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".ssh"));
    let usual = home.into_iter().flat_map(|ssh| {
        [
            "stagegate_sk",
            "stagegate",
            "stagegate_sk.pub",
            "stagegate.pub",
        ]
        .map(|name| ssh.join(name))
    });
    usual.into_iter().find(|key| key.is_file()).ok_or_else(|| {
        (
            "no key was named, and ~/.ssh/stagegate_sk and ~/.ssh/stagegate are not there".to_owned(),
            "name one with --key FILE; make one with: ssh-keygen -t ed25519 -C YOU -f ~/.ssh/stagegate"
                .to_owned(),
            Exit::Usage,
        )
    })
}

/// Asks. Nothing but the decision's own word agrees.
fn agreed(arguments: &SignArguments, statement: &KeyStatement) -> Result<(), NotSigned> {
    if arguments.yes {
        return Ok(());
    }
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        let next = "sign in a terminal; or add --yes when you have read all of it".to_owned();
        return Err((
            "this is no terminal, and you must be asked".to_owned(),
            next,
            Exit::Usage,
        ));
    }
    let word = match statement.decision {
        Decision::Approve => "approve",
        Decision::Reject => "reject",
    };
    say::note(&format!("Type {word} to sign it; anything else leaves it:"));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == word {
        return Ok(());
    }
    let next = "read it again; --reject signs that you reject it".to_owned();
    Err(("you did not agree".to_owned(), next, Exit::NotPassed))
}

/// Whoever rules the machine at the other end of a forwarded agent signs as its owner.
fn forwarded_agent() -> Option<&'static str> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    (set("SSH_AUTH_SOCK") && set("SSH_CONNECTION")).then_some(
        "You came here over SSH, and an agent answers here. If it is forwarded from your machine, \
         whoever rules this one can sign as you: sign on your own machine, or add the key with ssh-add -c.",
    )
}

/// Where the last statement is kept that a person signed for a run.
fn last_signed(statement: &KeyStatement) -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "stagegate")?;
    let state = folders
        .state_dir()
        .unwrap_or_else(|| folders.data_local_dir());
    let name = crate::digest::digest(format!("{}\n{}", statement.run, statement.signer).as_bytes());
    Some(state.join("signed").join(format!("{}.json", &name[..32])))
}

fn say_changes(statement: &KeyStatement) {
    let last = last_signed(statement).and_then(|path| std::fs::read(path).ok());
    let last = last.and_then(|bytes| KeyStatement::read(&bytes).ok());
    let Some(last) = last else {
        say::note("  You have signed nothing for this run on this machine before.\n");
        return;
    };
    let changes = sign_words::changed(&last, statement);
    say::note(&format!(
        "  Since you signed last for this run ({}):",
        last.time
    ));
    for change in &changes {
        say::note(&format!("    {change}"));
    }
    say::note(if changes.is_empty() {
        "    nothing has changed\n"
    } else {
        ""
    });
}

/// Keeps what was signed, to tell what is new the next time. Signing does not depend on it.
fn remember(statement: &KeyStatement) {
    let Some(path) = last_signed(statement) else {
        return;
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let kept =
        make_private_folder(folder).and_then(|()| write_whole(&path, &statement.canonical()));
    if let Err(error) = kept {
        tracing::warn!(%error, "what was signed is not remembered");
    }
}
