//! The arithmetic that a limit may be written in: `{p95_before} * 1.1`.

use std::collections::BTreeMap;
use std::str::FromStr;

use bigdecimal::{BigDecimal, Zero as _};

use super::Number;

/// Longer than any limit that a person could check.
const LONGEST: usize = 200;
/// More brackets in one another than a person could follow.
const DEEPEST: usize = 16;

/// An expression of numbers, names in braces, `+ - * /` and round brackets.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(BigDecimal),
    Name(String),
    Negated(Box<Node>),
    Two(Box<Node>, char, Box<Node>),
}

/// Why a text is no expression, or an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArithmeticError {
    #[error("`{0}` is no arithmetic; write numbers, {{names}}, + - * / and brackets")]
    Syntax(String),
    #[error("`{{{0}}}` has no value yet")]
    Unknown(String),
    #[error("`{{{name}}}` is `{value}`, which is not a number")]
    NotANumber { name: String, value: String },
    #[error("it divides by zero")]
    DividesByZero,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Expression, ArithmeticError> {
        let refuse = || ArithmeticError::Syntax(text.trim().chars().take(LONGEST).collect());
        if text.len() > LONGEST {
            return Err(refuse());
        }
        let mut parser = Parser {
            rest: text.trim(),
            depth: 0,
        };
        let node = parser.sum().ok_or_else(refuse)?;
        if parser.rest.is_empty() {
            Ok(Expression(node))
        } else {
            Err(refuse())
        }
    }

    /// Computes the value with what the names stand for.
    ///
    /// # Errors
    /// When a name has no value or none that is a number, or something is divided by zero.
    pub fn value(&self, values: &BTreeMap<String, String>) -> Result<Number, ArithmeticError> {
        compute(&self.0, values).map(|decimal| Number::of(&decimal))
    }
}

fn compute(node: &Node, values: &BTreeMap<String, String>) -> Result<BigDecimal, ArithmeticError> {
    Ok(match node {
        Node::Number(number) => number.clone(),
        Node::Negated(inner) => -compute(inner, values)?,
        Node::Name(name) => {
            let value = values
                .get(name)
                .ok_or_else(|| ArithmeticError::Unknown(name.clone()))?;
            let number = value
                .parse::<Number>()
                .map_err(|_| ArithmeticError::NotANumber {
                    name: name.clone(),
                    value: value.chars().take(LONGEST).collect(),
                })?;
            number.decimal().clone()
        }
        Node::Two(left, operator, right) => {
            let (left, right) = (compute(left, values)?, compute(right, values)?);
            match operator {
                '+' => left + right,
                '-' => left - right,
                '*' => left * right,
                _ if right.is_zero() => return Err(ArithmeticError::DividesByZero),
                _ => left / right,
            }
        }
    })
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn sum(&mut self) -> Option<Node> {
        let mut node = self.product()?;
        while let Some(operator) = self.one_of(['+', '-']) {
            node = Node::Two(Box::new(node), operator, Box::new(self.product()?));
        }
        Some(node)
    }

    fn product(&mut self) -> Option<Node> {
        let mut node = self.factor()?;
        while let Some(operator) = self.one_of(['*', '/']) {
            node = Node::Two(Box::new(node), operator, Box::new(self.factor()?));
        }
        Some(node)
    }

    fn factor(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let node = if self.one_of(['-', '-']).is_some() {
            Node::Negated(Box::new(self.factor()?))
        } else if self.one_of(['(', '(']).is_some() {
            let inner = self.sum()?;
            self.one_of([')', ')'])?;
            inner
        } else if let Some(inner) = self.rest.strip_prefix('{') {
            let (name, rest) = inner.split_once('}')?;
            let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            if name.is_empty() || !name.chars().all(valid) {
                return None;
            }
            self.rest = rest.trim_start();
            Node::Name(name.to_owned())
        } else {
            self.number()?
        };
        self.depth -= 1;
        Some(node)
    }

    fn number(&mut self) -> Option<Node> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        let number = BigDecimal::from_str(digits).ok()?;
        self.rest = rest.trim_start();
        Some(Node::Number(number))
    }

    fn one_of(&mut self, wanted: [char; 2]) -> Option<char> {
        let first = self.rest.chars().next().filter(|c| wanted.contains(c))?;
        self.rest = self.rest[first.len_utf8()..].trim_start();
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<String, ArithmeticError> {
        let values = BTreeMap::from([
            ("p95_before".to_owned(), "80".to_owned()),
            ("word".to_owned(), "fast".to_owned()),
        ]);
        Ok(Expression::parse(text)?.value(&values)?.to_string())
    }

    #[test]
    fn products_come_before_sums_and_are_exact() {
        assert_eq!(value("{p95_before} * 1.1").as_deref(), Ok("88"));
        assert_eq!(value("1 + 2 * 3 - 4 / 2").as_deref(), Ok("5"));
        assert_eq!(value("-(1 + 2) * -2").as_deref(), Ok("6"));
        assert_eq!(value("10*1.1").as_deref(), Ok("11"));
        assert_eq!(value("1 / 3").as_deref(), Ok("0.333333333333"));
    }

    #[test]
    fn what_has_no_value_says_why() {
        assert_eq!(value("1 / (2 - 2)"), Err(ArithmeticError::DividesByZero));
        assert_eq!(value("{x}"), Err(ArithmeticError::Unknown("x".into())));
        assert!(matches!(
            value("{word} * 2"),
            Err(ArithmeticError::NotANumber { .. })
        ));
        for text in [
            "", "1 +", "(1", "1)", "2 2", "{a", "{}", "a", "1e5", "**", "1..2",
        ] {
            assert!(
                matches!(Expression::parse(text), Err(ArithmeticError::Syntax(_))),
                "{text}"
            );
        }
        assert!(Expression::parse(&"(".repeat(50)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[-+*/(){}a-z0-9. ]{0,60}") {
            if let Ok(expression) = Expression::parse(&text) {
                let _ = expression.value(&BTreeMap::new());
            }
        }

        #[test]
        fn a_value_that_is_filled_in_is_never_read_as_arithmetic(a in -50i64..50, b in -50i64..50) {
            let values = BTreeMap::from([("a".to_owned(), a.to_string()), ("b".to_owned(), b.to_string())]);
            let got = Expression::parse("{a} - {b} * {a}").unwrap().value(&values).unwrap();
            proptest::prop_assert_eq!(got.to_string(), (a - b * a).to_string());
        }
    }
}
