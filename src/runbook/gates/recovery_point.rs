//! Reads a recovery point: how fresh the archive must be, and whether a restore point is made.

use crate::runbook::model::{RECOVERY_POINT_CAPTURE, RecoveryPoint};
use crate::runbook::names::{Names, check_template, need_target};
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &mut Names) -> RecoveryPoint {
    let target = need_target(&mut table, names);
    let max_archive_age = table.span_of_time("max_archive_age");
    let restore_point = table.string("restore_point");
    if let Some(name) = &restore_point {
        check_template(name, &table, names);
        // The server's own limit; a placeholder may still make it longer, and is looked at then.
        if name.value.len() > 63 {
            table.findings.add(
                name.span.clone(),
                format!("`restore_point` of {} is too long", table.name),
                "at most 63 bytes",
                None,
            );
        }
    }
    let require_archiving = table.flag("require_archiving", true);
    if let Some(age) = &max_archive_age
        && !require_archiving
    {
        table.findings.add(
            age.span.clone(),
            format!("`max_archive_age` of {} needs archiving", table.name),
            "nothing is archived that could be old",
            Some("leave out `require_archiving = false`".into()),
        );
    }
    let verified = table.flag("verified", false);
    if verified && !names.rehearsed.contains(&target) {
        table.findings.add(
            table.place("verified"),
            format!("`verified` of {} needs a rehearsal above it", table.name),
            "only a backup that was restored and compared is verified",
            Some(format!(
                "put a rehearse gate of a backup of `{target}` before it"
            )),
        );
    }
    let (span, findings) = (table.span.clone(), table.findings);
    table.finish();
    if names.vars.contains(RECOVERY_POINT_CAPTURE) {
        findings.add(
            span,
            format!("a variable is called `{RECOVERY_POINT_CAPTURE}`"),
            "what this gate finds has that name for later gates",
            Some("give the variable another name".into()),
        );
    }
    // Later gates may name what this one finds; a second gate of the kind replaces it.
    names.captures.insert(RECOVERY_POINT_CAPTURE.to_owned());
    RecoveryPoint {
        target,
        max_archive_age: max_archive_age.map(|age| age.value),
        restore_point: restore_point.map(|name| name.value),
        require_archiving,
        verified,
    }
}
