//! How a server writes a definition that it is given.
//!
//! A server's own text of a definition, given back to it, is not always written the same again: a
//! dump that was restored differs from its origin as text and in nothing else. Each text is made
//! beside what is there, under a name of its own, and read as every schema is read.

use super::catalog;
use super::ledger::identifier;
use super::session::Session;
use crate::schema::{Kind, Object, ObjectId, Snapshot};
use crate::sql::Made;

/// No name of a user's.
const NAME: &str = "stagegate rewritten";

/// Nothing of the schema's own may run: no check of a function's body, and no event trigger, which
/// the session has seen to.
const BEGIN: &str = "BEGIN; SET LOCAL search_path = pg_catalog; \
     SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = error";

/// A text that may be given to a server, of which property of what.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub id: &'a ObjectId,
    /// As the server's own schema has it.
    pub object: &'a Object,
    pub property: &'a str,
    pub text: &'a str,
}

/// What is run, and where the answer then stands.
struct Making {
    /// Each of them holds text from elsewhere and is one statement of its kind, or is not run.
    sql: Vec<(Made, String)>,
    made: ObjectId,
    property: &'static str,
    /// The name that the answer holds, and the one that it would hold.
    renamed: Option<[String; 2]>,
}

/// Tells whether texts of this property can be given to a server.
///
/// Bounds of partitions hold constants only, which are written the same again.
pub fn can_be_asked(kind: Kind, property: &str) -> bool {
    matches!(
        (kind, property),
        (
            Kind::Constraint
                | Kind::View
                | Kind::MaterializedView
                | Kind::Index
                | Kind::Rule
                | Kind::Trigger
                | Kind::Statistics,
            "definition"
        ) | (Kind::Column, "default" | "generated")
            | (Kind::Domain, "default")
            | (Kind::Policy, "using" | "check")
            | (Kind::Function | Kind::Procedure, "body" | "arguments")
            | (Kind::Table, "partition key")
    )
}

/// Makes all of them in one transaction that is rolled back, and reads how each is written then.
/// None for a text that the server does not take.
pub async fn rewritten(session: &Session, asked: &[Asked<'_>]) -> Vec<Option<String>> {
    let nothing = vec![None; asked.len()];
    if session.client.batch_execute(BEGIN).await.is_err() {
        return nothing;
    }
    let mut makings = Vec::new();
    for (index, asked) in asked.iter().enumerate() {
        let making = making(asked, &format!("{NAME} {index}"));
        makings.push(match making {
            Some(making) if takes(session, &making.sql).await => Some(making),
            _ => None,
        });
    }
    let read = catalog::read_within(session).await;
    let ended = session.client.batch_execute("ROLLBACK").await;
    let (Ok(snapshot), Ok(())) = (read, ended) else {
        return nothing;
    };
    let answer = |making: &Option<Making>| answer(&snapshot, making.as_ref()?);
    makings.iter().map(answer).collect()
}

/// Text of a snapshot or a database is anybody's: it is given to a server only as the one statement
/// that it should be, and the server is asked to take no more than one.
async fn takes(session: &Session, statements: &[(Made, String)]) -> bool {
    if !statements.iter().all(|(kind, sql)| kind.is_one(sql)) {
        return false;
    }
    let client = &session.client;
    if client.batch_execute("SAVEPOINT making").await.is_err() {
        return false;
    }
    let mut taken = true;
    for (_, sql) in statements {
        taken = taken && client.execute(sql, &[]).await.is_ok();
    }
    let after = match taken {
        true => "RELEASE making",
        false => "ROLLBACK TO making; RELEASE making",
    };
    client.batch_execute(after).await.is_ok() && taken
}

fn answer(snapshot: &Snapshot, making: &Making) -> Option<String> {
    let object = snapshot.objects.get(&making.made)?;
    let text = object.properties.get(making.property)?;
    Some(match &making.renamed {
        Some([is, would_be]) => text.replace(is, would_be),
        None => text.clone(),
    })
}

fn making(asked: &Asked<'_>, name: &str) -> Option<Making> {
    let name = identifier(name);
    let (schema, own) = split(&asked.id.name)?;
    let made = |kind, name: String| ObjectId::new(kind, name);
    let beside = format!("{schema}.{name}");
    let text = asked.text.trim_end_matches(';');
    let (kind, sql, made, property) = match (asked.id.kind, asked.property) {
        (Kind::Constraint, _) => {
            let parent = asked.object.parent.as_ref()?;
            let sql = constraint(parent, &name, text)?;
            let made = made(Kind::Constraint, format!("{}.{name}", parent.name));
            let kind = match parent.kind {
                Kind::Domain => Made::DomainAltered,
                _ => Made::TableAltered,
            };
            (kind, sql, made, "definition")
        }
        (Kind::View | Kind::MaterializedView, _) => (
            Made::View,
            format!("CREATE VIEW {beside} AS {text}"),
            made(Kind::View, beside),
            "definition",
        ),
        (Kind::Column, property) => return column(asked, &beside, property, text),
        (Kind::Domain, _) => {
            let base = asked.object.properties.get("type")?;
            let sql = format!("CREATE DOMAIN {beside} AS {base} DEFAULT {text}");
            (Made::Domain, sql, made(Kind::Domain, beside), "default")
        }
        (Kind::Policy, property) => {
            let table = &asked.object.parent.as_ref()?.name;
            let (clause, property) = match property {
                "using" => ("USING", "using"),
                _ => ("WITH CHECK", "check"),
            };
            let sql = format!("CREATE POLICY {name} ON {table} {clause} ({text})");
            let made = made(Kind::Policy, format!("{table}.{name}"));
            (Made::Policy, sql, made, property)
        }
        (Kind::Table, _) => (
            Made::Table,
            format!(
                "CREATE TABLE {beside} (LIKE {}) PARTITION BY {text}",
                asked.id.name
            ),
            made(Kind::Table, beside),
            "partition key",
        ),
        (Kind::Function | Kind::Procedure, property) => {
            return routine(asked, &beside, own, property, text);
        }
        _ => return renamed(asked, &name, schema, text),
    };
    Some(Making {
        sql: vec![(kind, sql)],
        made,
        property,
        renamed: None,
    })
}

/// A check is not tried on rows; where an operator must not meet itself, an index is made.
fn constraint(parent: &ObjectId, name: &str, text: &str) -> Option<String> {
    let what = match parent.kind {
        Kind::Domain => "DOMAIN",
        _ => "TABLE ONLY",
    };
    let after = match text.split_whitespace().next()? {
        "CHECK" => " NOT VALID",
        "EXCLUDE" => "",
        _ => return None,
    };
    let table = &parent.name;
    Some(format!(
        "ALTER {what} {table} ADD CONSTRAINT {name} {text}{after}"
    ))
}

/// A column is made in a table like its own: a partition takes no column, and others would inherit
/// it.
fn column(asked: &Asked<'_>, beside: &str, property: &str, text: &str) -> Option<Making> {
    let table = &asked.object.parent.as_ref()?.name;
    let base = asked.object.properties.get("type")?;
    let (clause, property) = if property == "default" {
        (format!("DEFAULT {text}"), "default")
    } else {
        let (how, text) = text.split_once(": ")?;
        let clause = format!("GENERATED ALWAYS AS ({text}) {}", how.to_uppercase());
        (clause, "generated")
    };
    let column = identifier(NAME);
    Some(Making {
        sql: vec![
            (Made::Table, format!("CREATE TABLE {beside} (LIKE {table})")),
            (
                Made::TableAltered,
                format!("ALTER TABLE {beside} ADD COLUMN {column} {base} {clause}"),
            ),
        ],
        made: ObjectId::new(Kind::Column, format!("{beside}.{column}")),
        property,
        renamed: None,
    })
}

/// A body of SQL that was parsed, or the defaults of arguments; other bodies are mere text.
fn routine(
    asked: &Asked<'_>,
    beside: &str,
    own: &str,
    property: &str,
    text: &str,
) -> Option<Making> {
    let types = own.get(own.find('(')?..)?;
    let properties = &asked.object.properties;
    let (word, returns) = match asked.id.kind {
        Kind::Procedure => ("PROCEDURE", String::new()),
        _ => (
            "FUNCTION",
            format!(" RETURNS {}", properties.get("returns")?),
        ),
    };
    let arguments = properties.get("arguments").map_or("", String::as_str);
    let (arguments, body, property) = match property {
        "arguments" => (text, "AS ''", "arguments"),
        _ if text.starts_with("BEGIN ATOMIC") || text.starts_with("RETURN") => {
            (arguments, text, "body")
        }
        _ => return None,
    };
    Some(Making {
        sql: vec![(
            Made::Routine,
            format!("CREATE {word} {beside}({arguments}){returns} LANGUAGE sql {body}"),
        )],
        made: ObjectId::new(asked.id.kind, format!("{beside}{types}")),
        property,
        renamed: None,
    })
}

/// Texts that are whole statements: the name in them is replaced by another.
fn renamed(asked: &Asked<'_>, name: &str, schema: &str, text: &str) -> Option<Making> {
    let (_, own) = split(&asked.id.name)?;
    let beside = format!("{schema}.{name}");
    let on = asked.object.parent.as_ref()?;
    let inside = own_name(on, &asked.id.name).unwrap_or(own);
    let (kind, before, is, would_be, made) = match asked.id.kind {
        Kind::Index => (Made::Index, " INDEX ", name, own, beside.clone()),
        Kind::Statistics => (
            Made::Statistics,
            " STATISTICS ",
            beside.as_str(),
            asked.id.name.as_str(),
            beside.clone(),
        ),
        Kind::Trigger => (
            Made::Trigger,
            " TRIGGER ",
            name,
            inside,
            format!("{}.{name}", on.name),
        ),
        Kind::Rule => (
            Made::Rule,
            " RULE ",
            name,
            inside,
            format!("{}.{name}", on.name),
        ),
        _ => return None,
    };
    let [is, would_be] = [is, would_be].map(|name| format!("{before}{name} "));
    if !text.contains(&would_be) {
        return None;
    }
    Some(Making {
        sql: vec![(kind, text.replacen(&would_be, &is, 1))],
        made: ObjectId::new(asked.id.kind, made),
        property: "definition",
        renamed: Some([is, would_be]),
    })
}

/// The name of what lies on a table, without the table's.
fn own_name<'a>(on: &ObjectId, name: &'a str) -> Option<&'a str> {
    name.strip_prefix(on.name.as_str())?.strip_prefix('.')
}

/// Splits a qualified name after its schema.
fn split(name: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let dot = name.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '.' && !quoted
    });
    let (at, _) = dot?;
    Some((name.get(..at)?, name.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_split_off_a_name_even_where_it_holds_a_dot() {
        assert_eq!(split("a.b.c"), Some(("a", "b.c")));
        assert_eq!(
            split("\"a.\"\"b\".\"c.d\""),
            Some(("\"a.\"\"b\"", "\"c.d\""))
        );
        assert_eq!(split("far"), None);
    }
}
