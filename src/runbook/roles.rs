//! Reads the roles and the people in them.

use super::model::Role;
use super::reader::TableReader;

pub(super) fn read_roles(top: &mut TableReader<'_, '_>) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for (span, table) in top.tables("role") {
        let mut reader = TableReader::new("a role", span, table, top.findings);
        let name = reader.need_string("name");
        if !name.value.is_empty() {
            reader.name = format!("role `{}`", name.value);
        }
        if roles.iter().any(|role| role.name == name.value) {
            reader.findings.add(
                name.span.clone(),
                format!("role `{}` stands in the file twice", name.value),
                "taken",
                None,
            );
        }
        let title = reader
            .string("title")
            .map_or_else(|| name.value.clone(), |t| t.value);
        let members = reader.need_strings("members");
        for (index, member) in members.iter().enumerate() {
            let twice = members[..index].iter().any(|m| m.value == member.value);
            if member.value.trim().is_empty() || member.value.contains('*') || twice {
                reader.findings.add(
                    member.span.clone(),
                    format!("`{}` cannot be a member of {}", member.value, reader.name),
                    "a member is one person, named once",
                    None,
                );
            }
        }
        reader.finish();
        let members = members.into_iter().map(|member| member.value).collect();
        roles.push(Role {
            name: name.value,
            title,
            members,
        });
    }
    roles
}
