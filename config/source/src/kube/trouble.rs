// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What can go wrong between us and the API server while a kind is read.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use ferrolb_config::ObjectRef;
use ferrolb_config::reason::{Reason, Refusal, Severity};

use super::kind::Kind;

/// Why a kind cannot be read at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The API server does not know the kind.
    NotInstalled,
    /// It knows the kind and refuses us.
    Forbidden(String),
    /// It does not know us: the credentials are wrong or have expired.
    Unauthorized(String),
    /// It is busy.
    Busy(Option<Duration>),
    /// The position that we read from is too old: everything is to be listed again.
    Expired,
    /// It cannot send what is there as the beginning of a watch.
    NoStreaming,
    /// It cannot be reached, or talks nonsense.
    Unreachable(String),
}

impl Trouble {
    /// What `error` means.
    pub(crate) fn of(error: &::kube::Error) -> Self {
        match error {
            ::kube::Error::Api(status) => {
                let wait = status.details.as_ref().map(|details| u64::from(details.retry_after_seconds));
                let wait = wait.filter(|seconds| *seconds > 0).map(Duration::from_secs);
                Self::of_status(status.code, wait, &status.message)
            }
            other => Self::Unreachable(with_causes(other)),
        }
    }

    /// What an answer with that status code means.
    pub(crate) fn of_status(code: u16, wait: Option<Duration>, message: &str) -> Self {
        match code {
            401 => Self::Unauthorized(message.to_owned()),
            403 => Self::Forbidden(message.to_owned()),
            404 => Self::NotInstalled,
            410 => Self::Expired,
            429 => Self::Busy(wait),
            400 | 422 => Self::NoStreaming,
            _ => Self::Unreachable(format!("status {code}: {message}")),
        }
    }

    /// Whether fresh certificates or credentials may help.
    pub(crate) fn may_need_renewal(&self) -> bool {
        matches!(self, Self::Unauthorized(_) | Self::Unreachable(_))
    }

    /// What users are told.
    pub(crate) fn refusal(&self, kind: Kind) -> Option<Refusal> {
        let (reason, message, remedy) = match self {
            Self::NotInstalled if kind.is_own() => (
                Reason::KindNotInstalled,
                format!("the API server does not know the kind {}", kind.name()),
                "Install the CustomResourceDefinitions: ferrolb crds | kubectl apply --server-side -f -."
                    .to_owned(),
            ),
            Self::NotInstalled if kind.is_metallbs() => (
                Reason::KindNotInstalled,
                format!("the API server does not know the kind {}", kind.name()),
                "Install MetalLB's CustomResourceDefinitions, or leave out --read-metallb-objects."
                    .to_owned(),
            ),
            Self::NotInstalled => (
                Reason::KindNotInstalled,
                format!("the API server does not serve {}", kind.plural()),
                "FerroLB needs Kubernetes 1.33 or newer.".to_owned(),
            ),
            Self::Forbidden(message) => (
                Reason::Forbidden,
                format!("may not list and watch {}: {message}", kind.plural()),
                format!("Grant the verbs list and watch on {} to the service account.", kind.plural()),
            ),
            _ => return None,
        };
        Some(Refusal {
            object: Some(ObjectRef::every(kind.name())),
            reason,
            severity: Severity::Error,
            field: None,
            message,
            remedy: Some(remedy),
            location: None,
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled => f.write_str("the API server does not know the kind"),
            Self::Forbidden(why) => write!(f, "the API server refuses it: {why}"),
            Self::Unauthorized(why) => write!(f, "the API server does not accept the credentials: {why}"),
            Self::Busy(_) => f.write_str("the API server is busy"),
            Self::Expired => f.write_str("what was asked for is too old"),
            Self::NoStreaming => f.write_str("the API server does not accept the request"),
            Self::Unreachable(why) => write!(f, "the API server cannot be reached: {why}"),
        }
    }
}

/// The error with everything below it that its text does not hold: "connection refused" stands at the very bottom.
pub(crate) fn with_causes(error: &::kube::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let more = deeper.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = deeper.source();
    }
    text
}
