use std::io::{Result, Write};

/// Writes a line of CSV (RFC 4180, but a line ends as lines do here). What a cell says is written as it is.
pub fn row<T: AsRef<str>>(out: &mut impl Write, cells: impl IntoIterator<Item = T>) -> Result<()> {
    for (number, cell) in cells.into_iter().enumerate() {
        let cell = cell.as_ref();
        if number > 0 {
            out.write_all(b",")?;
        }
        if cell.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_would_break_a_cell_is_quoted() {
        let mut out = Vec::new();
        super::row(&mut out, ["a", "b,c", "d\"e\nf", ""]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a,\"b,c\",\"d\"\"e\nf\",\n");
    }
}
