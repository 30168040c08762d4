//! Reads the roles and the people in them.

use super::model::Role;
use super::reader::TableReader;

pub(super) fn read_roles(top: &mut TableReader<'_, '_>) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for (span, table) in top.tables("role", "role") {
        let mut reader = TableReader::new("a role", span, table, top.findings);
        let name = reader.need_string("name");
        if !name.value.is_empty() {
            reader.name = format!("role `{}`", name.value);
        }
        if !name.value.is_empty() && roles.iter().any(|role| role.name == name.value) {
            reader.findings.add(
                name.span.clone(),
                format!("role `{}` stands in the file twice", name.value),
                "a role above has this name",
                None,
            );
        }
        let title = reader
            .string("title")
            .map_or_else(|| name.value.clone(), |t| t.value);
        let members = reader.need_strings("members", "[\"ana@example.com\"]");
        for (index, member) in members.iter().enumerate() {
            let spelling = member.value.to_lowercase();
            let twice = members[..index]
                .iter()
                .any(|other| other.value.to_lowercase() == spelling);
            let label = match member.value.trim() {
                "" => "a member has a name",
                name if name.contains('*') => "a member is one person; patterns name nobody",
                _ if twice => "one person, named twice",
                _ => continue,
            };
            let message = format!("`{}` cannot be a member of {}", member.value, reader.name);
            reader
                .findings
                .add(member.span.clone(), message, label, None);
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
