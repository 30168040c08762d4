//! Reads a commit: the branch, the message, and the files with what must stand in them.

use crate::runbook::findings::At;
use crate::runbook::names::{Names, check_content, check_template};
use crate::runbook::reader::TableReader;
use crate::runbook::versioning::{Commit, CommittedFile, ContentSource};

const FILES: &str = "[{ path = \"ci/check.yml\", source = \"check.yml\" }]";

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Commit {
    let repository = table.string("repository");
    if let Some(repository) = &repository {
        check_template(repository, &table, names);
    }
    let branch = table.need_string("branch");
    check_template(&branch, &table, names);
    let message = table.need_string("message");
    check_template(&message, &table, names);
    if !table.has("files") {
        table.missing("files", format!("such as files = {FILES}"));
    }
    let findings = table.findings;
    let mut files: Vec<CommittedFile> = Vec::new();
    for (span, fields) in table.tables("files", "phase.gate.commit.files") {
        let reader = TableReader::new("a file of `commit`", span, fields, findings);
        if let Some(file) = read_file(reader, &files, names) {
            files.push(file);
        }
    }
    table.finish();
    Commit {
        repository: repository.map_or_else(|| ".".to_owned(), |r| r.value),
        branch: branch.value,
        message: message.value,
        files,
    }
}

fn read_file(
    mut file: TableReader<'_, '_>,
    before: &[CommittedFile],
    names: &Names,
) -> Option<CommittedFile> {
    let path = file.need_string("path");
    check_template(&path, &file, names);
    if before.iter().any(|other| other.path == path.value) {
        let message = format!("`{}` is named twice", path.value);
        file.findings
            .add(path.span.clone(), message, "a file has one content", None);
    }
    check_path(&path, &file);
    let template = file.string("template");
    let source = file.string("source");
    if let Some(template) = &template {
        check_content(template, &file, names);
    }
    if let Some(source) = &source {
        check_template(source, &file, names);
    }
    let content = match (template, source) {
        (Some(template), None) => Some(ContentSource::Template(template.value)),
        (None, Some(source)) => Some(ContentSource::File(source.value)),
        (Some(_), Some(source)) => {
            let message = format!("{} gives both `template` and `source`", file.name);
            file.findings.add(
                source.span,
                message,
                "`template` says it already; keep one of the two",
                None,
            );
            None
        }
        (None, None) => {
            if !file.has("template") && !file.has("source") {
                file.missing("template", "write template = \"…\", or source = \"…\"");
            }
            None
        }
    };
    file.finish();
    Some(CommittedFile {
        path: path.value,
        content: content?,
    })
}

/// What can be told without the repository: the rest is refused when the plan is made.
fn check_path(path: &At<String>, file: &TableReader<'_, '_>) {
    let leads_out = path.value.starts_with('/') || path.value.split('/').any(|part| part == "..");
    if leads_out {
        file.findings.add(
            path.span.clone(),
            format!("`{}` does not lie in the repository", path.value),
            "a path below the repository's top folder is needed",
            None,
        );
    }
}
