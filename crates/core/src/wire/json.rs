//! Writing resources as JSON.
//!
//! A list may have thousands of resources, and most of their text is field names that never change. So members are appended to one text
//! directly, without a serializer.

use alloc::string::String;

/// A JSON object under construction, at the end of a text.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    out: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    /// Starts an object.
    pub(crate) fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self {
            out,
            is_empty: true,
        }
    }

    /// Adds a string.
    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        let object = self.name(name);
        push_text(object.out, value);
        object
    }

    /// Adds a string or `null`.
    pub(crate) fn optional_text(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// Adds a value that is JSON already.
    pub(crate) fn raw(self, name: &str, json: &str) -> Self {
        let object = self.name(name);
        object.out.push_str(json);
        object
    }

    /// Adds the value that `write` appends.
    pub(crate) fn nested(self, name: &str, write: impl FnOnce(&mut String)) -> Self {
        let object = self.name(name);
        write(object.out);
        object
    }

    /// Ends the object.
    pub(crate) fn end(self) {
        self.out.push('}');
    }

    fn name(mut self, name: &str) -> Self {
        if !core::mem::take(&mut self.is_empty) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self
    }
}

/// Writes one object.
pub(crate) fn object(members: impl FnOnce(Object<'_>) -> Object<'_>) -> String {
    let mut out = String::with_capacity(512);
    members(Object::begin(&mut out)).end();
    out
}

/// Writes an array of items, each by `write`. Reserves room for `item_bytes` an item.
pub(crate) fn array<T>(items: &[T], item_bytes: usize, write: impl Fn(&T, Object<'_>)) -> String {
    let mut out = String::with_capacity(2 + items.len() * item_bytes);
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(item, Object::begin(&mut out));
    }
    out.push(']');
    out
}

/// Appends a string. Most strings need no escapes, and are copied as they are.
fn push_text(out: &mut String, text: &str) {
    if text.bytes().any(|b| b < b' ' || b == b'"' || b == b'\\') {
        // A string always encodes.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
        return;
    }
    out.push('"');
    out.push_str(text);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::object;

    #[test]
    fn members_come_in_order_and_strings_are_escaped() {
        let json = object(|o| {
            o.text("a", "x\"\\\n\u{1}é")
                .optional_text("b", None)
                .optional_text("c", Some(""))
                .raw("d", "[1]")
                .nested("e", |out| out.push_str("{}"))
        });
        assert_eq!(
            json,
            r#"{"a":"x\"\\\n\u0001é","b":null,"c":"","d":[1],"e":{}}"#
        );
        assert_eq!(object(|o| o), "{}");
    }
}
