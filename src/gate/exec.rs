//! `exec`: a program with its arguments. There is no shell.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Instant;

use super::{Context, Evidence, Outcome, Plan, Reconciled, Source, Tone};
use crate::expectation::{ExitSeen, Finding, ProcessSeen};
use crate::promotion::Resolution;
use crate::runbook::Exec;
use crate::system::process::{self, Ended, Ending, Invocation, Stream};
use crate::untrusted::clean_bytes;

pub(super) fn plan(gate: &Exec, context: &Context) -> Plan {
    let argv: Vec<String> = gate.argv.iter().map(|a| context.fill(a)).collect();
    let inputs: Vec<&str> = argv.iter().map(String::as_str).collect();
    let mut plan = Plan::new(format!("run {}", argv.join(" ")), &inputs);
    plan.line(Tone::Heading, "arguments, each as it is, without a shell");
    for (index, argument) in argv.iter().enumerate() {
        plan.line(Tone::Sql, format!("  [{index}] {argument}"));
    }
    plan.line(
        Tone::Plain,
        format!("in {}", folder(gate, context).display()),
    );
    let names = if gate.env.is_empty() {
        "none".to_owned()
    } else {
        gate.env.join(", ")
    };
    plan.line(Tone::Plain, format!("variables passed on: PATH, {names}"));
    for name in gate
        .env
        .iter()
        .filter(|name| std::env::var_os(name).is_none())
    {
        plan.line(Tone::Warning, format!("`{name}` is not set here"));
    }
    let codes: Vec<String> = gate.expect.exit.iter().map(ToString::to_string).collect();
    plan.line(Tone::Plain, format!("expected exit: {}", codes.join(", ")));
    for (what, wanted) in [
        ("contains", &gate.expect.stdout_contains),
        ("does not contain", &gate.expect.stdout_lacks),
        ("matches", &gate.expect.stdout_matches),
        ("ends with the line", &gate.expect.stdout_last_line),
    ] {
        if let Some(wanted) = wanted {
            plan.line(
                Tone::Plain,
                format!("expected: the output {what} `{wanted}`"),
            );
        }
    }
    if process::find_program(&argv[0], &context.base).is_none() {
        plan.refuses = Some(format!("there is no program `{}`", argv[0]));
        plan.line(Tone::Bad, format!("`{}` was not found", argv[0]));
    }
    plan
}

fn folder(gate: &Exec, context: &Context) -> std::path::PathBuf {
    gate.cwd
        .as_ref()
        .map_or_else(|| context.base.clone(), |cwd| context.path(cwd))
}

pub(super) async fn run(gate: &Exec, context: &Context) -> Outcome {
    let argv: Vec<String> = gate.argv.iter().map(|a| context.fill(a)).collect();
    let Some(program) = process::find_program(&argv[0], &context.base) else {
        return Outcome::of(
            Finding::errored(format!("there is no program `{}`", argv[0]))
                .because("it is neither in PATH nor at that path")
                .can("install it, or mend argv in the runbook"),
        );
    };
    let invocation = Invocation {
        program,
        arguments: argv[1..].to_vec(),
        environment: environment(gate, context),
        folder: Some(folder(gate, context)),
        timeout: context.gate.timeout,
    };
    let started = Instant::now();
    let ended = process::run(&invocation, &context.cancel, |stream, line| {
        let source = match stream {
            Stream::Out => Source::Out,
            Stream::Err => Source::Err,
        };
        context.feed.line(source, &clean_bytes(line));
    })
    .await;
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            return Outcome::of(
                Finding::errored(error.to_string()).can("mend argv or cwd in the runbook"),
            );
        }
    };
    let seen = what_was_seen(&ended);
    let canceled = seen.exit == ExitSeen::Canceled;
    let mut outcome = Outcome::of(gate.expect.judge(&seen));
    outcome.canceled = canceled;
    let duration_ms = started.elapsed().as_millis() as u64;
    outcome.with(Evidence::Exec {
        argv,
        seen,
        duration_ms,
    })
}

fn environment(gate: &Exec, context: &Context) -> Vec<(String, String)> {
    // A program that was found in PATH can expect to find its own helpers there.
    std::iter::once("PATH")
        .chain(gate.env.iter().map(String::as_str))
        .filter_map(|name| Some((name.to_owned(), context.targets.variable(name)?.to_owned())))
        .collect()
}

pub(super) fn what_was_seen(ended: &Ended) -> ProcessSeen {
    let exit = match ended.ending {
        Ending::TimedOut => ExitSeen::TimedOut,
        Ending::Canceled => ExitSeen::Canceled,
        Ending::Exited(status) => match (status.code(), status.signal()) {
            (Some(code), _) => ExitSeen::Code(code),
            (None, signal) => ExitSeen::Signal(signal.unwrap_or(0)),
        },
    };
    ProcessSeen {
        exit,
        stdout: clean_bytes(&ended.stdout),
        stderr: clean_bytes(&ended.stderr),
        omitted_bytes: ended.omitted_bytes,
    }
}

/// A program's effects cannot be asked after; a person has to look.
pub(super) fn reconcile(gate: &Exec) -> Reconciled {
    Reconciled {
        resolution: Some(Resolution::Failed),
        finding: Finding::failed("nobody saw how the program ended")
            .because(format!(
                "`{}` was running when this program died; it was killed, its children may still be at work",
                gate.argv[0]
            ))
            .can("look at what it works on, and mend it if need be")
            .can("then press r to run it again"),
        evidence: None,
    }
}
