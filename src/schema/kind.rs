//! The kinds of objects that a schema is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an object is. The order is the order of every report: what holds others comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Schema,
    Extension,
    Language,
    AccessMethod,
    Collation,
    Enum,
    Domain,
    CompositeType,
    RangeType,
    BaseType,
    ForeignDataWrapper,
    ForeignServer,
    UserMapping,
    Table,
    ForeignTable,
    Column,
    Constraint,
    Index,
    Sequence,
    View,
    MaterializedView,
    Function,
    Procedure,
    Aggregate,
    Trigger,
    Rule,
    Policy,
    EventTrigger,
    Statistics,
    Operator,
    OperatorFamily,
    OperatorClass,
    Cast,
    Conversion,
    Transform,
    TextSearchParser,
    TextSearchTemplate,
    TextSearchDictionary,
    TextSearchConfiguration,
    Publication,
    Subscription,
    DefaultPrivileges,
    RoleMembership,
}

impl Kind {
    /// All kinds, in the order of reports.
    pub const ALL: [Kind; 43] = [
        Kind::Schema,
        Kind::Extension,
        Kind::Language,
        Kind::AccessMethod,
        Kind::Collation,
        Kind::Enum,
        Kind::Domain,
        Kind::CompositeType,
        Kind::RangeType,
        Kind::BaseType,
        Kind::ForeignDataWrapper,
        Kind::ForeignServer,
        Kind::UserMapping,
        Kind::Table,
        Kind::ForeignTable,
        Kind::Column,
        Kind::Constraint,
        Kind::Index,
        Kind::Sequence,
        Kind::View,
        Kind::MaterializedView,
        Kind::Function,
        Kind::Procedure,
        Kind::Aggregate,
        Kind::Trigger,
        Kind::Rule,
        Kind::Policy,
        Kind::EventTrigger,
        Kind::Statistics,
        Kind::Operator,
        Kind::OperatorFamily,
        Kind::OperatorClass,
        Kind::Cast,
        Kind::Conversion,
        Kind::Transform,
        Kind::TextSearchParser,
        Kind::TextSearchTemplate,
        Kind::TextSearchDictionary,
        Kind::TextSearchConfiguration,
        Kind::Publication,
        Kind::Subscription,
        Kind::DefaultPrivileges,
        Kind::RoleMembership,
    ];

    /// The kind's name in rules and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Schema => "schema",
            Kind::Extension => "extension",
            Kind::Language => "language",
            Kind::AccessMethod => "access_method",
            Kind::Collation => "collation",
            Kind::Enum => "enum",
            Kind::Domain => "domain",
            Kind::CompositeType => "composite_type",
            Kind::RangeType => "range_type",
            Kind::BaseType => "base_type",
            Kind::ForeignDataWrapper => "foreign_data_wrapper",
            Kind::ForeignServer => "foreign_server",
            Kind::UserMapping => "user_mapping",
            Kind::Table => "table",
            Kind::ForeignTable => "foreign_table",
            Kind::Column => "column",
            Kind::Constraint => "constraint",
            Kind::Index => "index",
            Kind::Sequence => "sequence",
            Kind::View => "view",
            Kind::MaterializedView => "materialized_view",
            Kind::Function => "function",
            Kind::Procedure => "procedure",
            Kind::Aggregate => "aggregate",
            Kind::Trigger => "trigger",
            Kind::Rule => "rule",
            Kind::Policy => "policy",
            Kind::EventTrigger => "event_trigger",
            Kind::Statistics => "statistics",
            Kind::Operator => "operator",
            Kind::OperatorFamily => "operator_family",
            Kind::OperatorClass => "operator_class",
            Kind::Cast => "cast",
            Kind::Conversion => "conversion",
            Kind::Transform => "transform",
            Kind::TextSearchParser => "text_search_parser",
            Kind::TextSearchTemplate => "text_search_template",
            Kind::TextSearchDictionary => "text_search_dictionary",
            Kind::TextSearchConfiguration => "text_search_configuration",
            Kind::Publication => "publication",
            Kind::Subscription => "subscription",
            Kind::DefaultPrivileges => "default_privileges",
            Kind::RoleMembership => "role_membership",
        }
    }

    /// Reads a kind's name.
    pub fn of_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word().replace('_', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_by_its_word_as_serde_writes_it() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_word(kind.word()), Some(kind));
            assert_eq!(
                serde_json::to_value(kind).unwrap(),
                serde_json::Value::from(kind.word())
            );
        }
        let mut sorted = Kind::ALL;
        sorted.sort();
        assert_eq!(sorted, Kind::ALL);
    }
}
