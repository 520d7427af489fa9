// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use anyhow::Result;
use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::Password;
use ferrolb_control_plane::Account;
use ferrolb_source::kube::{Cluster, Interest, KubeOptions};

use crate::stage::{PATIENCE, load_balancer, options, service, shared, until, virtual_ip, watched};

#[tokio::test(flavor = "multi_thread")]
async fn the_view_follows_what_is_created_edited_and_deleted() -> Result<()> {
    let plane = shared()?;
    let (_cluster, mut objects) = watched(plane).await?;
    assert!(objects.borrow().freshness.is_whole() && objects.borrow().refused.is_empty());
    assert!(objects.borrow().namespaces.contains_key("kube-system"));

    plane.kubectl().apply(&load_balancer("follow"))?;
    let view =
        until(&mut objects, "the Service", |view| view.services.contains_key(&service("follow"))).await?;
    let metadata = &view.services[&service("follow")].metadata;
    assert!(
        metadata.uid.is_some() && metadata.resource_version.is_some() && metadata.managed_fields.is_none()
    );
    let annotations: Vec<_> = metadata.annotations.iter().flatten().collect();
    assert_eq!(annotations.len(), 1, "{annotations:?}");

    plane.kubectl().run(&["label", "service", "follow", "tier=gold"])?;
    until(&mut objects, "the label", |view| {
        let labels =
            view.services.get(&service("follow")).and_then(|service| service.metadata.labels.as_ref());
        labels.is_some_and(|labels| labels.get("tier").is_some_and(|tier| tier == "gold"))
    })
    .await?;

    plane.kubectl().run(&["delete", "service", "follow"])?;
    until(&mut objects, "no Service", |view| !view.services.contains_key(&service("follow"))).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_not_installed_is_refused_and_the_others_are_followed() -> Result<()> {
    let plane = ferrolb_control_plane::ControlPlane::start(ferrolb_control_plane::Options::default())?;
    let (_cluster, mut objects) = watched(&plane).await?;
    let view = objects.borrow_and_update().clone();
    let missing: Vec<&str> = view.freshness.unknown.iter().copied().collect();
    let ours = [
        "AddressPool",
        "BFDProfile",
        "BGPAdvertisement",
        "BGPPeer",
        "Community",
        "FloatingIP",
        "L2Advertisement",
        "Speaker",
        "VirtualIP",
    ];
    assert_eq!(missing, ours);
    assert!(
        view.refused.iter().all(|refusal| refusal.reason == Reason::KindNotInstalled),
        "{:?}",
        view.refused
    );
    assert!(view.namespaces.contains_key("default"));
    let crds: Vec<String> =
        ferrolb_config::api::crds().iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    plane.kubectl().apply(&crds.join("\n---\n"))?;
    until(&mut objects, "all kinds", |view| view.freshness.is_whole() && view.refused.is_empty()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_speaker_sees_the_passwords_of_its_namespace_and_no_other_secret() -> Result<()> {
    let plane = shared()?;
    let secret = |namespace: &str, name: &str, kind: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Secret, metadata: {{name: {name}, namespace: {namespace}}}, type: {kind}, \
             stringData: {{username: bgp, password: hush}}}}\n"
        )
    };
    let basic = "kubernetes.io/basic-auth";
    plane.kubectl().apply(
        &[
            secret("ferrolb-system", "opaque", "Opaque"),
            secret("default", "elsewhere", basic),
            secret("ferrolb-system", "router", basic),
        ]
        .concat(),
    )?;
    let cluster = Cluster::connect(options(plane)?).await?;
    let mut objects = cluster.watch(Interest::Speaker { node: "n1".to_owned() }).await?;
    let view = until(&mut objects, "the password", |view| view.secrets.contains_key("router")).await?;
    assert_eq!(view.secrets.keys().collect::<Vec<_>>(), ["router"]);
    let password = |view: &ferrolb_config::Objects| {
        view.secrets.get("router").and_then(|secret| Password::read(secret).ok())
    };
    assert_eq!(password(&view), Some(Password::new(*b"hush")));

    plane.kubectl().apply(&secret("ferrolb-system", "router", basic).replace("hush", "another"))?;
    let another = Some(Password::new(*b"another"));
    until(&mut objects, "the new password", |view| password(view) == another).await?;
    let (_controller, objects) = watched(plane).await?;
    assert!(objects.borrow().secrets.is_empty(), "a controller has no use for them");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named() -> Result<()> {
    let plane = shared()?;
    let kubeconfig = Some(plane.kubeconfig(&Account::speaker())?);
    let cluster = Cluster::connect(KubeOptions { kubeconfig, ..options(plane)? }).await?;
    let interest = Interest::Speaker { node: "n1".to_owned() };
    let objects = cluster.watch(interest).await?;
    let view = objects.borrow().clone();
    let refused: Vec<String> = view.refused.iter().map(ToString::to_string).collect();
    assert_eq!(view.freshness.unknown.len(), refused.len(), "{refused:?}");
    let services = refused.iter().find(|text| text.contains("list and watch services"));
    let services = services.expect("the right on services");
    assert!(services.contains("system:serviceaccount:ferrolb-system:ferrolb-speaker"), "{services}");
    assert!(services.ends_with("(Forbidden)"), "{services}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_keeps_its_last_good_form_and_harms_no_other() -> Result<()> {
    let plane = crate::stage::own()?;
    let (_cluster, mut objects) = watched(&plane).await?;
    plane.kubectl().apply(
        "{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: odd}, spec: {addresses: [192.0.2.0/24]}}",
    )?;
    until(&mut objects, "the pool", |view| view.pools.contains_key("odd")).await?;
    // A later version of the kind: addresses may be anything, and there is a field that we do not know.
    let patch = r#"[{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema","value":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}]"#;
    plane.kubectl().run(&["patch", "crd", "addresspools.ferrolb.io", "--type=json", "-p", patch])?;
    let edit = r#"{"spec":{"addresses":"192.0.2.0/24"}}"#;
    let edited = tokio::time::timeout(PATIENCE, async {
        while plane.kubectl().run(&["patch", "addresspool", "odd", "--type=merge", "-p", edit]).is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    });
    edited.await?;
    let view = until(&mut objects, "the refusal", |view| !view.refused.is_empty()).await?;
    assert_eq!(view.pools["odd"].spec.addresses, ["192.0.2.0/24"]);
    assert_eq!(view.refused[0].reason, Reason::MalformedDocument);
    assert!(view.refused[0].to_string().starts_with("AddressPool odd: "), "{}", view.refused[0]);
    plane.kubectl().run(&["delete", "addresspool", "odd"])?;
    until(&mut objects, "nothing refused", |view| view.refused.is_empty() && view.pools.is_empty()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_rights_that_are_installed_nothing_is_refused() -> Result<()> {
    let plane = ferrolb_control_plane::ControlPlane::start(ferrolb_control_plane::Options::default())?;
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/base");
    plane.kubectl().run(&["apply", "--server-side", "-k", base])?;
    plane.kubectl().run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
    let speaker = Interest::Speaker { node: "n1".to_owned() };
    for (account, interest) in [(Account::controller(), Interest::Controller), (Account::speaker(), speaker)]
    {
        let options = KubeOptions { kubeconfig: Some(plane.kubeconfig(&account)?), ..KubeOptions::default() };
        let cluster = Cluster::connect(options).await?;
        let mut objects = cluster.watch(interest.clone()).await?;
        until(&mut objects, "everything", |view| view.freshness.is_whole() && view.refused.is_empty())
            .await?;
        if interest == Interest::Controller {
            let (_stop, stopped) = tokio::sync::watch::channel(false);
            let mut campaign = cluster.campaign("ferrolb-controller", "a".to_owned(), stopped);
            let leads = campaign.leadership.wait_for(|leadership| leadership.is_leading());
            tokio::time::timeout(PATIENCE, leads).await??;
            let writer = cluster.writer().fenced(campaign.fence);
            let created = writer.create_virtual_ip(&virtual_ip("192.0.2.1")?).await?;
            writer.delete_virtual_ip(&created).await?;
        }
    }
    Ok(())
}
