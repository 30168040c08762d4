//! Reads a schema version: where it is written, and the gate that verified the schema.

use super::drift::read_table_name;
use crate::runbook::comparing::{SchemaVersion, VERSION_TABLE};
use crate::runbook::names::{Names, need_gate_of, need_target};
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> SchemaVersion {
    let target = need_target(&mut table, names);
    let verified_by = need_gate_of(&mut table, "verified_by", "drift", names);
    let name = read_table_name(&mut table, "table");
    table.finish();
    SchemaVersion {
        target,
        verified_by,
        table: name.unwrap_or_else(|| VERSION_TABLE.to_owned()),
    }
}
