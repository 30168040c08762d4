//! The arguments of `sign` and `hand-in`.

use std::path::PathBuf;

use clap::Args;

use super::arguments::Place;

#[derive(Debug, Args)]
#[command(after_help = "\
Everything that the statement stands for is shown in words, and what has changed since you signed for
this run last; then you are asked. The stock ssh-keygen signs, so agents, security keys and passphrases
work as always. What comes out is one text: hand it in as a file, or paste it.

Sign on your own machine. Through an agent that is forwarded to another machine, whoever rules that
machine can sign as you; ssh-add -c lets the agent ask you first.

Exit code 0: signed. 4: you did not agree. 1: it could not be read or signed. 64: no terminal, and no --yes.

  stagegate sign accept.dba.ana@example.com.approve.json
  stagegate sign accept.dba.ana@example.com.approve.json --note \"seen with sam\" --key ~/.ssh/stagegate_sk
  stagegate sign accept.dba.ana@example.com.approve.json --reject --note \"no dump was restored\"
  ssh-keygen -Y sign -n dba.signoff.stagegate@example.com -f ~/.ssh/stagegate FILE    # without stagegate")]
pub(super) struct SignArguments {
    /// The statement's file, as the run has written it
    pub(super) statement: PathBuf,
    /// Your key, or its public half when an agent holds it [default: ~/.ssh/stagegate_sk, ~/.ssh/stagegate]
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// Reject instead: this ends the run
    #[arg(long)]
    pub(super) reject: bool,
    /// What you want to have said; it is signed too
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
    /// Where the signed text goes; - is standard output [default: beside the statement]
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Whoever hands a signature in adds nothing to it: it counts, or is refused and recorded, as on a console.
When the run is open elsewhere on this machine, the files are put into its folder, and its owner takes them.

Exit code 0: all count, or were put there. 4: one was refused.

  stagegate hand-in 20261122-030000-9f3c accept.dba.ana@example.com.approve.signed
  stagegate hand-in 20261122-030000-9f3c - < mail.txt")]
pub(super) struct HandInArguments {
    /// The run
    pub(super) run: String,
    /// Signed texts or signatures; - is standard input
    #[arg(required = true)]
    pub(super) files: Vec<String>,
    #[command(flatten)]
    pub(super) place: Place,
}
