// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The control plane as a whole.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ferrolb_lab::{Namespace, Process, Site};
use nix::sys::signal::Signal;

use crate::server::{self, Settings};
use crate::{Account, Kubectl, Options, Place, Program, Requests, controllers, etcd, port};

/// etcd's and the API server's ports inside a namespace of their own.
const WELL_KNOWN: [u16; 3] = [2379, 2380, 6443];

/// etcd and kube-apiserver, running. Both end when this is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    // Fields drop in this order: processes before the folder they write to.
    controllers: Option<Process>,
    server: Option<Process>,
    _etcd: Process,
    settings: Settings,
    admin: Kubectl,
    site: Site,
}

impl ControlPlane {
    /// Starts one and waits until it is ready (about 3 s).
    ///
    /// # Errors
    /// A program cannot be built or started, or is not ready in time; what it said is in the message.
    pub fn start(options: Options) -> Result<Self> {
        let site = Site::open()?;
        let (namespace, [client, peer, secure]) = match &options.place {
            Place::Loopback => (None, port::free_three()?),
            Place::Namespace { namespace, .. } => (Some(namespace.clone()), WELL_KNOWN),
        };
        let settings = Settings::prepare(&site, options, secure, client)?;
        let admin = kubectl(&site, &Account::admin(), namespace.clone())?;
        let etcd = etcd::start(&site, namespace.as_ref(), client, peer)?;
        let server = server::start(&site, &settings, &admin)?;
        Ok(Self { controllers: None, server: Some(server), _etcd: etcd, settings, admin, site })
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self) -> &Kubectl {
        &self.admin
    }

    /// kubectl as `account`.
    ///
    /// # Errors
    /// The account is not among those of the [`Options`].
    pub fn kubectl_as(&self, account: &Account) -> Result<Kubectl> {
        self.kubeconfig(account)?;
        kubectl(&self.site, account, self.admin.namespace.clone())
    }

    /// The kubeconfig of `account`: a file with the token and the CA in files of their own beside it.
    ///
    /// # Errors
    /// The account is not among those of the [`Options`].
    pub fn kubeconfig(&self, account: &Account) -> Result<PathBuf> {
        let known = self.settings.accounts().contains(account);
        ensure!(known, "{} is not among the control plane's accounts", account.name());
        Ok(self.site.folder().join(format!("{}.kubeconfig", account.file_name())))
    }

    /// Where clients find the API server: `https://127.0.0.1:61234`.
    pub fn url(&self) -> String {
        self.settings.url()
    }

    /// Where its processes live, for others that belong to the test.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The namespace that it listens in, unless on loopback.
    pub fn namespace(&self) -> Option<&Namespace> {
        self.admin.namespace.as_ref()
    }

    /// The process of the API server.
    ///
    /// # Errors
    /// It was stopped.
    pub fn api_server(&mut self) -> Result<&mut Process> {
        self.server.as_mut().context("the API server is stopped")
    }

    /// Starts kube-controller-manager with the controllers that clear up: after deleted namespaces, and after deleted owners.
    ///
    /// # Errors
    /// It cannot be built or started.
    pub fn start_controllers(&mut self) -> Result<()> {
        let kubeconfig = self.kubeconfig(&Account::admin())?;
        self.controllers = Some(controllers::start(&self.site, self.namespace(), &kubeconfig)?);
        Ok(())
    }

    /// Ends the API server as an administrator does; etcd keeps the objects.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn stop_api_server(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), server::stop)
    }

    /// Kills the API server.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn kill_api_server(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), |mut server| server.kill())
    }

    /// Starts the API server again, on the same port, and waits until it is ready.
    ///
    /// # Errors
    /// It runs, or is not ready in time.
    pub fn start_api_server(&mut self) -> Result<()> {
        ensure!(self.server.is_none(), "the API server runs");
        self.server = Some(server::start(&self.site, &self.settings, &self.admin)?);
        Ok(())
    }

    /// The API server takes connections and answers nothing from now on (SIGSTOP).
    ///
    /// # Errors
    /// It was stopped.
    pub fn freeze_api_server(&mut self) -> Result<()> {
        self.api_server()?.signal(Signal::SIGSTOP)
    }

    /// It goes on (SIGCONT).
    ///
    /// # Errors
    /// It was stopped.
    pub fn thaw_api_server(&mut self) -> Result<()> {
        self.api_server()?.signal(Signal::SIGCONT)
    }

    /// Restarts the API server with a new certificate of a new CA; kubeconfigs name the new one.
    ///
    /// # Errors
    /// It is not ready in time.
    pub fn rotate_certificates(&mut self) -> Result<()> {
        self.stop_api_server()?;
        server::forget_certificates(self.site.folder())?;
        self.start_api_server()
    }

    /// The requests that the API server has counted since it started.
    ///
    /// # Errors
    /// It does not answer.
    pub fn requests(&self) -> Result<Requests> {
        Ok(Requests::read(&self.admin.run(&["get", "--raw", "/metrics"])?))
    }
}

fn kubectl(site: &Site, account: &Account, namespace: Option<Namespace>) -> Result<Kubectl> {
    Ok(Kubectl {
        program: Program::Kubectl.file()?,
        kubeconfig: site.folder().join(format!("{}.kubeconfig", account.file_name())),
        cache: site.folder().join("kubectl-cache"),
        namespace,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_outlive_the_api_server_and_its_certificates() {
        let started = std::time::Instant::now();
        let mut plane = ControlPlane::start(Options::default()).unwrap();
        eprintln!("the control plane stood after {:?}", started.elapsed());
        let server = plane.api_server().unwrap();
        eprintln!("kube-apiserver: {} MiB", server.resident_bytes().unwrap() >> 20);
        plane.kubectl().run(&["create", "namespace", "kept"]).unwrap();
        let before = plane.requests().unwrap();
        plane.kubectl().run(&["label", "namespace", "kept", "a=b"]).unwrap();
        let since = plane.requests().unwrap().since(&before);
        assert_eq!(since.count(|request| request.writes() && request.resource == "namespaces"), 1, "{since}");

        plane.kill_api_server().unwrap();
        let said = plane.kubectl().refused(&["get", "namespace", "kept"], "").unwrap();
        assert!(said.contains("refused"), "{said}");
        plane.start_api_server().unwrap();
        plane.kubectl().run(&["get", "namespace", "kept"]).unwrap();

        let authority = plane.site().folder().join("ca.crt");
        let old = std::fs::read_to_string(&authority).unwrap();
        plane.rotate_certificates().unwrap();
        assert_ne!(std::fs::read_to_string(&authority).unwrap(), old);
        plane.kubectl().run(&["get", "namespace", "kept"]).unwrap();

        plane.freeze_api_server().unwrap();
        let said =
            plane.kubectl().refused(&["get", "namespace", "kept", "--request-timeout=1s"], "").unwrap();
        plane.thaw_api_server().unwrap();
        assert!(!said.contains("refused"), "it takes connections: {said}");
        plane.kubectl().run(&["get", "namespace", "kept"]).unwrap();
    }

    #[test]
    fn what_belongs_to_a_deleted_owner_or_namespace_goes_with_it() {
        let mut plane = ControlPlane::start(Options::default()).unwrap();
        plane.start_controllers().unwrap();
        let kubectl = plane.kubectl();
        kubectl.run(&["create", "configmap", "owner"]).unwrap();
        let uid = kubectl.run(&["get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}"]).unwrap();
        kubectl
            .create(&format!(
                "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: owned, ownerReferences: \
                 [{{apiVersion: v1, kind: ConfigMap, name: owner, uid: {uid}}}]}}}}"
            ))
            .unwrap();
        kubectl.run(&["create", "namespace", "passing"]).unwrap();
        kubectl.run(&["delete", "namespace", "passing", "--timeout=90s"]).unwrap();
        kubectl.run(&["delete", "configmap", "owner"]).unwrap();
        kubectl.run(&["wait", "--for=delete", "configmap/owned", "--timeout=90s"]).unwrap();
    }

    #[test]
    fn an_account_has_the_rights_that_rbac_gives_it() {
        let plane = crate::shared().unwrap();
        let speaker = plane.kubectl_as(&Account::speaker()).unwrap();
        let said = speaker.refused(&["get", "secrets"], "").unwrap();
        assert!(said.contains("system:serviceaccount:ferrolb-system:ferrolb-speaker"), "{said}");
        let unknown = plane.kubectl_as(&Account::user("mallory", &[])).unwrap_err();
        assert!(unknown.to_string().contains("mallory"), "{unknown}");
    }
}
