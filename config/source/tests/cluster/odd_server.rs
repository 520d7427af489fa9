// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! An API server that misbehaves: refuses, is busy, talks nonsense, stops in the middle, or hangs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use ferrolb_source::kube::{Cluster, Interest, KubeOptions, WriteError};
use futures::{StreamExt, stream};
use tokio::net::TcpListener;

use crate::stage::{PATIENCE, virtual_ip};

/// One odd answer.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// A status code with a Status, and what it asks to wait.
    Refusal(u16, &'static str, Option<u64>),
    /// Success, with this text.
    Text(&'static str),
    /// An initial list that ends before it is whole.
    HalfAList,
    /// An event that says that the position is too old.
    Gone,
    /// Nothing, ever.
    Silence,
    /// As it should be: an empty list, then nothing new.
    Good,
}

/// What was asked for, by path, and how often.
type Asked = Arc<Mutex<BTreeMap<String, usize>>>;

/// Serves `answer` to the n-th request for a path, and counts from 0.
async fn serve(
    answer: impl Fn(&Method, &str, usize) -> Answer + Send + Sync + 'static,
) -> Result<(SocketAddr, Asked)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let asked = Asked::default();
    let (answer, counting) = (Arc::new(answer), Arc::clone(&asked));
    let router = Router::new().fallback(move |request: Request<Body>| {
        let (answer, counting) = (Arc::clone(&answer), Arc::clone(&counting));
        async move {
            let path = request.uri().path().to_owned();
            let count = {
                let mut counting = counting.lock().unwrap_or_else(PoisonError::into_inner);
                let count = counting.entry(path.clone()).or_default();
                *count += 1;
                *count - 1
            };
            respond(answer(request.method(), &path, count)).await
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((address, asked))
}

async fn respond(answer: Answer) -> Response {
    let lines = |lines: Vec<String>, goes_on: bool| {
        let sent = stream::iter(lines.into_iter().map(Ok::<_, Infallible>));
        if goes_on { Body::from_stream(sent.chain(stream::pending())) } else { Body::from_stream(sent) }
    };
    let object =
        r#"{"type":"ADDED","object":{"metadata":{"name":"x","namespace":"x","resourceVersion":"5"}}}"#;
    let end = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
    let (status, body) = match answer {
        Answer::Silence => return std::future::pending().await,
        Answer::Refusal(status, text, retry_after) => {
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            return response;
        }
        Answer::Text(text) => (StatusCode::OK, Body::from(text)),
        Answer::HalfAList => (StatusCode::OK, lines(vec![format!("{object}\n")], false)),
        Answer::Gone => {
            let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}"#;
            (StatusCode::OK, lines(vec![format!("{gone}\n")], false))
        }
        Answer::Good => (StatusCode::OK, lines(vec![format!("{end}\n")], true)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// A cluster whose API server is at `address`.
async fn connect(address: SocketAddr) -> Result<(Cluster, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("kubeconfig");
    std::fs::write(
        &path,
        format!(
            "{{apiVersion: v1, kind: Config, current-context: a, users: [{{name: a, user: {{}}}}], \
             clusters: [{{name: a, cluster: {{server: 'http://{address}'}}}}], \
             contexts: [{{name: a, context: {{cluster: a, user: a}}}}]}}"
        ),
    )?;
    let options = KubeOptions { kubeconfig: Some(path), ..KubeOptions::default() };
    Ok((Cluster::connect(options).await?, folder))
}

#[tokio::test]
async fn a_watch_gets_over_every_odd_answer_and_the_first_view_is_whole() -> Result<()> {
    let odd = [
        Answer::Refusal(500, "no", None),
        Answer::Text("garbage\n"),
        Answer::Refusal(429, "{}", Some(1)),
        Answer::HalfAList,
        Answer::Text("{\"type\":\"DANCE\",\"object\":{}}\n"),
        Answer::Gone,
        Answer::Text(""),
        Answer::Refusal(401, "who?", None),
    ];
    let (address, asked) = serve(move |_, path, count| {
        // Each kind meets others of them: the waits in between add up.
        if count < 4 { odd[(path.len() + count) % odd.len()] } else { Answer::Good }
    })
    .await?;
    let (cluster, _folder) = connect(address).await?;
    let objects = tokio::time::timeout(PATIENCE * 3, cluster.watch(Interest::Controller)).await??;
    let view = objects.borrow().clone();
    assert!(view.freshness.unknown.is_empty() && view.services.is_empty(), "half a list is none: {view:?}");
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(asked.values().all(|count| *count < 20), "no hot loop: {asked:?}");
    Ok(())
}

#[tokio::test]
async fn an_api_server_without_streaming_is_asked_for_pages() -> Result<()> {
    let page =
        r#"{"metadata":{"resourceVersion":"9","continue":"more"},"items":[{"metadata":{"name":"one"}}]}"#;
    let last = r#"{"metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"two"}}]}"#;
    let unsupported = r#"{"kind":"Status","code":422,"message":"sendInitialEvents is forbidden"}"#;
    let (address, _) = serve(move |_, path, count| match (path, count) {
        (_, 0) => Answer::Refusal(422, unsupported, None),
        ("/api/v1/namespaces", 1) => Answer::Text(page),
        ("/api/v1/namespaces", 2) => Answer::Text(last),
        (_, 1) => Answer::Text("{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":null}"),
        _ => Answer::Good,
    })
    .await?;
    let (cluster, _folder) = connect(address).await?;
    let objects = tokio::time::timeout(PATIENCE, cluster.watch(Interest::Controller)).await??;
    let names: Vec<String> = objects.borrow().namespaces.keys().cloned().collect();
    assert_eq!(names, ["one", "two"]);
    Ok(())
}

#[tokio::test]
async fn who_asks_once_comes_back_when_a_busy_server_says_so_and_gives_up_in_the_end() -> Result<()> {
    let patience = r#"{"kind":"Status","message":"storage is (re)initializing","details":{"retryAfterSeconds":1},"code":429}"#;
    let page = r#"{"metadata":{"resourceVersion":"9"},"items":[]}"#;
    for (refusals, ends) in [(2, true), (usize::MAX, false)] {
        let busy = Answer::Refusal(429, patience, Some(1));
        let (address, asked) =
            serve(move |_, _, count| if count < refusals { busy } else { Answer::Text(page) }).await?;
        let (cluster, _folder) = connect(address).await?;
        let read = tokio::time::timeout(PATIENCE, cluster.read(&Interest::Controller)).await?;
        assert_eq!(read.is_ok(), ends, "{:?}", read.err());
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(asked.values().all(|count| (3..10).contains(count)), "{asked:?}");
    }
    Ok(())
}

#[tokio::test]
async fn every_odd_answer_to_a_write_is_told_apart() -> Result<()> {
    let exists = r#"{"kind":"Status","reason":"AlreadyExists","code":409}"#;
    let invalid = r#"{"kind":"Status","reason":"Invalid","message":"spec.address: no","code":422}"#;
    let unavailable = |text: &str| WriteError::Unavailable(text.to_owned());
    let table = [
        (Answer::Refusal(409, exists, None), WriteError::Exists),
        (Answer::Refusal(409, "{}", None), WriteError::Conflict),
        (
            Answer::Refusal(429, "{}", Some(3)),
            WriteError::TooManyRequests { retry_after: Some(Duration::from_secs(3)) },
        ),
        (Answer::Refusal(500, "boom", None), unavailable("status 500: boom")),
        (Answer::Refusal(422, invalid, None), WriteError::Invalid("spec.address: no".to_owned())),
        (Answer::Refusal(403, "no", None), WriteError::Forbidden("no".to_owned())),
        (Answer::Refusal(404, "", None), WriteError::NotFound),
        (Answer::Silence, WriteError::Timeout),
    ];
    for (answer, expected) in table {
        let (address, asked) = serve(move |_, _, _| answer).await?;
        let (cluster, _folder) = connect(address).await?;
        let written = cluster.writer().create_virtual_ip(&virtual_ip("192.0.2.1")?).await;
        assert_eq!(written, Err(expected), "{answer:?}");
        let asked: usize = asked.lock().unwrap_or_else(PoisonError::into_inner).values().sum();
        assert_eq!(asked, 1, "{answer:?}: nothing is repeated");
    }
    for nonsense in ["garbage", "{}", "[1]"] {
        let (address, _) = serve(move |_, _, _| Answer::Text(nonsense)).await?;
        let (cluster, _folder) = connect(address).await?;
        let written = cluster.writer().create_virtual_ip(&virtual_ip("192.0.2.1")?).await;
        assert!(matches!(written, Err(WriteError::Unavailable(_))), "{nonsense}: {written:?}");
    }
    Ok(())
}
