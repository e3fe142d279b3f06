//! Tables of text: columns as wide as their widest cell, numbers to the right.

use std::io::{self, Write};

/// A table in the making; the first row is the head.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints the table, unless it has a head only.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        if self.rows.len() < 2 {
            return Ok(());
        }
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let right: Vec<bool> = (0..columns).map(|column| self.is_number(column)).collect();
        for row in &self.rows {
            let mut line = String::from(" ");
            for ((cell, &width), &right) in row.iter().zip(&widths).zip(&right) {
                line.push(' ');
                let cell =
                    if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
                line.push_str(&cell);
                line.push(' ');
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        writeln!(out)
    }

    fn is_number(&self, column: usize) -> bool {
        let number = |row: &Vec<String>| row[column].starts_with(|c: char| c.is_ascii_digit());
        self.rows[1..].iter().all(number)
    }
}

/// A size in the unit that leaves a number below 1024.
pub(crate) fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

/// A number of things: `1 run`, `2 runs`.
pub(crate) fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::{Table, size};

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["name", "entries"]);
        table.row(["a".to_owned(), "7".to_owned()]);
        table.row(["longer".to_owned(), "1234567890".to_owned()]);
        let mut out = Vec::new();
        table.print(&mut out).expect("memory takes all");
        let text = "  name       entries\n  a                7\n  longer  1234567890\n\n";
        assert_eq!(String::from_utf8_lossy(&out), text);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(64 << 20), "64.0 MiB");
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
    }
}
