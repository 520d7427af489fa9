// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Why a write was not done, in the words that decide what to do next.

use std::time::Duration;

use ::kube::core::Status;
use http::{HeaderMap, StatusCode, header};
use thiserror::Error;

/// Why a write was not done. Nothing is repeated here: whoever asked decides.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The object has changed since; derive the write anew from a fresh view.
    #[error("the object was changed by somebody else meanwhile")]
    Conflict,
    /// There is no such object, or no such kind.
    #[error("the object does not exist")]
    NotFound,
    /// This process does not lead, or not for certain; nothing was sent.
    #[error("this process does not lead at the moment")]
    NotLeading,
    /// An object of that name exists.
    #[error("an object of that name exists")]
    Exists,
    /// A right is missing, or an admission policy objects.
    #[error("the API server refuses it: {0}")]
    Forbidden(String),
    /// The API server is busy.
    #[error("the API server is busy")]
    TooManyRequests {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The object as it is will never be accepted.
    #[error("the API server does not accept it: {0}")]
    Invalid(String),
    /// The API server cannot be reached or does not work; whether it was done is not known.
    #[error("the API server is not available: {0}")]
    Unavailable(String),
    /// No answer came in time; whether it was done is not known.
    #[error("the API server does not answer")]
    Timeout,
}

impl WriteError {
    /// What an answer that is no success means.
    pub(super) fn of(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let status: Status = serde_json::from_slice(body).unwrap_or_default();
        let message = || match status.message.as_str() {
            "" => String::from_utf8_lossy(body).trim().chars().take(LONGEST_TEXT).collect(),
            message => message.to_owned(),
        };
        match code {
            StatusCode::CONFLICT if status.reason == "AlreadyExists" => Self::Exists,
            StatusCode::CONFLICT => Self::Conflict,
            StatusCode::NOT_FOUND | StatusCode::GONE => Self::NotFound,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Self::Forbidden(message()),
            StatusCode::TOO_MANY_REQUESTS => {
                let details = status.details.as_ref().map(|details| u64::from(details.retry_after_seconds));
                let asked =
                    headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                let seconds = asked.or(details).filter(|seconds| *seconds > 0);
                Self::TooManyRequests { retry_after: seconds.map(Duration::from_secs) }
            }
            code if code.is_client_error() => Self::Invalid(message()),
            code => Self::Unavailable(format!("status {}: {}", code.as_u16(), message())),
        }
    }

    /// The word for it in metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Exists => "exists",
            Self::NotLeading => "not_leading",
            Self::Forbidden(_) => "forbidden",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Invalid(_) => "invalid",
            Self::Unavailable(_) => "unavailable",
            Self::Timeout => "timeout",
        }
    }
}

/// What is quoted of an answer that is no Status, in characters.
const LONGEST_TEXT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, body: &str) -> WriteError {
        WriteError::of(StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn an_answer_is_told_by_its_status_code_and_its_reason() {
        assert_eq!(of(409, r#"{"reason":"AlreadyExists"}"#), WriteError::Exists);
        assert_eq!(of(409, r#"{"reason":"Conflict"}"#), WriteError::Conflict);
        assert_eq!(of(404, ""), WriteError::NotFound);
        assert_eq!(of(403, r#"{"message":"no"}"#), WriteError::Forbidden("no".to_owned()));
        assert_eq!(
            of(422, r#"{"message":"spec.address: bad"}"#),
            WriteError::Invalid("spec.address: bad".to_owned())
        );
        assert!(matches!(of(503, "<html>"), WriteError::Unavailable(text) if text == "status 503: <html>"));
    }

    #[test]
    fn a_busy_server_says_how_long_to_wait_by_header_or_by_body() {
        let mut headers = HeaderMap::new();
        let busy = |headers: &HeaderMap, body: &str| {
            WriteError::of(StatusCode::TOO_MANY_REQUESTS, headers, body.as_bytes())
        };
        assert_eq!(busy(&headers, "garbage"), WriteError::TooManyRequests { retry_after: None });
        let wait = |seconds| WriteError::TooManyRequests { retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(busy(&headers, r#"{"details":{"retryAfterSeconds":2}}"#), wait(2));
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(busy(&headers, r#"{"details":{"retryAfterSeconds":2}}"#), wait(7));
    }
}
