// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where the objects are: in a folder, or in a cluster.

use std::env;
use std::path::PathBuf;

use clap::Args;
use ferrolb_config::compat::metallb;
use ferrolb_source::kube::{DEFAULT_NAMESPACE, KubeOptions};

use crate::folders::Folders;

/// Set by the kubelet in every pod.
const IN_POD: &str = "KUBERNETES_SERVICE_HOST";
/// Where manifests are read unless told otherwise.
const DEFAULT_SOURCE: &str = "/etc/ferrolb";

/// Where the objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a folder of manifests.
    Folder(Folders),
    /// In a cluster.
    Cluster(KubeOptions),
}

/// Says where the objects are.
#[derive(Args, Clone, Debug)]
pub struct OriginArguments {
    /// A folder of manifests (*.yaml, *.yml, *.json); without it, in a pod, the cluster that the pod is in
    /// [default outside of pods: /etc/ferrolb]
    #[arg(long, value_name = "DIR", env = "FERROLB_SOURCE")]
    pub source: Option<PathBuf>,

    /// The folder of what was decided and observed; not inside the source
    #[arg(long, value_name = "DIR", env = "FERROLB_STATE", default_value = "/var/lib/ferrolb")]
    pub state: PathBuf,

    /// Work in the cluster of this kubeconfig
    #[arg(long, value_name = "FILE", conflicts_with = "source")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub context: Option<String>,

    /// The namespace that FerroLB is installed in
    #[arg(long, value_name = "NAME", env = "FERROLB_NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    pub namespace: String,

    /// Read MetalLB's objects too, without changing them [with no namespace given:
    /// metallb-system]
    #[arg(
        long,
        value_name = "NAMESPACE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = metallb::DEFAULT_NAMESPACE,
        conflicts_with = "source"
    )]
    pub read_metallb_objects: Option<String>,
}

/// Says which cluster, for what is done once and by hand.
#[derive(Args, Clone, Debug)]
pub struct ClusterArguments {
    /// The kubeconfig of the cluster [default in a pod: the cluster that it is in; elsewhere: ~/.kube/config]
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl From<ClusterArguments> for KubeOptions {
    fn from(arguments: ClusterArguments) -> Self {
        let ClusterArguments { kubeconfig, context } = arguments;
        let is_at_home = context.is_some() || env::var_os(IN_POD).is_none();
        let at_home = || is_at_home.then(env::home_dir).flatten().map(|home| home.join(".kube/config"));
        Self { kubeconfig: kubeconfig.or_else(at_home), context, ..Self::default() }
    }
}

impl OriginArguments {
    /// What they say: a kubeconfig or a folder, and with neither of them the cluster of this pod, if it is one.
    pub fn choose(self) -> Origin {
        self.choose_with(env::var_os(IN_POD).is_some())
    }

    fn choose_with(self, in_pod: bool) -> Origin {
        if self.kubeconfig.is_some() || (in_pod && self.source.is_none()) {
            return Origin::Cluster(KubeOptions {
                kubeconfig: self.kubeconfig,
                context: self.context,
                namespace: self.namespace,
                metallb_namespace: self.read_metallb_objects,
                ..KubeOptions::default()
            });
        }
        let source = self.source.unwrap_or_else(|| PathBuf::from(DEFAULT_SOURCE));
        Origin::Folder(Folders { source, state: self.state })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        origin: OriginArguments,
    }

    fn chosen(line: &[&str], in_pod: bool) -> Origin {
        Line::try_parse_from([&["ferrolb"], line].concat()).unwrap().origin.choose_with(in_pod)
    }

    #[test]
    fn a_pod_works_in_its_cluster_and_a_machine_in_its_folder_unless_told_otherwise() {
        let folder = |source: &str| {
            let state = PathBuf::from("/var/lib/ferrolb");
            Origin::Folder(Folders { source: PathBuf::from(source), state })
        };
        assert_eq!(chosen(&[], false), folder("/etc/ferrolb"));
        assert_eq!(chosen(&["--source", "x"], false), folder("x"));
        assert_eq!(chosen(&["--source", "x"], true), folder("x"));
        assert_eq!(chosen(&[], true), Origin::Cluster(KubeOptions::default()));
        let Origin::Cluster(options) = chosen(&["--kubeconfig", "k", "--context", "c"], false) else {
            panic!("a kubeconfig is a cluster");
        };
        assert_eq!(options.kubeconfig, Some(PathBuf::from("k")));
        assert_eq!((options.context.as_deref(), options.namespace.as_str()), (Some("c"), "ferrolb-system"));
    }

    #[test]
    fn metallbs_objects_are_read_where_metallb_is_installed() {
        let read = |line: &[&str]| match chosen(line, true) {
            Origin::Cluster(options) => options.metallb_namespace,
            Origin::Folder(folders) => panic!("{folders:?}"),
        };
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["--read-metallb-objects"]).as_deref(), Some("metallb-system"));
        assert_eq!(read(&["--read-metallb-objects=lb"]).as_deref(), Some("lb"));
    }

    #[test]
    fn a_folder_and_a_kubeconfig_are_not_taken_together() {
        assert!(Line::try_parse_from(["ferrolb", "--source", "x", "--kubeconfig", "k"]).is_err());
    }
}
