//! What must be proved before a database is replaced: nothing is ever concluded from the absence
//! of a proof, or from what a host is called.

use crate::expectation::Finding;
use crate::postgres::enrolment::{Mark, Purpose};
use crate::postgres::identity::Identity;
use crate::runbook::Environment;

/// Both ends of a clone, as they were asked just now.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) source: Identity,
    pub(super) source_environment: Environment,
    pub(super) source_mark: Option<Mark>,
    pub(super) destination: Identity,
    pub(super) environment: Environment,
    pub(super) mark: Option<Mark>,
    /// The runbook's production targets, and who answers there.
    pub(super) production: Vec<(String, Identity)>,
    /// Production targets that did not answer, and why.
    pub(super) silent: Vec<(String, String)>,
    /// The server that the backup was taken of, in words that end with its fingerprint.
    pub(super) backed_up: Option<String>,
}

/// One thing that stops a clone; `None` where it does not.
type Guard = fn(&Ends) -> Option<Finding>;

/// Every guard, in the order in which they are said. There is no way around any of them.
const GUARDS: [(&str, Guard); 12] = [
    ("environment", environment),
    ("identified", identified),
    ("same-database", same_database),
    ("production-answers", production_answers),
    ("production-target", production_target),
    ("standby", standby),
    ("marked", marked),
    ("marked-for-it", marked_for_it),
    ("marked-development", marked_development),
    ("same-cluster", same_cluster),
    ("source-is-development", source_is_development),
    ("backed-up", backed_up),
];

/// The first reason not to go on, if there is one.
pub(super) fn refusal(ends: &Ends) -> Option<Finding> {
    GUARDS
        .iter()
        .find_map(|(_, guard)| guard(ends))
        .map(|finding| {
            finding
                .because(format!("the source is {}", ends.source.describe()))
                .because(format!(
                    "the destination is {}",
                    ends.destination.describe()
                ))
                .because("nothing was changed")
        })
}

fn no(summary: impl Into<String>) -> Finding {
    Finding::failed(summary)
}

fn environment(ends: &Ends) -> Option<Finding> {
    (ends.environment == Environment::Production)
        .then(|| no("the destination is production").can("name a target of another environment"))
}

fn identified(ends: &Ends) -> Option<Finding> {
    let both = [&ends.source, &ends.destination];
    let hidden = both
        .into_iter()
        .find(|end| end.system_identifier.is_none())?;
    Some(
        no(format!(
            "{} does not say which server it is",
            hidden.host_shown
        ))
        .because("only the system identifier tells one server from another; a name does not")
        .can(format!(
            "GRANT EXECUTE ON FUNCTION pg_control_system() TO {}",
            hidden.user
        )),
    )
}

fn is_same(one: &Identity, other: &Identity) -> bool {
    one.system_identifier == other.system_identifier && one.database_oid == other.database_oid
}

fn same_database(ends: &Ends) -> Option<Finding> {
    is_same(&ends.source, &ends.destination).then(|| {
        no("source and destination are the same database")
            .because("both have the same system identifier and database oid, however spelt")
            .can("find out where the destination's address leads")
    })
}

fn production_answers(ends: &Ends) -> Option<Finding> {
    let (name, reason) = ends.silent.first()?;
    Some(
        no(format!("`{name}` does not answer"))
            .because(reason.clone())
            .because("as long as it does not, nothing proves that the destination is not it")
            .can(format!("let `{name}` answer, then retry")),
    )
}

fn production_target(ends: &Ends) -> Option<Finding> {
    let same = |(_, identity): &&(String, Identity)| is_same(identity, &ends.destination);
    let (name, _) = ends.production.iter().find(same)?;
    Some(
        no(format!("the destination is `{name}`, which is production"))
            .because("it was recognised by its system identifier and database oid")
            .can("find out where the destination's address leads: a tunnel, a proxy, a wrong variable"),
    )
}

fn standby(ends: &Ends) -> Option<Finding> {
    ends.destination.in_recovery.then(|| {
        no("the destination is a standby").can("name its primary, if that is what may be replaced")
    })
}

fn how_to_enrol() -> &'static str {
    "if it may be lost: stagegate enrol URL --as development --database NAME"
}

fn marked(ends: &Ends) -> Option<Finding> {
    ends.mark.is_none().then(|| {
        no("the destination is not enrolled: nothing proves that it is development")
            .because("only a database that was enrolled beforehand, by itself, is ever replaced")
            .can(how_to_enrol())
    })
}

fn marked_for_it(ends: &Ends) -> Option<Finding> {
    let mark = ends.mark.as_ref()?;
    (!mark.is_for(&ends.destination)).then(|| {
        no("the destination's enrolment was made for another database")
            .because(format!(
                "it names system identifier {}, oid {}; this is {}, oid {}",
                mark.system_identifier,
                mark.database_oid,
                ends.destination
                    .system_identifier
                    .as_deref()
                    .unwrap_or("unknown"),
                ends.destination.database_oid
            ))
            .because("it came along in a dump, a template or a copy of a server's files")
            .can(how_to_enrol())
    })
}

fn marked_development(ends: &Ends) -> Option<Finding> {
    let mark = ends.mark.as_ref()?;
    if mark.purpose == Some(Purpose::Development) && mark.resettable {
        return None;
    }
    let purpose = mark.purpose.map_or("something else", Purpose::word);
    Some(
        no(format!("the destination is enrolled as {purpose}"))
            .because(format!("by {} at {} UTC", mark.made_by, mark.made_at))
            .can("if that is wrong: stagegate enrol URL --withdraw, then enrol it anew"),
    )
}

fn same_cluster(ends: &Ends) -> Option<Finding> {
    let one = ends.source.system_identifier == ends.destination.system_identifier;
    let allowed = ends.mark.as_ref().is_some_and(|mark| mark.same_cluster);
    (one && !allowed).then(|| {
        no("source and destination are on the same server")
            .because("it may be a copy of production's files as well")
            .can("if it is meant: enrol the destination with --same-cluster")
    })
}

fn source_is_development(ends: &Ends) -> Option<Finding> {
    let mark = ends
        .source_mark
        .as_ref()
        .filter(|mark| mark.is_for(&ends.source))?;
    let production = ends.source_environment == Environment::Production;
    (production && mark.purpose == Some(Purpose::Development)).then(|| {
        no("the source is enrolled as development, and the runbook calls it production")
            .because("source and destination may be mixed up")
            .can("find out where the source's address leads")
    })
}

fn backed_up(ends: &Ends) -> Option<Finding> {
    let mark = format!("[{}]", ends.source.fingerprint());
    let backed_up = ends.backed_up.as_ref();
    if backed_up.is_some_and(|server| server.ends_with(&mark)) {
        return None;
    }
    let finding = no("the source was not backed up in this run");
    let finding = match backed_up {
        Some(server) => finding.because(format!("the backup was taken of {server}")),
        None => finding.because("its backup gate has not passed"),
    };
    Some(finding.can("take the backup first; its gate says how it stands"))
}

#[cfg(test)]
#[path = "guards_tests.rs"]
mod tests;
