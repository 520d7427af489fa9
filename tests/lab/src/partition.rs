// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A switch that splits: some stations hear each other, the others hear each other, and no frame passes between the two.

use anyhow::{Context, Result};

use crate::{Lab, Place};

const TABLE: &str = "bridge lab-partition";

impl Lab {
    /// Keeps the stations at `apart` on an island of their own; carrier stays everywhere. Replaces an earlier partition.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn partition(&self, apart: &[Place]) -> Result<()> {
        let ports: Vec<String> = apart.iter().map(|place| format!("\"p-{}\"", place.name())).collect();
        let island = format!("{{ {} }}", ports.join(", "));
        self.switch
            .nft(&format!(
                "table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\nchain forward {{\n\
                 type filter hook forward priority 0;\n\
                 iifname {island} oifname != {island} drop\niifname != {island} oifname {island} drop\n}}\n}}\n"
            ))
            .context("splitting the switch")
    }

    /// Keeps two stations from hearing each other; everybody else hears both. Replaces an earlier partition.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn part(&self, one: Place, other: Place) -> Result<()> {
        let (one, other) = (format!("\"p-{}\"", one.name()), format!("\"p-{}\"", other.name()));
        self.switch
            .nft(&format!(
                "table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\nchain forward {{\n\
                 type filter hook forward priority 0;\n\
                 iifname {one} oifname {other} drop\niifname {other} oifname {one} drop\n}}\n}}\n"
            ))
            .context("parting two stations")
    }

    /// Ends the partition.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn heal(&self) -> Result<()> {
        self.switch.nft(&format!("table {TABLE}\ndelete table {TABLE}\n")).context("healing the switch")
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::probe::NewClients;
    use crate::rights;

    #[test]
    fn stations_on_one_side_of_a_partition_hear_each_other_and_nobody_else() {
        rights::within(|| {
            let lab = Lab::build(2)?;
            let answers = |namespace, place, target: Place| -> Result<bool> {
                let asking = NewClients::start_at(namespace, place, target.ipv4().into())?;
                thread::sleep(Duration::from_millis(300));
                Ok(!asking.finish()?.answers.is_empty())
            };
            lab.partition(&[Place::Node(1), Place::Client])?;
            assert!(answers(&lab.client, Place::Client, Place::Node(1))?);
            assert!(!answers(&lab.client, Place::Client, Place::Node(2))?);
            assert!(answers(&lab.newcomer, Place::Newcomer, Place::Node(2))?);
            assert!(!answers(&lab.newcomer, Place::Newcomer, Place::Node(1))?);
            lab.part(Place::Newcomer, Place::Node(2))?;
            assert!(!answers(&lab.newcomer, Place::Newcomer, Place::Node(2))?);
            assert!(answers(&lab.newcomer, Place::Newcomer, Place::Node(1))?);
            assert!(answers(&lab.client, Place::Client, Place::Node(2))?);
            lab.heal()?;
            assert!(answers(&lab.newcomer, Place::Newcomer, Place::Node(2))?);
            Ok(())
        });
    }
}
