// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Text in aligned columns.

use std::io::{self, Write};

/// A title line and rows; every column is as wide as its widest cell, an empty cell shows a dash.
pub struct Columns {
    titles: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// No rows yet.
    pub fn new(titles: Vec<&'static str>) -> Self {
        Self { titles, rows: Vec::new() }
    }

    /// Adds a row, a cell for each title.
    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Whether there are titles only.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes titles and rows, without spaces at the ends of lines.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut widths: Vec<usize> = self.titles.iter().map(|title| title.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded = cells.zip(&widths).map(|(cell, width)| {
                let shown = if cell.is_empty() { "-" } else { cell };
                format!("{shown:width$}")
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        writeln!(out, "{}", line(&mut self.titles.iter().copied()))?;
        for row in &self.rows {
            writeln!(out, "{}", line(&mut row.iter().map(String::as_str)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_without_spaces() {
        let mut columns = Columns::new(vec!["NAME", "N"]);
        columns.push(vec!["süß".into(), String::new()]);
        columns.push(vec!["longer".into(), "10".into()]);
        let mut out = Vec::new();
        columns.write(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME    N\nsüß     -\nlonger  10\n");
    }
}
