// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How quickly a node that is gone is noticed, chosen by name: the quicker, the more the speaker asks of its machine.

use std::fmt;

use ferrolb_layer2::Timing;

use crate::kernel::priority::{self, Shortcoming};

/// A set of times that belong together. Nodes of different profiles may share a segment: each is given as long as it says
/// that it may be silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// A hello each 75 ms, death after 275 ms: for any machine that is not starved.
    #[default]
    Default,
    /// A hello each 25 ms, death after 95 ms: for machines that give the speaker real-time priority, locked memory and no CPU
    /// limit.
    Fast,
    /// A hello each second, death after 3.5 s: for machines that stand still now and then, and for segments of many hundred
    /// nodes.
    Slow,
}

impl Profile {
    /// What it is called in options and in status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Fast => "fast",
            Self::Slow => "slow",
        }
    }

    /// Its times.
    #[must_use]
    pub fn timing(self) -> Timing {
        match self {
            Self::Default => Timing::DEFAULT,
            Self::Fast => Timing::FAST,
            Self::Slow => Timing::SLOW,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The profile that a speaker follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    /// It.
    pub(crate) profile: Profile,
    /// Why it is not the one that was asked for.
    pub(crate) refusal: Option<ProfileRefused>,
}

/// A profile asks more of its machine than that gives; the default one is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileRefused {
    asked: Profile,
    lacking: Vec<Shortcoming>,
}

impl fmt::Display for ProfileRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lacking: Vec<String> = self.lacking.iter().map(Shortcoming::to_string).collect();
        let asked = self.asked;
        write!(f, "the profile {asked} is not followed but the default one: {}", lacking.join("; "))
    }
}

/// The profile `asked` for if this process can keep to its times, else the default one. `memory` says what came of locking it.
pub(crate) fn in_force(asked: Profile, memory: Option<&Shortcoming>) -> InForce {
    match asked {
        Profile::Default | Profile::Slow => InForce { profile: asked, refusal: None },
        Profile::Fast => {
            let checks = [priority::check_cpu_limit(), priority::check_real_time()];
            judge(asked, checks.into_iter().filter_map(Result::err).chain(memory.cloned()).collect())
        }
    }
}

fn judge(asked: Profile, lacking: Vec<Shortcoming>) -> InForce {
    if lacking.is_empty() {
        return InForce { profile: asked, refusal: None };
    }
    InForce { profile: Profile::Default, refusal: Some(ProfileRefused { asked, lacking }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_is_refused_where_its_times_cannot_be_kept_and_all_that_is_missing_is_named() {
        let lacking = vec![
            Shortcoming::CpuLimit("cpu.max 10000 100000".into()),
            Shortcoming::OrdinaryPriority("EPERM".into()),
            Shortcoming::UnlockedMemory("EPERM".into()),
        ];
        let InForce { profile, refusal } = judge(Profile::Fast, lacking);
        assert_eq!(profile, Profile::Default);
        let said = refusal.expect("refused").to_string();
        for part in ["profile fast", "cpu.max 10000 100000", "CAP_SYS_NICE", "CAP_IPC_LOCK"] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn fast_is_followed_where_nothing_is_missing() {
        assert_eq!(judge(Profile::Fast, Vec::new()), InForce { profile: Profile::Fast, refusal: None });
    }

    #[test]
    fn slow_and_default_ask_for_nothing() {
        let unlocked = Shortcoming::UnlockedMemory("EPERM".into());
        for asked in [Profile::Default, Profile::Slow] {
            assert_eq!(in_force(asked, Some(&unlocked)), InForce { profile: asked, refusal: None });
        }
    }
}
