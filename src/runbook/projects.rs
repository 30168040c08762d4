//! Reads `[alembic.NAME]`: the projects whose schema Alembic owns.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::findings::At;
use super::names::{Names, check_template};
use super::reader::{TableReader, kind_of};
use super::revising::AlembicProject;
use super::tools::check_variable;

pub(super) fn read_projects(
    top: &mut TableReader<'_, '_>,
    names: &Names,
) -> BTreeMap<String, AlembicProject> {
    let mut projects = BTreeMap::new();
    let Some(table) = top.table("alembic", "the projects of Alembic") else {
        return projects;
    };
    for (key, value) in table.entries() {
        if let Some(project) = read_project(&key, value, &table, names) {
            projects.insert(key.value, project);
        }
    }
    projects
}

fn read_project(
    key: &At<String>,
    value: &Spanned<DeValue<'_>>,
    table: &TableReader<'_, '_>,
    names: &Names,
) -> Option<AlembicProject> {
    let label = format!("project `{}`", key.value);
    let Some(fields) = value.get_ref().as_table() else {
        table.findings.add(
            value.span(),
            format!("{label} must be a table"),
            format!("this is {}", kind_of(value.get_ref())),
            Some(format!("write [alembic.{}]", key.value)),
        );
        return None;
    };
    let mut reader = TableReader::new(label, value.span(), fields, table.findings);
    let folder = path(&mut reader, "folder", names).unwrap_or_else(|| ".".to_owned());
    let config = path(&mut reader, "config", names).unwrap_or_else(|| "alembic.ini".to_owned());
    let python = path(&mut reader, "python", names);
    if !reader.has("url_env") {
        let help =
            "write url_env = \"DATABASE_URL\": the variable in which env.py finds the address";
        reader.missing("url_env", help);
    }
    let url_env = reader.string("url_env");
    if let Some(name) = &url_env {
        check_variable(name, "url_env", &reader);
    }
    let url_scheme = reader.string("url_scheme");
    if let Some(scheme) = &url_scheme
        && !scheme.value.starts_with("postgres")
    {
        reader.findings.add(
            scheme.span.clone(),
            format!("`url_scheme` of {} is `{}`", reader.name, scheme.value),
            "not a scheme for PostgreSQL",
            Some("such as url_scheme = \"postgresql+psycopg\"".into()),
        );
    }
    let env = reader.strings("env", "[\"APP_ENV\"]").unwrap_or_default();
    for name in &env {
        check_variable(name, "env", &reader);
    }
    let versions = reader.strings("versions", "[\"alembic/versions\"]");
    for folder in versions.iter().flatten() {
        check_template(folder, &reader, names);
    }
    let table_name = reader.string("version_table");
    reader.finish();
    let plain = |list: Vec<At<String>>| list.into_iter().map(|one| one.value).collect();
    Some(AlembicProject {
        name: key.value.clone(),
        folder,
        config,
        python,
        url_env: url_env.map_or_else(String::new, |name| name.value),
        url_scheme: url_scheme.map_or_else(|| "postgresql".to_owned(), |scheme| scheme.value),
        env: plain(env),
        versions: plain(versions.unwrap_or_default()),
        version_table: table_name.map_or_else(|| "alembic_version".to_owned(), |name| name.value),
    })
}

fn path(reader: &mut TableReader<'_, '_>, key: &'static str, names: &Names) -> Option<String> {
    let given = reader.string(key)?;
    check_template(&given, reader, names);
    Some(given.value)
}
