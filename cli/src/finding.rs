// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A refusal as `status` and `validate` show it.

use std::io::{self, Write};

use ferrolb_config::reason::{Refusal, Severity};
use serde::{Deserialize, Serialize};

/// One object, or part of one, that is not used as it stands.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// `error`: not used; `warning`: used, but perhaps not as it was meant.
    pub severity: Weight,
    /// The object, as `Kind name` or `Kind namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub object: Option<String>,
    /// The field, as a path: `spec.addresses[1]`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// The reason, one CamelCase word.
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// What can be done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remedy: Option<String>,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// The line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    /// The column in the line, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<u32>,
}

/// How bad a [`Finding`] is.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Used, but perhaps not as it was meant.
    Warning,
    /// Not used.
    Error,
}

impl From<&Refusal> for Finding {
    fn from(refusal: &Refusal) -> Self {
        let known = |position: u32| (position > 0).then_some(position);
        let place = refusal.location.as_ref();
        Self {
            severity: match refusal.severity {
                Severity::Warning => Weight::Warning,
                Severity::Error => Weight::Error,
            },
            object: refusal.object.as_ref().map(ToString::to_string),
            field: refusal.field.clone(),
            reason: refusal.reason.to_string(),
            message: refusal.message.clone(),
            remedy: refusal.remedy.clone(),
            file: place.map(|place| place.file.display().to_string()),
            line: place.and_then(|place| known(place.line)),
            column: place.and_then(|place| known(place.column)),
        }
    }
}

impl Finding {
    /// Writes the finding for people, in the form that editors and terminals make clickable:
    /// `file:line:column: error: object: field: message [Reason]`, and below it the remedy.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(file) = &self.file {
            write!(out, "{file}:")?;
            for position in [self.line, self.line.and(self.column)].into_iter().flatten() {
                write!(out, "{position}:")?;
            }
            write!(out, " ")?;
        }
        write!(out, "{}: ", self.severity.word())?;
        for part in [&self.object, &self.field].into_iter().flatten() {
            write!(out, "{part}: ")?;
        }
        writeln!(out, "{} [{}]", self.message, self.reason)?;
        match &self.remedy {
            Some(remedy) => writeln!(out, "    {remedy}"),
            None => Ok(()),
        }
    }
}

impl Weight {
    fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_config::ObjectRef;
    use ferrolb_config::reason::{Location, Reason};

    fn refusal() -> Refusal {
        Refusal {
            object: Some(ObjectRef { kind: "AddressPool".into(), namespace: None, name: "lan".into() }),
            reason: Reason::InvalidRange,
            severity: Severity::Error,
            field: Some("spec.addresses[1]".into()),
            message: "\"192.0.2.9-192.0.2.1\" ends before it begins".into(),
            remedy: Some("Write the lower address first.".into()),
            location: Some(Location { file: "pools.yaml".into(), line: 7, column: 5 }),
        }
    }

    fn text(refusal: &Refusal) -> String {
        let mut out = Vec::new();
        Finding::from(refusal).write_text(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_finding_names_place_object_field_reason_and_remedy() {
        assert_eq!(
            text(&refusal()),
            "pools.yaml:7:5: error: AddressPool lan: spec.addresses[1]: \"192.0.2.9-192.0.2.1\" ends before it begins \
             [InvalidRange]\n    Write the lower address first.\n"
        );
    }

    #[test]
    fn an_unknown_place_is_left_out_rather_than_shown_as_zero() {
        let mut refusal = refusal();
        refusal.location = Some(Location { file: "pools.yaml".into(), line: 0, column: 0 });
        assert!(text(&refusal).starts_with("pools.yaml: error: "), "{}", text(&refusal));
        refusal.location = None;
        assert!(text(&refusal).starts_with("error: AddressPool lan: "), "{}", text(&refusal));
    }
}
