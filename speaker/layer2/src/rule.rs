// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The protocol's rules by name.
//!
//! A simulator that has never seen a rule broken proves little. With the feature `simulation`, each of these can be broken
//! for the current thread, and the simulator must notice; without it they are constants, and nothing of this is compiled.

/// A rule that the protocol's promises rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Only who is heard claims.
    TwoWayProof,
    /// Only who is heard announces.
    Audibility,
    /// Each claim has a higher term than all seen before.
    Terms,
    /// An owner yields to a higher claim.
    HigherClaimWins,
    /// Who owns a group keeps it, whoever would rank better.
    Stickiness,
    /// Who stood still listens before it acts again.
    OwnStall,
    /// Who stood still blames itself for what it did not hear.
    Forgiveness,
    /// A silent peer is asked before it is taken for dead.
    Confirmation,
    /// What third parties heard of a peer counts.
    Vouching,
    /// A peer that hears nobody is taken for dead.
    Deafness,
    /// A new process listens before it claims.
    Listening,
    /// Candidates wait for those of better rank.
    RankDelay,
    /// Who holds more than its share lets others claim first.
    LoadBound,
    /// Who falls silent again and again lets others claim first.
    Damping,
    /// What an old process claimed is void when a new one speaks for its node.
    RestartVoids,
    /// A move is made before it is broken.
    MakeBeforeBreak,
    /// Clients that a live kernel still serves are left alone.
    QuietTakeOver,
    /// Hellos are authenticated.
    Authenticity,
    /// Of one process only hellos with new numbers count.
    Sequence,
    /// Of a process not known only hellos count that show that it hears us.
    Liveness,
    /// Old requests are not answered.
    RequestAge,
    /// What nobody is known to have held is looked for on the wire before it is claimed.
    FirstUse,
    /// Of two processes that speak for one node, one steps aside.
    Identity,
    /// Who starts leaves what is new to better-ranked nodes that are expected.
    ColdStart,
    /// An address is defended against strangers now and then only.
    DefencePace,
    /// Claims are passed on to those who may not hear them.
    Relay,
    /// What was heard of a group is remembered while the list that may name it is not complete.
    Memory,
    /// Among many nodes, silence is granted for longer as hellos come less often.
    Pace,
    /// Nothing moves that is within the load bound where it is.
    Balance,
    /// What was bound on an old node's interface is taken over aloud, whether or not that node's kernel lives.
    BoundAloud,
    /// Who stood still reads all that waits before it claims what became free meanwhile.
    CatchingUp,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::TwoWayProof,
        Self::Audibility,
        Self::Terms,
        Self::HigherClaimWins,
        Self::Stickiness,
        Self::OwnStall,
        Self::Forgiveness,
        Self::Confirmation,
        Self::Vouching,
        Self::Deafness,
        Self::Listening,
        Self::RankDelay,
        Self::LoadBound,
        Self::Damping,
        Self::RestartVoids,
        Self::MakeBeforeBreak,
        Self::QuietTakeOver,
        Self::Authenticity,
        Self::Sequence,
        Self::Liveness,
        Self::RequestAge,
        Self::FirstUse,
        Self::Identity,
        Self::ColdStart,
        Self::DefencePace,
        Self::Relay,
        Self::Memory,
        Self::Pace,
        Self::Balance,
        Self::BoundAloud,
        Self::CatchingUp,
    ];
}

#[cfg(not(feature = "simulation"))]
pub(crate) const fn holds(_: Rule) -> bool {
    true
}

#[cfg(feature = "simulation")]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Rule>> = const { std::cell::Cell::new(None) };
}

/// Breaks one rule for all engines of this thread, or none.
#[cfg(feature = "simulation")]
pub fn break_only(rule: Option<Rule>) {
    BROKEN.set(rule);
}

#[cfg(feature = "simulation")]
pub(crate) fn holds(rule: Rule) -> bool {
    BROKEN.get() != Some(rule)
}
