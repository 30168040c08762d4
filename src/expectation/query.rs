//! What a query is expected to answer, what it answered, and the verdict.

use serde::{Deserialize, Serialize};

use super::{Comparison, Finding};

/// What the runbook demands of a query. Every part that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueryExpectation {
    /// The number of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Comparison>,
    /// The first column of the only row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Comparison>,
    /// The whole result, in order, every value as text and NULL as `NULL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Vec<Vec<String>>>,
    /// The error that must come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ExpectedError>,
}

/// An error that a statement must raise to pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedError {
    /// Five characters, such as `42501`.
    pub sqlstate: String,
    /// The server's C function, which tells a missing grant (`aclcheck_error`) from a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routine: Option<String>,
}

/// A result set, cleaned and bounded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Table {
    pub columns: Vec<String>,
    /// At most as many rows as the gate keeps; NULL is `None`.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many rows the server sent.
    pub total: u64,
}

/// An error as the server reported it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorSeen {
    pub sqlstate: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routine: Option<String>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Rows(Table),
    Error(ErrorSeen),
}

impl QueryExpectation {
    /// Judges an answer. Another error than the expected one is `errored`, not `failed`: it says
    /// nothing about what was asked.
    pub fn judge(&self, answer: &Answer) -> Finding {
        match (answer, &self.error) {
            (Answer::Error(seen), Some(expected)) => expected.judge(seen),
            (Answer::Error(seen), None) => Finding::errored(format!(
                "the query could not be answered: {} ({})",
                seen.message, seen.sqlstate
            ))
            .because(error_lines(seen))
            .can("mend the query or the database, then retry this gate"),
            (Answer::Rows(table), Some(expected)) => Finding::failed(format!(
                "the statement succeeded ({}), but error {} was expected",
                rows_word(table.total),
                expected.sqlstate
            ))
            .because("what must be forbidden is allowed".to_owned())
            .can("take the privilege away, then retry this gate"),
            (Answer::Rows(table), None) => self.judge_table(table),
        }
    }

    fn judge_table(&self, table: &Table) -> Finding {
        let mut findings = Vec::new();
        if let Some(rows) = &self.rows {
            findings.push(judge_rows(rows, table));
        }
        if let Some(value) = &self.value {
            findings.push(judge_value(value, table));
        }
        if let Some(expected) = &self.table {
            findings.push(judge_cells(expected, table));
        }
        Finding::worst(findings)
            .unwrap_or_else(|| Finding::inconclusive("nothing was expected of this query"))
    }
}

impl ExpectedError {
    fn judge(&self, seen: &ErrorSeen) -> Finding {
        let same_routine = match (&self.routine, &seen.routine) {
            (None, _) => true,
            (Some(expected), Some(seen)) => expected == seen,
            (Some(_), None) => false,
        };
        if seen.sqlstate == self.sqlstate && same_routine {
            return Finding::passed(format!(
                "refused as expected: {} ({})",
                seen.message, seen.sqlstate
            ));
        }
        let wanted = match &self.routine {
            Some(routine) => format!("{} from {routine}", self.sqlstate),
            None => self.sqlstate.clone(),
        };
        Finding::errored(format!(
            "error {} was expected, but the server said {}: {}",
            wanted, seen.sqlstate, seen.message
        ))
        .because(error_lines(seen))
        .can("another error proves nothing: mend what it names, then retry this gate")
    }
}

fn judge_rows(rows: &Comparison, table: &Table) -> Finding {
    let said = rows_word(table.total);
    match rows.holds(&table.total.to_string()) {
        Some(true) => Finding::passed(format!("{said}, as expected ({rows})")),
        Some(false) => Finding::failed(format!("{said}, expected {rows}"))
            .because(format!("the query returned {said}"))
            .can("look at the rows below, mend what they show, then retry this gate"),
        None => Finding::errored(format!("{said} cannot be compared with `{rows}`")),
    }
}

fn judge_value(value: &Comparison, table: &Table) -> Finding {
    if table.total > 1 {
        return Finding::errored(format!(
            "one row was expected for the value, {} came",
            rows_word(table.total)
        ))
        .can("write a query that returns one row");
    }
    let cell = table.rows.first().and_then(|row| row.first());
    match cell {
        None => Finding::inconclusive(format!(
            "no row, so there is no value to compare with {value}"
        ))
        .because("no data is never a pass")
        .can("find out why there is no row, then retry this gate"),
        Some(None) => Finding::inconclusive(format!("the value is NULL, expected {value}"))
            .because("no data is never a pass")
            .can("find out why there is no value, then retry this gate"),
        Some(Some(seen)) => match value.holds(seen) {
            Some(true) => Finding::passed(format!("{seen}, as expected ({value})")),
            Some(false) => Finding::failed(format!("the value is {seen}, expected {value}"))
                .because(format!("the query returned {seen}"))
                .can("mend what the value shows, then retry this gate"),
            None => Finding::inconclusive(format!("{seen} cannot be compared with `{value}`")),
        },
    }
}

fn judge_cells(expected: &[Vec<String>], table: &Table) -> Finding {
    if table.total == 0 && !expected.is_empty() {
        return Finding::inconclusive(format!("no rows, expected {}", expected.len()))
            .because("no data is never a pass")
            .can("find out why there are no rows, then retry this gate");
    }
    let seen: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| {
            row.iter()
                .map(|cell| cell.clone().unwrap_or_else(|| "NULL".to_owned()))
                .collect()
        })
        .collect();
    let mut finding = Finding::failed(format!(
        "the result differs from the expected table ({}, expected {})",
        rows_word(table.total),
        expected.len()
    ));
    for (index, row) in expected.iter().enumerate() {
        match seen.get(index) {
            Some(found) if found == row => {}
            Some(found) => {
                // What was found stands in the evidence; a finding goes into the journal and further.
                let differs = |(column, name): (usize, &String)| {
                    (found.get(column) != row.get(column)).then(|| format!("`{name}`"))
                };
                let columns = table.columns.iter().enumerate().filter_map(differs);
                let columns: Vec<String> = columns.collect();
                let columns = match columns.is_empty() {
                    true => "the number of its columns".to_owned(),
                    false => columns.join(", "),
                };
                finding = finding.because(format!(
                    "row {}: {columns} differs from {}, which was expected",
                    index + 1,
                    row.join(" | ")
                ));
            }
            None => {
                finding =
                    finding.because(format!("row {} is missing: {}", index + 1, row.join(" | ")));
            }
        }
    }
    if seen.len() > expected.len() {
        let (first, last) = (expected.len() + 1, seen.len());
        finding = finding.because(match first == last {
            true => format!("row {first} is extra"),
            false => format!("rows {first} to {last} are extra"),
        });
    }
    if finding.caused_by.is_empty() && table.total == expected.len() as u64 {
        return Finding::passed(format!("{} as expected", rows_word(table.total)));
    }
    finding.can("mend what differs, then retry this gate")
}

fn rows_word(total: u64) -> String {
    match total {
        1 => "1 row".to_owned(),
        n => format!("{n} rows"),
    }
}

fn error_lines(seen: &ErrorSeen) -> String {
    let mut text = format!("SQLSTATE {}: {}", seen.sqlstate, seen.message);
    for (name, part) in [("detail", &seen.detail), ("hint", &seen.hint)] {
        if let Some(part) = part {
            text.push_str(&format!("; {name}: {part}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn table(rows: &[&[Option<&str>]]) -> Answer {
        Answer::Rows(Table {
            columns: vec!["c".into()],
            rows: rows
                .iter()
                .map(|r| r.iter().map(|c| c.map(str::to_owned)).collect())
                .collect(),
            total: rows.len() as u64,
        })
    }

    fn error(sqlstate: &str, routine: &str) -> Answer {
        Answer::Error(ErrorSeen {
            sqlstate: sqlstate.into(),
            message: "permission denied".into(),
            detail: None,
            hint: None,
            routine: Some(routine.into()),
        })
    }

    fn value(text: &str) -> QueryExpectation {
        QueryExpectation {
            value: Some(text.parse().unwrap()),
            ..Default::default()
        }
    }

    #[test]
    fn no_data_is_inconclusive() {
        for answer in [table(&[]), table(&[&[None]]), table(&[&[Some("NaN")]])] {
            assert_eq!(value("= 0").judge(&answer).verdict, Verdict::Inconclusive);
        }
    }

    #[test]
    fn values_pass_and_fail() {
        assert_eq!(
            value("= 0").judge(&table(&[&[Some("0")]])).verdict,
            Verdict::Passed
        );
        assert_eq!(
            value("= 0").judge(&table(&[&[Some("2")]])).verdict,
            Verdict::Failed
        );
    }

    #[test]
    fn an_expected_error_is_told_by_state_and_routine() {
        let wanted = QueryExpectation {
            error: Some(ExpectedError {
                sqlstate: "42501".into(),
                routine: Some("aclcheck_error".into()),
            }),
            ..Default::default()
        };
        let verdict = |answer| wanted.judge(&answer).verdict;
        assert_eq!(verdict(error("42501", "aclcheck_error")), Verdict::Passed);
        assert_eq!(
            verdict(error("42501", "ExecWithCheckOptions")),
            Verdict::Errored
        );
        assert_eq!(verdict(error("42P01", "parserOpenTable")), Verdict::Errored);
        assert_eq!(verdict(table(&[&[Some("7")]])), Verdict::Failed);
    }

    #[test]
    fn a_table_is_compared_cell_by_cell() {
        let wanted = QueryExpectation {
            table: Some(vec![vec!["eng".into()], vec!["NULL".into()]]),
            ..Default::default()
        };
        assert_eq!(
            wanted.judge(&table(&[&[Some("eng")], &[None]])).verdict,
            Verdict::Passed
        );
        let finding = wanted.judge(&table(&[&[Some("vh")]]));
        assert_eq!(finding.verdict, Verdict::Failed);
        assert_eq!(finding.caused_by.len(), 2);
        assert_eq!(wanted.judge(&table(&[])).verdict, Verdict::Inconclusive);
    }

    proptest::proptest! {
        #[test]
        fn only_rows_that_satisfy_everything_pass(total in 0u64..6, limit in 0i64..6) {
            let wanted = QueryExpectation {
                rows: Some(Comparison { operator: super::super::Operator::LessOrEqual, value: limit.to_string() }),
                ..Default::default()
            };
            let answer = Answer::Rows(Table { columns: vec![], rows: vec![], total });
            let passed = wanted.judge(&answer).verdict == Verdict::Passed;
            proptest::prop_assert_eq!(passed, total as i64 <= limit);
        }
    }
}
