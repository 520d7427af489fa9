// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The command line: commands, flags, and the examples that `--help` shows.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ferrolb_config::ServiceName;
use ferrolb_config::compat::metallb;

use crate::allocate::AllocateArguments;
use crate::bgp::arguments::BgpCommand;
use crate::demo::DemoArguments;
use crate::folders::Folders;
use crate::format::{LogFormat, StatusFormat, ValidateFormat};
use crate::node::NodeArguments;
use crate::origin::{ClusterArguments, OriginArguments};
use crate::planned::arguments::{DrainArguments, MoveArguments, RebalanceArguments, UndrainArguments};

/// Addresses for Services on bare metal, kept alive when nodes die.
#[derive(Parser, Debug)]
#[command(name = "ferrolb", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// How log lines are written to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "FERROLB_LOG_FORMAT")]
    pub log_format: LogFormat,

    /// Log more: -v debug, -vv trace. RUST_LOG, where it is set, says it in detail instead.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ferrolb validate /etc/ferrolb               look for mistakes before anything is used
  ferrolb run                                 one machine: hand out addresses and carry them
  ferrolb status                              who carries what, since when, and why

Manifests are read from /etc/ferrolb unless --source names another folder.
Results go to standard output, log lines to standard error.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Give Services their addresses
    #[command(after_help = "\
Examples:
  ferrolb controller                                       in a pod: the cluster that it is in
  ferrolb controller --kubeconfig ~/.kube/config           in that cluster
  ferrolb controller --source ./manifests --state ./state  without a cluster

In a cluster several may run: one leads, the others stand by.")]
    Controller(ControllerArguments),

    /// Carry addresses on this node (one on every node)
    #[command(after_help = "\
Examples:
  ferrolb speaker                                       in a pod: for the node NODE_NAME of its cluster
  ferrolb speaker --node-name n1 --kubeconfig FILE      for a node of that cluster
  ferrolb speaker --node-name n1 --source ./manifests --state ./state
  NODE_NAME=n1 ferrolb speaker --hello-key-file /etc/ferrolb/hello.key
  ferrolb speaker --profile fast                        take over within 95 ms, where the machine allows it

SIGTERM hands every address over to another node before the process ends; a second signal ends it at once.")]
    Speaker(SpeakerArguments),

    /// Controller and speaker in one process, for a single machine
    #[command(after_help = "\
Example:
  ferrolb run --source ./manifests")]
    Run(RunArguments),

    /// Say who carries which address, since when, and why
    #[command(after_help = "\
Examples:
  ferrolb status
  ferrolb status --source ./manifests --state ./state -o wide
  ferrolb status --kubeconfig ~/.kube/config
  ferrolb status --load-balancer-class example.com/lan
  ferrolb status -o json | jq '.addresses[] | {address, carriers}'")]
    Status(StatusArguments),

    /// Say how speakers stand with routers, and what they tell them
    #[command(
        subcommand,
        after_help = "\
Examples:
  ferrolb bgp peers
  ferrolb bgp neighbor router-a
  ferrolb bgp routes --peer router-a"
    )]
    Bgp(BgpCommand),

    /// Find every mistake in manifests; exit code 1 if anything is refused
    #[command(after_help = "\
Examples:
  ferrolb validate /etc/ferrolb
  ferrolb validate pools.yaml services.yaml -o json")]
    Validate(ValidateArguments),

    Move(MoveArguments),

    Drain(DrainArguments),

    Undrain(UndrainArguments),

    Rebalance(RebalanceArguments),

    Allocate(AllocateArguments),

    Demo(DemoArguments),

    /// Print the CustomResourceDefinitions of FerroLB's kinds
    #[command(after_help = "\
Example:
  ferrolb crds | kubectl apply -f -")]
    Crds,

    /// Remove at once what FerroLB put into this machine's kernel
    #[command(after_help = "\
Example:
  sudo ferrolb cleanup

A speaker that ends keeps its rules for a while, so that connections survive a restart. This removes them now, and takes
addresses of FloatingIPs off the interfaces.
A speaker that still runs would put them back: end it first.")]
    Cleanup,

    /// Move Services away from what Kubernetes gives up
    #[command(
        subcommand,
        after_help = "\
Example:
  ferrolb migrate external-ips shop/web --dry-run"
    )]
    Migrate(MigrateCommand),

    /// Let go of the VirtualIPs, so that they and their definition can be deleted
    #[command(after_help = "\
Example:
  kubectl -n ferrolb-system delete deployment ferrolb-controller
  ferrolb uninstall
  kubectl delete -k deploy/base")]
    Uninstall(ClusterArguments),
}

/// What can be moved.
#[derive(Subcommand, Debug)]
pub enum MigrateCommand {
    /// Make a Service with spec.externalIPs one of type LoadBalancer with the same addresses
    #[command(after_help = "\
Example:
  ferrolb migrate external-ips shop/web --dry-run
  ferrolb migrate external-ips shop/web > web-patch.yaml

The Service is reachable all the time: the type and the class are written first, the list is emptied last. What has to
stand in its manifest from then on goes to standard output.")]
    ExternalIps(MigrateArguments),
}

/// Which Service is to be moved, and how.
#[derive(Args, Debug)]
pub struct MigrateArguments {
    /// The Service
    #[arg(value_name = "NAMESPACE/NAME", value_parser = service_name)]
    pub service: ServiceName,

    /// Write nothing; say what would be written
    #[arg(long)]
    pub dry_run: bool,

    /// The class that the controllers are told to serve, if they are told one
    #[arg(long, value_name = "CLASS", env = "FERROLB_LOAD_BALANCER_CLASS")]
    pub load_balancer_class: Option<String>,

    /// Whether the controllers read MetalLB's objects, and where [with no namespace given: metallb-system]
    #[arg(
        long,
        value_name = "NAMESPACE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = metallb::DEFAULT_NAMESPACE
    )]
    pub read_metallb_objects: Option<String>,

    #[command(flatten)]
    pub cluster: ClusterArguments,
}

fn service_name(text: &str) -> Result<ServiceName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(ServiceName { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        _ => Err("write NAMESPACE/NAME".to_owned()),
    }
}

impl Command {
    /// Whether it answers a question on standard output, rather than working on until it is told to end.
    pub fn asks(&self) -> bool {
        match self {
            Self::Controller(_) | Self::Speaker(_) | Self::Run(_) => false,
            Self::Status(_)
            | Self::Bgp(_)
            | Self::Validate(_)
            | Self::Demo(_)
            | Self::Crds
            | Self::Cleanup => true,
            Self::Move(_) | Self::Drain(_) | Self::Undrain(_) | Self::Rebalance(_) => true,
            Self::Allocate(_) | Self::Migrate(_) | Self::Uninstall(_) => true,
        }
    }
}

/// What a controller needs to know.
#[derive(Args, Debug, Clone)]
pub struct ControllerArguments {
    #[command(flatten)]
    pub origin: OriginArguments,

    /// In a cluster, serve just the Services of this spec.loadBalancerClass [default: those without a class and those
    /// of ferrolb.io/ferrolb]
    #[arg(long, value_name = "CLASS", env = "FERROLB_LOAD_BALANCER_CLASS")]
    pub load_balancer_class: Option<String>,

    /// In a cluster, serve /metrics, /healthz and /readyz here [default: port 7473 in a pod, else nowhere]
    #[arg(long, value_name = "ADDRESS:PORT", env = "FERROLB_METRICS_ADDRESS")]
    pub metrics_address: Option<SocketAddr>,
}

/// What a speaker needs to know.
#[derive(Args, Debug)]
pub struct SpeakerArguments {
    #[command(flatten)]
    pub origin: OriginArguments,

    #[command(flatten)]
    pub node: NodeArguments,
}

/// What both need to know on a machine without a cluster.
#[derive(Args, Debug)]
pub struct RunArguments {
    #[command(flatten)]
    pub folders: Folders,

    #[command(flatten)]
    pub node: NodeArguments,
}

/// What to show.
#[derive(Args, Debug)]
pub struct StatusArguments {
    #[command(flatten)]
    pub origin: OriginArguments,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = StatusFormat::Table)]
    pub output: StatusFormat,

    /// Show it again after every change, until interrupted
    #[arg(short, long)]
    pub watch: bool,

    /// In a cluster, the class that the controllers are told to serve, if they are told one: other Services are not
    /// shown
    #[arg(long, value_name = "CLASS", env = "FERROLB_LOAD_BALANCER_CLASS")]
    pub load_balancer_class: Option<String>,
}

/// What to look at.
#[derive(Args, Debug)]
pub struct ValidateArguments {
    /// Files and folders of manifests
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = ValidateFormat::Text)]
    pub output: ValidateFormat,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn kube_proxy_is_asked_at_its_port_unless_told_otherwise() {
        let asked = |more: &[&str]| {
            let parsed = Arguments::try_parse_from([&["ferrolb", "speaker"], more].concat())?;
            let Command::Speaker(speaker) = parsed.command else { panic!("another command") };
            Ok::<_, clap::Error>(speaker.node.kube_proxy_healthz.0.map(|healthz| healthz.to_string()))
        };
        assert_eq!(asked(&[]).unwrap().as_deref(), Some("127.0.0.1:10256/healthz"));
        assert_eq!(asked(&["--kube-proxy-healthz", "none"]).unwrap(), None);
        let error = asked(&["--kube-proxy-healthz", "localhost"]).unwrap_err().to_string();
        assert!(error.contains("ADDRESS:PORT"), "{error}");
    }

    #[test]
    fn the_folders_have_the_documented_defaults() {
        let parsed = Arguments::try_parse_from(["ferrolb", "run"]).unwrap();
        let Command::Run(RunArguments { folders, .. }) = parsed.command else { panic!("{parsed:?}") };
        assert_eq!(folders.source, PathBuf::from("/etc/ferrolb"));
        assert_eq!(folders.state, PathBuf::from("/var/lib/ferrolb"));
    }
}
