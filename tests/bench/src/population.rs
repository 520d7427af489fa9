// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Many addresses carried by real speakers, without a controller: the records are written beforehand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ferrolb_lab::Lab;
use ferrolb_lab::installation::Installation;

/// Where the addresses begin; every station of the lab has one of the same prefix.
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The UDP port that echoes on every address.
pub(crate) const ECHO_UDP: u16 = 9000;
/// Until all is carried: this, and so much for each address. Three speakers share a machine here.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_EACH: Duration = Duration::from_millis(90);
/// The file of the pools and of who may carry them.
const POOLS: &str = "pools.yaml";
/// Until an edit of that file is taken in: this, and so much for each address.
const EDIT: Duration = Duration::from_secs(3);
const EDIT_EACH: Duration = Duration::from_millis(2);
/// Between two looks; a look at ten thousand addresses is work too.
const LOOK: Duration = Duration::from_secs(1);

/// The first `count` addresses, each of a Service of its own with an endpoint on every node.
pub(crate) fn addresses(count: usize) -> Vec<Ipv4Addr> {
    (u32::from(FIRST)..).take(count).map(Ipv4Addr::from).collect()
}

/// Which nodes may carry what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Candidates {
    /// Each node its own share of the addresses and nothing else.
    Own,
    /// Every node everything.
    All,
}

/// The share of each node: as even as can be, the first ones larger.
fn shares(count: usize, nodes: u8) -> Vec<(u8, Vec<Ipv4Addr>)> {
    let (each, more) = (count / usize::from(nodes.max(1)), count % usize::from(nodes.max(1)));
    let mut rest = addresses(count).into_iter();
    (1..=nodes)
        .map(|node| (node, rest.by_ref().take(each + usize::from(usize::from(node) <= more)).collect()))
        .collect()
}

/// A pool for the share of each node, and who may carry it.
fn pools(count: usize, nodes: u8, candidates: Candidates) -> String {
    let mut text = String::new();
    for (node, share) in shares(count, nodes) {
        let (Some(first), Some(last)) = (share.first(), share.last()) else { continue };
        let selectors = match candidates {
            Candidates::Own => {
                format!(", nodeSelectors: [{{matchLabels: {{kubernetes.io/hostname: n{node}}}}}]")
            }
            Candidates::All => String::new(),
        };
        // Writing to a String does not fail.
        write!(
            text,
            "---\napiVersion: ferrolb.io/v1beta1\nkind: AddressPool\nmetadata: {{name: share-{node}}}\n\
             spec: {{addresses: [{first}-{last}]}}\n---\n\
             apiVersion: ferrolb.io/v1beta1\nkind: L2Advertisement\nmetadata: {{name: share-{node}}}\n\
             spec: {{addressPools: [share-{node}]{selectors}}}\n"
        )
        .ok();
    }
    text
}

/// File names and texts for `count` addresses on `nodes` nodes of the lab, and further nodes by name.
pub(crate) fn manifests(count: usize, nodes: u8, others: &[String]) -> Vec<(&'static str, String)> {
    let (mut node_objects, mut services, mut slices, mut records) =
        (String::new(), String::new(), String::new(), String::new());
    // Writing to a String does not fail.
    for node in 1..=nodes {
        let host = 10 + node;
        write!(
            node_objects,
            "---\napiVersion: v1\nkind: Node\n\
             metadata: {{name: n{node}, labels: {{kubernetes.io/hostname: n{node}}}}}\nstatus: {{addresses: [{{type: InternalIP, address: 198.51.100.{host}}}]}}\n"
        )
        .ok();
    }
    for name in others {
        write!(node_objects, "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n").ok();
    }
    let endpoints: String = (1..=nodes)
        .map(|node| {
            format!("- {{addresses: [10.244.{node}.10], nodeName: n{node}, conditions: {{ready: true}}}}\n")
        })
        .collect();
    let shares = shares(count, nodes);
    let each = shares.iter().flat_map(|(node, share)| share.iter().map(move |address| (*node, *address)));
    for (number, (node, address)) in each.enumerate() {
        write!(
            services,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{namespace: bench, name: s{number}}}\n\
             spec: {{type: LoadBalancer, ports: [{{name: echo, protocol: UDP, port: {ECHO_UDP}, targetPort: 9000}}]}}\n"
        )
        .ok();
        write!(
            slices,
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{namespace: bench, name: s{number}, labels: {{kubernetes.io/service-name: s{number}}}}}\n\
             endpoints:\n{endpoints}ports: [{{name: echo, protocol: UDP, port: 9000}}]\n"
        )
        .ok();
        write!(
            records,
            "---\napiVersion: ferrolb.io/v1beta1\nkind: VirtualIP\nmetadata: {{name: {address}}}\n\
             spec:\n  address: {address}\n  pool: share-{node}\n  \
             consumers: [{{kind: Service, namespace: bench, name: s{number}, ports: [{{protocol: UDP, port: {ECHO_UDP}}}]}}]\n"
        )
        .ok();
    }
    vec![
        // The played nodes own everything from the start.
        (POOLS, pools(count, nodes, if others.is_empty() { Candidates::Own } else { Candidates::All })),
        ("nodes.yaml", node_objects),
        ("services.yaml", services),
        ("endpoints.yaml", slices),
        ("virtualips.yaml", records),
    ]
}

/// Prepares speakers for `count` addresses on `nodes` nodes; none runs yet.
pub(crate) fn prepare(binary: &Path, nodes: u8, count: usize, others: &[String]) -> Result<Installation> {
    let lab = Lab::build(nodes)?;
    lab.widen()?;
    let manifests = manifests(count, nodes, others);
    let manifests: Vec<(&str, &str)> = manifests.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Installation::prepare(lab, binary, &manifests)
}

/// Starts a speaker on every node, and waits until every address is carried; how long that took. Each node begins with its
/// share, so that a measurement begins alike every time; then every node may carry everything, and nobody moves.
pub(crate) fn start(installation: &mut Installation, count: usize) -> Result<Duration> {
    let begin = Instant::now();
    for name in names(installation) {
        installation.start_speaker(&name)?;
    }
    settle(installation, count)?;
    let took = begin.elapsed();
    let nodes = u8::try_from(installation.lab().nodes.len())?;
    installation.write(POOLS, &pools(count, nodes, Candidates::All))?;
    thread::sleep(EDIT + EDIT_EACH * u32::try_from(count)?);
    settle(installation, count)?;
    Ok(took)
}

/// The lab's nodes.
pub(crate) fn names(installation: &Installation) -> Vec<String> {
    installation.lab().nodes.iter().map(|node| node.name.clone()).collect()
}

/// Waits until every address is carried.
pub(crate) fn settle(installation: &mut Installation, count: usize) -> Result<BTreeMap<IpAddr, String>> {
    let patience = PATIENCE + PATIENCE_EACH * u32::try_from(count)?;
    let deadline = Instant::now() + patience;
    loop {
        let carriers = carriers(installation);
        if let Ok(carriers) = &carriers
            && carriers.len() == count
        {
            return Ok(carriers.clone());
        }
        for name in names(installation) {
            let speaker = installation.speaker(&name)?;
            ensure!(
                speaker.is_running(),
                "the speaker of {name} has ended; it said:\n{}",
                speaker.log_end(30)
            );
        }
        if Instant::now() > deadline {
            bail!(
                "not every address is carried within {patience:?}: {:?} of {count}\n{}",
                carriers.map(|carriers| carriers.len()),
                installation.logs()
            );
        }
        thread::sleep(LOOK);
    }
}

/// Who carries each address that is carried, as the speakers' own files of state say. (`ferrolb status` says the same after
/// it has read all the manifests, which for ten thousand addresses takes seconds of what is to be measured.)
pub(crate) fn carriers(installation: &Installation) -> Result<BTreeMap<IpAddr, String>> {
    let mut carriers = BTreeMap::new();
    for node in names(installation) {
        let path = installation.state().join(format!("speaker-{node}")).join("virtualips.yaml");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        carriers.extend(owned(&text).map(|address| (address, node.clone())));
    }
    Ok(carriers)
}

/// The addresses of which `text` says that their writer owns them; it names those too that their writer asked for.
fn owned(text: &str) -> impl Iterator<Item = IpAddr> {
    let mut named = None;
    text.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix("  name: ") {
            named = name.trim_matches('"').parse().ok();
        }
        if line == "  layer2:" { named.take() } else { None }
    })
}

/// How many addresses each node carries.
pub(crate) fn loads(carriers: &BTreeMap<IpAddr, String>) -> BTreeMap<String, usize> {
    let mut loads = BTreeMap::new();
    for node in carriers.values() {
        *loads.entry(node.clone()).or_default() += 1;
    }
    loads
}

/// The node that carries most, with `sample` of its addresses, spread evenly, and all of them.
pub(crate) fn busiest(
    carriers: &BTreeMap<IpAddr, String>,
    sample: usize,
) -> Result<(String, Vec<Ipv4Addr>, Vec<Ipv4Addr>)> {
    let loads = loads(carriers);
    let (node, _) = loads.into_iter().max_by_key(|(_, load)| *load).context("nobody carries anything")?;
    let own: Vec<Ipv4Addr> = carriers
        .iter()
        .filter(|(_, carrier)| **carrier == node)
        .filter_map(|(address, _)| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
        .collect();
    let step = (own.len() / sample.max(1)).max(1);
    let sampled = own.iter().copied().step_by(step).take(sample).collect();
    Ok((node, sampled, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_each_other_and_a_sample_is_spread_over_the_busiest_node() {
        let all = addresses(300);
        assert_eq!(all.last(), Some(&Ipv4Addr::new(198, 18, 1, 44)));
        let carriers: BTreeMap<IpAddr, String> = all
            .iter()
            .enumerate()
            .map(|(at, address)| (IpAddr::V4(*address), if at % 3 == 0 { "n1" } else { "n2" }.to_owned()))
            .collect();
        let (node, sampled, own) = busiest(&carriers, 10).expect("somebody");
        assert_eq!((node.as_str(), sampled.len(), own.len()), ("n2", 10, 200));
        assert!(sampled.last() > own.get(150) && sampled.iter().all(|address| own.contains(address)));
    }

    #[test]
    fn a_node_carries_what_it_owns_and_not_what_it_asked_for() {
        let text = "metadata:\n  name: 198.18.0.1\nspec:\n  consumers:\n  - name: s1\nstatus:\n  layer2:\n  \
                    - node: n1\n---\nmetadata:\n  name: \"198.18.0.2\"\nstatus:\n  conditions:\n  - \
                    type: Reachable\n---\nmetadata:\n  name: \"198.18.0.3\"\nstatus:\n  layer2:\n  - node: n1\n";
        let found: Vec<String> = owned(text).map(|address| address.to_string()).collect();
        assert_eq!(found, ["198.18.0.1", "198.18.0.3"]);
    }

    #[test]
    fn each_node_begins_with_an_even_share() {
        let sizes: Vec<usize> = shares(10, 3).iter().map(|(_, share)| share.len()).collect();
        assert_eq!(sizes, [4, 3, 3]);
        let own = pools(10, 3, Candidates::Own);
        assert!(own.contains("[198.18.0.5-198.18.0.7]") && own.contains("hostname: n3"), "{own}");
        assert_eq!(shares(1, 3).iter().filter(|(_, share)| share.is_empty()).count(), 2);
    }

    #[test]
    fn the_manifests_are_what_the_product_reads() {
        for (name, text) in manifests(2, 3, &["far".to_owned()]) {
            assert!(text.matches("apiVersion").count() >= 2, "{name}:\n{text}");
            assert!(name != POOLS || !text.contains("nodeSelectors"), "{text}");
            assert!(name != "nodes.yaml" || text.contains("{name: far}"), "{text}");
        }
    }
}
