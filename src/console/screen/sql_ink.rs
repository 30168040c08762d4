//! Colours SQL by PostgreSQL's own tokens.

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

use super::text::{Ink, Span, span};

/// Colours one line of SQL by PostgreSQL's own tokens.
pub(super) fn coloured(line: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut at = 0;
    for token in tokenize(line) {
        let end = at + token.len as usize;
        let Some(text) = line.get(at..end) else {
            break;
        };
        at = end;
        let ink = match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment { .. } => Ink::Muted,
            TokenKind::Literal {
                kind: LiteralKind::Int { .. } | LiteralKind::Numeric { .. },
            } => Ink::Plain,
            TokenKind::Literal { .. } => Ink::Literal,
            TokenKind::Ident if is_keyword(text) => Ink::Word,
            _ => Ink::Plain,
        };
        match spans.last_mut() {
            Some(last) if last.ink == ink => last.text.push_str(text),
            _ => spans.push(span(ink, text)),
        }
    }
    if at < line.len() {
        spans.push(span(Ink::Plain, &line[at..]));
    }
    spans
}

/// The words that carry a statement's structure.
const KEYWORDS: &str = "\
    ADD ALL ALTER ALWAYS AND AS ASC BEGIN BETWEEN BY CASCADE CASE CHECK COLUMN COMMENT \
    COMMIT CONCURRENTLY CONSTRAINT CREATE CURRENT DEFAULT DELETE DESC DISABLE DISTINCT DO \
    DOMAIN DROP EACH ELSE ENABLE END EXECUTE EXISTS EXTENSION FALSE FOR FORCE FOREIGN FROM \
    FUNCTION GENERATED GRANT GROUP HAVING IDENTITY IF IN INDEX INNER INSERT INTO IS JOIN \
    KEY LANGUAGE LEFT LEVEL LIKE LIMIT MATERIALIZED NOT NULL ON OR ORDER PARTITION POLICY \
    PRIMARY REFERENCES REPLACE RETURNING REVOKE ROLE ROW SCHEMA SECURITY SELECT SEQUENCE \
    SET TABLE THEN TO TRIGGER TRUE TYPE UNION UNIQUE UPDATE USING VALUES VIEW WHEN WHERE \
    WITH WITHOUT";

fn is_keyword(word: &str) -> bool {
    KEYWORDS
        .split(' ')
        .any(|keyword| keyword.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_is_coloured_and_whole() {
        let line = "ALTER TABLE a ADD x text DEFAULT 'it''s' -- why";
        let spans = coloured(line);
        let text: String = spans.iter().map(|span| span.text.as_str()).collect();
        assert_eq!(text, line);
        assert!(spans.contains(&span(Ink::Literal, "'it''s'")));
        assert!(spans.contains(&span(Ink::Muted, "-- why")));
    }
}
