//! Reads `[control]`: the database in which other terminals follow a run.

use std::collections::BTreeMap;

use super::model::Target;
use super::problem::choices;
use super::reader::TableReader;
use super::targets::check_url;

/// Where the control schema of a runbook's runs is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// `env:NAME`, `service:NAME` or a URL without a password.
    pub url: String,
    /// The target whose database it is, if it is one's.
    pub target: Option<String>,
    /// The role that is taken on there.
    pub role: Option<String>,
}

pub(super) fn read_control(
    top: &mut TableReader<'_, '_>,
    targets: &BTreeMap<String, Target>,
) -> Option<Control> {
    let mut reader = top.table("control", "the control schema")?;
    let (target, url) = (reader.string("target"), reader.string("url"));
    let role = reader.string("role").map(|role| role.value);
    let control = match (target, url) {
        (Some(target), None) => {
            let names: Vec<&str> = targets.keys().map(String::as_str).collect();
            let url = targets.get(&target.value).map(|target| target.url.clone());
            if url.is_none() {
                reader.findings.add(
                    target.span.clone(),
                    format!("there is no target `{}`", target.value),
                    "not known",
                    Some(choices(&target.value, &names)),
                );
            }
            Some(Control {
                url: url.unwrap_or_default(),
                target: Some(target.value),
                role,
            })
        }
        (None, Some(url)) => {
            check_url(&url, &reader);
            Some(Control {
                url: url.value,
                target: None,
                role,
            })
        }
        (Some(_), Some(url)) => {
            reader.findings.add(
                url.span.clone(),
                "the control schema is in one database",
                "`target` names one already",
                Some("keep `target` or `url`".into()),
            );
            None
        }
        (None, None) => {
            if !reader.has("target") && !reader.has("url") {
                let help = "write target = \"…\" with a target of this file, or url = \"env:NAME\"";
                reader.missing("target", help);
            }
            None
        }
    };
    reader.finish();
    control
}
