//! Reads files of records: JSON lines, or CSV whose first line names the columns.
//!
//! A file is JSON lines if its first character is `{`. Values are kept byte for byte, since a number may have more digits than a float.

use csv::ByteRecord;
use serde_json::value::RawValue;

use crate::output::Fields;

/// One record: its members, or the reason why it cannot be read.
#[derive(Debug)]
pub struct Record {
    /// The line of the file that it begins on, from 1.
    pub line: u64,
    /// Names and values, in the order of the file.
    pub members: Result<Members, String>,
}

/// The members of a record.
#[derive(Debug)]
pub struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// Takes a member out.
    pub fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Takes a string out. `null` is as if absent.
    ///
    /// # Errors
    /// If the member is another kind of value.
    pub fn take_text(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(raw) = self.take(name) else {
            return Ok(None);
        };
        serde_json::from_str(raw.get()).map_err(|_| format!("{name}: expected a string"))
    }

    /// The members that were not taken, in the order of the file.
    #[must_use]
    pub fn rest(self) -> Vec<(String, Box<RawValue>)> {
        self.0
    }
}

/// Reads the records of a file.
///
/// # Errors
/// If the columns of CSV are not named, or if nobody can say where its records end. A record that cannot be read is an error of its own.
pub fn read(bytes: &[u8]) -> Result<Vec<Record>, String> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match bytes.trim_ascii_start().first() {
        None => Ok(Vec::new()),
        Some(b'{') => Ok(lines(bytes)),
        Some(_) => rows(bytes),
    }
}

/// Reads JSON lines. Blank lines are ignored.
fn lines(bytes: &[u8]) -> Vec<Record> {
    bytes
        .split(|byte| *byte == b'\n')
        .zip(1..)
        .map(|(text, line)| (text.trim_ascii(), line))
        .filter(|(text, _)| !text.is_empty())
        .map(|(text, line)| Record {
            line,
            members: object(text),
        })
        .collect()
}

fn object(text: &[u8]) -> Result<Members, String> {
    let text = std::str::from_utf8(text).map_err(|_| String::from("expected UTF-8"))?;
    // The error names no value, which may be a secret.
    let Fields(members) = serde_json::from_str(text).map_err(|e| match e.column() {
        0 => String::from("expected one JSON object a line"),
        column => format!("expected one JSON object a line; found an error at column {column}"),
    })?;
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(format!(
            "expected each name once; `{}` comes twice",
            twice[0]
        )),
        None => Ok(Members(members)),
    }
}

/// Reads CSV. An empty cell, `NULL` and `\N` are as if absent.
fn rows(bytes: &[u8]) -> Result<Vec<Record>, String> {
    closed_quotes(bytes)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let headers = reader
        .headers()
        .map_err(|e| format!("the names of the columns cannot be read: {e}"))?;
    let names: Vec<String> = headers.iter().map(|name| name.trim().to_owned()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    if sorted.iter().any(String::is_empty) || sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(
            "expected the first line to name each column once, in CSV; or JSON lines".into(),
        );
    }
    let mut records = Vec::new();
    let mut row = ByteRecord::new();
    // The reader's own line is that of the last record's end, where that is CR LF or blank lines follow.
    let (mut line, mut counted) = (1, 0);
    while reader
        .read_byte_record(&mut row)
        .map_err(|error| format!("after line {line}: {error}"))?
    {
        let start = row.position().map_or(0, csv::Position::byte);
        let start = usize::try_from(start).unwrap_or(bytes.len());
        let is_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let ends = bytes.iter().skip(start).take_while(is_end).count();
        let passed = bytes.get(counted..start + ends).unwrap_or_default();
        line += passed
            .iter()
            .map(|byte| u64::from(*byte == b'\n'))
            .sum::<u64>();
        counted = start + ends;
        let members = cells(&names, &row);
        records.push(Record { line, members });
    }
    Ok(records)
}

/// Checks that each cell that begins with a quote ends with one (RFC 4180 §2). The reader of CSV takes what comes instead: one missing quote, and the
/// lines up to the next quote are all in one cell.
///
/// # Errors
/// A sentence with the line, from 1, on which the first such cell begins.
fn closed_quotes(bytes: &[u8]) -> Result<(), String> {
    enum Place {
        Start,
        Bare,
        Quoted,
        /// After a quote in a quoted cell: another one means a quote.
        Quote,
    }
    let (mut place, mut line, mut begun) = (Place::Start, 1_u64, 1);
    let wrong = |begun: u64, what: &str| {
        Err(format!(
            "line {begun}: the cell that begins with a quote here {what}, so nobody can say where its line ends"
        ))
    };
    for byte in bytes {
        place = match (place, byte) {
            (Place::Start, b'"') => {
                begun = line;
                Place::Quoted
            }
            (Place::Quoted, b'"') => Place::Quote,
            (Place::Quoted, _) | (Place::Quote, b'"') => Place::Quoted,
            (_, b',' | b'\r' | b'\n') => Place::Start,
            (Place::Quote, _) => return wrong(begun, "goes on after a closing quote"),
            (Place::Start | Place::Bare, _) => Place::Bare,
        };
        line += u64::from(*byte == b'\n');
    }
    match place {
        Place::Quoted => wrong(begun, "has no closing quote"),
        _ => Ok(()),
    }
}

fn cells(names: &[String], row: &ByteRecord) -> Result<Members, String> {
    if row.len() != names.len() {
        return Err(format!("expected {} cells; got {}", names.len(), row.len()));
    }
    let mut members = Vec::new();
    for (name, cell) in names.iter().zip(row) {
        if matches!(cell, b"" | b"NULL" | b"\\N") {
            continue;
        }
        let text = std::str::from_utf8(cell).map_err(|_| {
            format!("{name}: expected UTF-8; write bytes as base64 or as 0x and hexadecimal digits")
        })?;
        members.push((name.clone(), raw_text(text)));
    }
    Ok(Members(members))
}

/// Writes a text as JSON.
#[must_use]
pub fn raw_text(text: &str) -> Box<RawValue> {
    // A string always encodes.
    serde_json::value::to_raw_value(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Record, read};

    fn shown(records: Vec<Record>) -> Vec<(u64, String)> {
        records
            .into_iter()
            .map(|record| {
                let text = match record.members {
                    Ok(members) => members
                        .rest()
                        .into_iter()
                        .map(|(name, value)| format!("{name}={value} "))
                        .collect(),
                    Err(detail) => detail,
                };
                (record.line, text)
            })
            .collect()
    }

    #[test]
    fn json_lines_are_read_with_their_line_numbers_and_their_own_bytes() {
        let text = "\u{feff}{\"a\": 1.0e3}\r\n\n {\"b\":[] ,\"c\":null}\n{\"a\":1,\"a\":2}\n[]\n{\"a\":\n\u{ff}";
        let lines = shown(read(text.as_bytes()).unwrap());
        let expected = [
            (1, "a=1.0e3 "),
            (3, "b=[] c=null "),
            (4, "expected each name once; `a` comes twice"),
            (5, "expected one JSON object a line"),
            (
                6,
                "expected one JSON object a line; found an error at column 5",
            ),
            (
                7,
                "expected one JSON object a line; found an error at column 1",
            ),
        ];
        assert_eq!(lines, expected.map(|(line, text)| (line, text.to_owned())));
        assert!(read(b"{\"a\":\"\xff\"}").unwrap()[0].members.is_err());
        assert!(read(b" \n").unwrap().is_empty());
    }

    #[test]
    fn csv_has_names_in_its_first_line_and_may_have_lines_within_a_cell() {
        let text = "id, limits,env\na,\"{\"\"A\"\":\n1}\",\nb,NULL,\\N\nc,d\n";
        let expected = [
            (2, r#"id="a" limits="{\"A\":\n1}" "#),
            (4, r#"id="b" "#),
            (5, "expected 3 cells; got 2"),
        ];
        assert_eq!(
            shown(read(text.as_bytes()).unwrap()),
            expected.map(|(line, text)| (line, text.to_owned()))
        );
        let line_of = |text: &str| -> Vec<u64> {
            let records = read(text.as_bytes()).unwrap();
            records.iter().map(|record| record.line).collect()
        };
        assert_eq!(line_of(&text.replace('\n', "\r\n")), [2, 4, 5]);
        assert_eq!(line_of("\u{feff}id\n\n\r\na\n\nb\r\n\r\nc"), [4, 6, 8]);
        for bad in ["id,id\n", "id,,b\n"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        let bytes = read(b"id,env\na,\xff\n").unwrap();
        assert!(bytes[0].members.is_err());
    }

    #[test]
    fn a_quote_that_is_not_closed_is_refused_with_its_line_and_takes_no_line_after_it() {
        for (text, error) in [
            (
                "id,env\na,\"x\nb,y\nc,z\n",
                "line 2: the cell that begins with a quote here has no closing quote",
            ),
            (
                "id,env\r\na,\"1\r\n2\"\r\nb,\"\"\"\r\nc,z\r\n",
                "line 4: the cell",
            ),
            ("id,\"env\na,x\n", "line 1: the cell"),
            // The next quote would close it.
            (
                "id,env\na,\"x\nb,y\nc,\"z\"\n",
                "line 2: the cell that begins with a quote here goes on after a closing quote",
            ),
        ] {
            let got = read(text.as_bytes()).unwrap_err();
            assert!(got.starts_with(error), "{got}");
        }
        let closed = "id,env\na,\"x\"\"\n\"\nb,y\"\"z\n\"c\",\"\"";
        let expected = [
            (2, r#"id="a" env="x\"\n" "#),
            (4, r#"id="b" env="y\"\"z" "#),
            (5, r#"id="c" "#),
        ];
        assert_eq!(
            shown(read(closed.as_bytes()).unwrap()),
            expected.map(|(line, text)| (line, text.to_owned()))
        );
    }
}
