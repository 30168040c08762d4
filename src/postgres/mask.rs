//! What is selected of a column whose values may not leave: an expression in their place, made on
//! the source's server, and the proof that none of the originals goes along.

use std::collections::HashSet;

use futures_util::StreamExt as _;

use super::PostgresError;
use super::ledger::{identifier, literal};
use super::session::Session;

/// How a column's values are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hidden {
    Null,
    Hash,
    Email,
    Sql(String),
}

impl Hidden {
    /// The expression that stands for a column of that type. `salt` belongs to one clone, and is
    /// kept nowhere.
    pub fn expression(&self, column: &str, type_name: &str, salt: &str) -> String {
        let quoted = identifier(column);
        let hash = format!(
            "encode(sha256(convert_to({} || {quoted}::text, 'UTF8')), 'hex')",
            literal(salt)
        );
        let value = match self {
            Hidden::Null => "NULL".to_owned(),
            Hidden::Hash => format!("left({hash}, 16)"),
            Hidden::Email => format!("left({hash}, 16) || '@masked.invalid'"),
            Hidden::Sql(sql) => return format!("({sql})::{type_name}"),
        };
        match self {
            Hidden::Null => format!("NULL::{type_name}"),
            // Nobody learns of a value that there was none.
            _ => format!("(CASE WHEN {quoted} IS NOT NULL THEN {value} END)::{type_name}"),
        }
    }
}

/// Counts the values of a column, of all its rows, that would leave although they are hidden: a
/// masked value that is the original of any row.
///
/// # Errors
/// What the server says.
pub async fn originals_among(
    session: &Session,
    table: &str,
    column: &str,
    expression: &str,
) -> Result<i64, PostgresError> {
    let quoted = identifier(column);
    let sql = format!(
        "SELECT count(*) FROM (SELECT DISTINCT ({expression})::text AS v FROM ONLY {table}) masked \
         JOIN (SELECT DISTINCT {quoted}::text AS v FROM ONLY {table}) original USING (v)"
    );
    Ok(session.client.query_typed_one(&sql, &[]).await?.get(0))
}

/// Counts the values of a column in the copy that the source's column holds too. Only hashes leave
/// the source, and each side's are counted once.
///
/// # Errors
/// What either server says.
pub async fn originals_arrived(
    source: &Session,
    copy: &Session,
    table: &str,
    column: &str,
) -> Result<i64, PostgresError> {
    let quoted = identifier(column);
    // Half of a hash each: two values that are not the same have the same one as good as never.
    let sql = format!(
        "COPY (SELECT DISTINCT left(encode(sha256(convert_to({quoted}::text, 'UTF8')), 'hex'), 32) \
         FROM ONLY {table} WHERE {quoted} IS NOT NULL) TO STDOUT"
    );
    let mut arrived = HashSet::new();
    let mut rows = std::pin::pin!(copy.client.copy_out(sql.as_str()).await?);
    while let Some(row) = rows.next().await {
        arrived.insert(hash(&row?));
    }
    let mut among = 0;
    if arrived.is_empty() {
        return Ok(among);
    }
    let mut rows = std::pin::pin!(source.client.copy_out(sql.as_str()).await?);
    while let Some(row) = rows.next().await {
        among += i64::from(arrived.contains(&hash(&row?)));
    }
    Ok(among)
}

fn hash(line: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(line).ok()?;
    u128::from_str_radix(text.trim_end(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_an_expression_of_the_columns_own_type() {
        assert_eq!(Hidden::Null.expression("note", "text", "s"), "NULL::text");
        let hash = Hidden::Hash.expression("a\"b", "character varying(40)", "it's");
        assert_eq!(
            hash,
            "(CASE WHEN \"a\"\"b\" IS NOT NULL THEN \
             left(encode(sha256(convert_to('it''s' || \"a\"\"b\"::text, 'UTF8')), 'hex'), 16) \
             END)::character varying(40)"
        );
        assert!(
            Hidden::Email
                .expression("mail", "citext", "s")
                .contains("|| '@masked.invalid'")
        );
        let sql = Hidden::Sql("'x'".into());
        assert_eq!(sql.expression("c", "text", "s"), "('x')::text");
    }
}
