//! A comparison written in a runbook, such as `">= 5"`, and its exact evaluation.

use std::fmt;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde::{Deserialize, Serialize};

/// The relation between what is seen and what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
        }
    }

    pub(super) fn accepts(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Operator::Equal => ordering.is_eq(),
            Operator::NotEqual => ordering.is_ne(),
            Operator::Less => ordering.is_lt(),
            Operator::LessOrEqual => ordering.is_le(),
            Operator::Greater => ordering.is_gt(),
            Operator::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// An operator and the value to compare with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Comparison {
    pub operator: Operator,
    /// The right-hand side as written; may hold `{placeholders}` until they are filled in.
    pub value: String,
}

/// Why a text is no comparison.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a comparison; write an operator and a value, such as \"= 0\" or \">= 5\" (operators: = != < <= > >=)"
)]
pub struct ComparisonError(pub String);

impl Comparison {
    /// Tells whether `seen` satisfies the comparison.
    ///
    /// Two numbers are compared as exact decimals; other values only for equality. `None` means
    /// that the two cannot be compared, which is never a pass: NaN, or text where an order is asked.
    pub fn holds(&self, seen: &str) -> Option<bool> {
        let seen = seen.trim();
        if seen.eq_ignore_ascii_case("nan") {
            return None;
        }
        let expected = self.value.trim();
        match (BigDecimal::from_str(seen), BigDecimal::from_str(expected)) {
            (Ok(left), Ok(right)) => Some(self.operator.accepts(left.cmp(&right))),
            _ => match self.operator {
                Operator::Equal => Some(same_text(seen, expected)),
                Operator::NotEqual => Some(!same_text(seen, expected)),
                _ => None,
            },
        }
    }

    /// The comparison "equal to `count`", as a bare number in a runbook means it.
    pub fn equal_to(count: i64) -> Self {
        Comparison {
            operator: Operator::Equal,
            value: count.to_string(),
        }
    }

    /// Tells whether the value is a number already, without placeholders.
    pub fn is_number(&self) -> bool {
        BigDecimal::from_str(self.value.trim()).is_ok()
    }
}

/// Booleans are written `t` by the server and `true` by people.
fn same_text(seen: &str, expected: &str) -> bool {
    seen == expected
        || matches!(
            (seen, expected),
            ("t", "true") | ("true", "t") | ("f", "false") | ("false", "f")
        )
}

impl FromStr for Comparison {
    type Err = ComparisonError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        // Longer symbols first, so that `<=` is not read as `<`.
        const ALL: [Operator; 6] = [
            Operator::NotEqual,
            Operator::LessOrEqual,
            Operator::GreaterOrEqual,
            Operator::Equal,
            Operator::Less,
            Operator::Greater,
        ];
        for operator in ALL {
            if let Some(rest) = text.strip_prefix(operator.symbol()) {
                let value = rest.trim();
                if value.is_empty() || value.starts_with(['=', '<', '>']) {
                    break;
                }
                return Ok(Comparison {
                    operator,
                    value: value.to_owned(),
                });
            }
        }
        Err(ComparisonError(text.to_owned()))
    }
}

impl TryFrom<String> for Comparison {
    type Error = ComparisonError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Comparison> for String {
    fn from(comparison: Comparison) -> String {
        comparison.to_string()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator.symbol(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(comparison: &str, seen: &str) -> Option<bool> {
        comparison.parse::<Comparison>().unwrap().holds(seen)
    }

    #[test]
    fn numbers_are_compared_exactly() {
        assert_eq!(holds("= 9007199254740993", "9007199254740992"), Some(false));
        assert_eq!(holds("<= 0.5", "0.50"), Some(true));
        assert_eq!(holds("> -1", "0"), Some(true));
        assert_eq!(holds("!= 3", "3.0"), Some(false));
    }

    #[test]
    fn what_cannot_be_compared_is_neither_true_nor_false() {
        assert_eq!(holds("<= 5", "NaN"), None);
        assert_eq!(holds("= 5", "NaN"), None);
        assert_eq!(holds("< 5", "many"), None);
    }

    #[test]
    fn text_is_compared_for_equality() {
        assert_eq!(holds("= on", "on"), Some(true));
        assert_eq!(holds("!= on", "off"), Some(true));
        assert_eq!(holds("= true", "t"), Some(true));
    }

    #[test]
    fn broken_comparisons_are_refused() {
        for text in ["", "5", "=", "== 5", "=> 5", "<> 3", "about 5"] {
            assert!(text.parse::<Comparison>().is_err(), "{text}");
        }
    }
}
