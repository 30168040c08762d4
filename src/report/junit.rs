//! The run as JUnit XML, for build servers: a test suite a phase, a test case a gate.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::facts::{Facts, GateFacts};
use crate::untrusted::clean;

/// Writes the run as JUnit XML.
///
/// # Errors
/// When it cannot be written as XML.
pub fn junit(facts: &Facts) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new(clean(&facts.run.title).as_ref());
    for phase in &facts.phases {
        let mut suite = TestSuite::new(clean(&phase.title).as_ref());
        for gate in &phase.gates {
            suite.add_test_case(case(&phase.id, gate));
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn case(phase: &str, gate: &GateFacts) -> TestCase {
    let mut case = TestCase::new(clean(&gate.title).as_ref(), status(gate));
    case.set_classname(format!("{phase}.{}", gate.id));
    if let Some(took) = gate.took_ms {
        case.set_time(Duration::from_millis(took));
    }
    case
}

/// Failed is a failure; what is not known, not measured or unfinished is an error; what did not run
/// or was let through by people was skipped. Nothing else is a success.
fn status(gate: &GateFacts) -> TestCaseStatus {
    let kind = match gate.state.as_str() {
        "passed" => return TestCaseStatus::success(),
        "pending" | "not applicable" | "waived" => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(gate.state.as_str());
            return skipped;
        }
        "failed" => NonSuccessKind::Failure,
        _ => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(gate.state.as_str());
    if let Some(finding) = &gate.finding {
        status.set_message(clean(&finding.summary).as_ref());
        let mut more: Vec<String> = Vec::new();
        more.extend(
            finding
                .caused_by
                .iter()
                .map(|cause| format!("caused by: {cause}")),
        );
        more.extend(
            finding
                .what_you_can_do
                .iter()
                .map(|act| format!("you can: {act}")),
        );
        status.set_description(clean(&more.join("\n")).as_ref());
    }
    status
}
