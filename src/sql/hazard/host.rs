//! What reaches beyond the database: files and programs of the server, its settings, superusers.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Stmt};

use super::Found;
use super::rule::{self, Rule};

const UNTRUSTED_LANGUAGES: [&str; 9] = [
    "c",
    "plpythonu",
    "plpython2u",
    "plpython3u",
    "plperlu",
    "pltclu",
    "plsh",
    "plrustu",
    "plr",
];
const UNTRUSTED_EXTENSIONS: [&str; 12] = [
    "plpythonu",
    "plpython2u",
    "plpython3u",
    "plperlu",
    "pltclu",
    "plsh",
    "adminpack",
    "dblink",
    "file_fdw",
    "postgres_fdw",
    "pg_cron",
    "pageinspect",
];
const RIGHTS: [&str; 4] = ["SUPERUSER", "BYPASSRLS", "REPLICATION", "CREATEROLE"];
const HOST_ROLES: [&str; 3] = [
    "pg_execute_server_program",
    "pg_read_server_files",
    "pg_write_server_files",
];
const FUNCTIONS: [&str; 14] = [
    "pg_read_file",
    "pg_read_binary_file",
    "pg_ls_dir",
    "pg_stat_file",
    "pg_file_write",
    "pg_file_unlink",
    "pg_file_rename",
    "lo_import",
    "lo_export",
    "dblink",
    "dblink_exec",
    "dblink_connect",
    "pg_reload_conf",
    "pg_promote",
];

/// Looks at one statement.
pub(super) fn look(stmt: &Stmt, out: &mut Vec<Found>) {
    let node = stmt.syntax();
    let mut add = |rule: Rule| out.push(Found::new(rule, node, None));
    match stmt {
        Stmt::Copy(copy) => {
            if let Some(rule) = copies(copy) {
                add(rule);
            }
        }
        Stmt::AlterSystem(_) => add(rule::ALTER_SYSTEM),
        Stmt::Load(_) => add(rule::LOAD),
        Stmt::CreateLanguage(_) => add(rule::UNTRUSTED_LANGUAGE),
        Stmt::CreateExtension(create) => {
            let name = create
                .extension()
                .map_or(String::new(), |e| folded(e.syntax()));
            if UNTRUSTED_EXTENSIONS.contains(&name.as_str()) {
                add(rule::UNTRUSTED_EXTENSION);
            }
        }
        Stmt::CreateRole(_) | Stmt::AlterRole(_) | Stmt::CreateUser(_) | Stmt::AlterUser(_) => {
            let gives = |node: SyntaxNode| {
                let text = node.text().to_string().to_uppercase();
                RIGHTS.contains(&text.trim())
            };
            if node
                .descendants()
                .filter(|n| ast::RoleOption::can_cast(n.kind()))
                .any(gives)
            {
                add(rule::SUPERUSER);
            }
        }
        Stmt::Grant(_) => {
            let text = node.text().to_string().to_lowercase();
            if HOST_ROLES.iter().any(|role| text.contains(role)) {
                add(rule::HOST_ROLE);
            }
        }
        Stmt::CreateFunction(create) => routine(create.option_list(), &mut add),
        Stmt::CreateProcedure(create) => routine(create.option_list(), &mut add),
        Stmt::Do(block) => {
            let language = block.do_language().and_then(|l| l.language_name());
            if language.is_some_and(|l| UNTRUSTED_LANGUAGES.contains(&l.name.as_str())) {
                add(rule::UNTRUSTED_LANGUAGE);
            }
        }
        _ => {}
    }
    for call in node.descendants().filter_map(ast::CallExpr::cast) {
        let text = call.syntax().text().to_string().to_lowercase();
        let called = text.split('(').next().unwrap_or_default().trim();
        let called = called.rsplit('.').next().unwrap_or_default();
        if FUNCTIONS.contains(&called) {
            out.push(Found::new(rule::HOST_FUNCTION, call.syntax(), None));
        }
    }
}

/// A copy from or to the server's own host.
fn copies(copy: &ast::Copy) -> Option<Rule> {
    let program = copy
        .syntax()
        .descendants()
        .filter_map(ast::CopyProgram::cast)
        .any(|source| source.program_token().is_some());
    if program {
        return Some(rule::COPY_PROGRAM);
    }
    let text = copy
        .copy_direction()?
        .syntax()
        .text()
        .to_string()
        .to_uppercase();
    let other = text
        .trim_start_matches("FROM")
        .trim_start_matches("TO")
        .trim_start();
    let streams = other.starts_with("STDIN") || other.starts_with("STDOUT");
    (!streams).then_some(rule::COPY_FILE)
}

fn folded(node: &SyntaxNode) -> String {
    super::super::relations::fold(node.text().to_string().trim())
}

/// A routine's language, and whether it runs with its owner's rights in anybody's search path.
fn routine(options: Option<ast::FuncOptionList>, add: &mut impl FnMut(Rule)) {
    let Some(options) = options else { return };
    let (mut definer, mut path) = (false, false);
    for option in options.options() {
        match option {
            ast::FuncOption::LanguageFuncOption(language) => {
                let name = language.language_name();
                if name.is_some_and(|l| UNTRUSTED_LANGUAGES.contains(&l.name.as_str())) {
                    add(rule::UNTRUSTED_LANGUAGE);
                }
            }
            ast::FuncOption::SecurityDefinerFuncOption(_) => definer = true,
            ast::FuncOption::SetFuncOption(set) => {
                let text = set.syntax().text().to_string().to_lowercase();
                path |= text.contains("search_path");
            }
            _ => {}
        }
    }
    if definer && !path {
        add(rule::SECURITY_DEFINER);
    }
}
