//! Rules that say which differences do not count. What they ignore stays visible.

use std::collections::BTreeMap;
use std::str::FromStr;

use glob::Pattern;

use super::{Difference, Kind, Object, ObjectId};

/// `KIND:GLOB` or `KIND.PROPERTY:GLOB`; `*` stands for every kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreRule {
    text: String,
    kind: Option<Kind>,
    property: Option<Pattern>,
    name: Pattern,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreRuleError {
    #[error("`{0}` is no rule; write KIND:GLOB, such as table:audit.* or *.owner:*")]
    Shape(String),
    #[error("there is no kind `{found}`; the kinds are: {}", words())]
    Kind { found: String },
    #[error("`{glob}` is no pattern: {reason}")]
    Glob { glob: String, reason: String },
}

fn words() -> String {
    Kind::ALL.map(Kind::word).join(", ")
}

impl FromStr for IgnoreRule {
    type Err = IgnoreRuleError;

    fn from_str(text: &str) -> Result<IgnoreRule, IgnoreRuleError> {
        let (what, glob) = text
            .split_once(':')
            .filter(|(what, glob)| !what.is_empty() && !glob.is_empty())
            .ok_or_else(|| IgnoreRuleError::Shape(text.to_owned()))?;
        let (kind, property) = match what.split_once('.') {
            Some((kind, property)) => (kind, Some(pattern(property)?)),
            None => (what, None),
        };
        let kind = match kind {
            "*" => None,
            word => Some(Kind::of_word(word).ok_or_else(|| IgnoreRuleError::Kind {
                found: word.to_owned(),
            })?),
        };
        Ok(IgnoreRule {
            text: text.to_owned(),
            kind,
            property,
            name: pattern(glob)?,
        })
    }
}

fn pattern(glob: &str) -> Result<Pattern, IgnoreRuleError> {
    Pattern::new(glob).map_err(|error| IgnoreRuleError::Glob {
        glob: glob.to_owned(),
        reason: error.to_string(),
    })
}

impl IgnoreRule {
    /// The rule as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Tells whether the rule ignores a difference, or something that its object is part of.
    pub(super) fn ignores(
        &self,
        difference: &Difference,
        sides: [&BTreeMap<ObjectId, Object>; 2],
    ) -> bool {
        if let Some(property) = &self.property {
            // A rule about a property says nothing of whole objects, nor of what is inside them.
            let named = difference.property.as_deref();
            return named.is_some_and(|named| property.matches(named))
                && self.names(&difference.id());
        }
        let mut next = Some(difference.id());
        while let Some(id) = next {
            if self.names(&id) {
                return true;
            }
            next = sides
                .iter()
                .find_map(|side| side.get(&id))
                .and_then(|object| object.parent.clone());
        }
        false
    }

    /// Tells whether the rule drops an object, or something that it is part of, as a whole.
    pub(super) fn drops(&self, id: &ObjectId, objects: &BTreeMap<ObjectId, Object>) -> bool {
        if self.property.is_some() {
            return false;
        }
        let mut next = Some(id);
        while let Some(id) = next {
            if self.names(id) {
                return true;
            }
            next = objects.get(id).and_then(|object| object.parent.as_ref());
        }
        false
    }

    /// Tells whether the rule leaves one property of an object out.
    pub(super) fn drops_property(&self, id: &ObjectId, name: &str) -> bool {
        let property = self.property.as_ref();
        property.is_some_and(|pattern| pattern.matches(name)) && self.names(id)
    }

    fn names(&self, id: &ObjectId) -> bool {
        self.kind.is_none_or(|kind| kind == id.kind) && self.name.matches(&id.name)
    }
}

/// The places of the differences that one of the rules names.
pub fn matched(
    differences: &[Difference],
    rules: &[IgnoreRule],
    sides: [&BTreeMap<ObjectId, Object>; 2],
) -> Vec<usize> {
    let named = |difference: &Difference| rules.iter().any(|rule| rule.ignores(difference, sides));
    let places = differences.iter().enumerate();
    places
        .filter(|(_, difference)| named(difference))
        .map(|(place, _)| place)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_rule_says_what_is_wrong_with_it() {
        for (text, part) in [
            ("table", "KIND:GLOB"),
            (":x", "KIND:GLOB"),
            ("tabel:x", "there is no kind `tabel`"),
            ("table:[", "is no pattern"),
        ] {
            let error = text.parse::<IgnoreRule>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!("default_privileges:*".parse::<IgnoreRule>().is_ok());
    }
}
