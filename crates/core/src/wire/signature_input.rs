//! The headers `Signature-Input` and `Signature` (RFC 9421 §4): one signature of a request.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::value::fault::SignatureFault;
use crate::wire::structured::{Cursor, Malformed, bytes_by_name};

/// The one signature of `Signature-Input`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SignatureInput<'a> {
    /// The signature's name, under which `Signature` has its bytes.
    label: &'a str,
    /// The names of the components that it covers, in their order. No name comes twice.
    pub(crate) components: Vec<&'a str>,
    /// When it was made, in seconds since 1970.
    pub(crate) created: Option<i64>,
    /// From when on it is no longer valid.
    pub(crate) expires: Option<i64>,
    /// The algorithm that it says it has.
    pub(crate) alg: Option<&'a str>,
    /// A text that no other signature should have.
    pub(crate) nonce: Option<&'a str>,
    /// The components and parameters as the signature base has them: serialized in the one way of RFC 9651 §4.1.
    pub(crate) params: String,
}

impl<'a> SignatureInput<'a> {
    /// Reads `Signature-Input`.
    ///
    /// # Errors
    /// If it has another form, more than one signature, a component twice, or a component with parameters.
    pub(crate) fn read(field: &'a str) -> Result<Self, SignatureFault> {
        let malformed = |Malformed| SignatureFault::InputMalformed;
        let mut cursor = Cursor::new(field);
        let label = cursor.key().map_err(malformed)?;
        cursor.expect('=').map_err(malformed)?;
        let components = components(&mut cursor)?;
        let mut input = Self {
            label,
            params: serialized(&components),
            components,
            created: None,
            expires: None,
            alg: None,
            nonce: None,
        };
        input.read_parameters(&mut cursor).map_err(malformed)?;
        if cursor.next_member().map_err(malformed)? {
            return Err(SignatureFault::SeveralSignatures);
        }
        Ok(input)
    }

    /// Reads the parameters, and adds them to `params`. RFC 9421 §2.3 defines strings and integers only, so there are no others. Unknown ones,
    /// and `keyid`, count in the signature and for nothing else. `nonce` counts where a session begins.
    fn read_parameters(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Malformed> {
        let mut names: Vec<&str> = Vec::new();
        while cursor.eat(';') {
            cursor.spaces();
            let name = cursor.key()?;
            cursor.expect('=')?;
            if names.contains(&name) || names.len() == MAX_PARAMETERS {
                return Err(Malformed);
            }
            names.push(name);
            if cursor.is_at_string() {
                let text = cursor.string()?;
                match name {
                    "created" | "expires" => return Err(Malformed),
                    "alg" => self.alg = Some(text),
                    "nonce" => self.nonce = Some(text),
                    _ => {}
                }
                self.params.push_str(&format!(";{name}=\"{text}\""));
            } else {
                let number = cursor.integer()?;
                match name {
                    "created" => self.created = Some(number),
                    "expires" => self.expires = Some(number),
                    "alg" => return Err(Malformed),
                    _ => {}
                }
                self.params.push_str(&format!(";{name}={number}"));
            }
        }
        Ok(())
    }

    /// Reads the signature's bytes from `Signature`.
    ///
    /// # Errors
    /// If it has another form, or has not exactly this signature.
    pub(crate) fn signature(&self, field: &str) -> Result<Vec<u8>, SignatureFault> {
        let mut members =
            bytes_by_name(field).map_err(|Malformed| SignatureFault::BytesMalformed)?;
        match (members.pop(), members.is_empty()) {
            (Some((label, bytes)), true) if label == self.label => Ok(bytes),
            (Some(_), false) => Err(SignatureFault::SeveralSignatures),
            _ => Err(SignatureFault::OtherLabel),
        }
    }
}

/// Reads a list of names of components.
fn components<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<&'a str>, SignatureFault> {
    let malformed = |Malformed| SignatureFault::InputMalformed;
    let mut components: Vec<&str> = Vec::new();
    cursor.expect('(').map_err(malformed)?;
    loop {
        let is_apart = cursor.spaces() || components.is_empty();
        if cursor.eat(')') {
            return Ok(components);
        }
        let name = cursor.string().map_err(malformed)?;
        if cursor.eat(';') {
            return Err(SignatureFault::ComponentParameters);
        }
        if !is_apart {
            return Err(SignatureFault::InputMalformed);
        }
        if components.len() == MAX_COMPONENTS || components.contains(&name) {
            return Err(SignatureFault::ComponentTwice);
        }
        components.push(name);
    }
}

/// More components than the service knows.
const MAX_COMPONENTS: usize = 32;

/// More parameters than RFC 9421 has. Each is compared with all before it, and anybody may send them.
const MAX_PARAMETERS: usize = 16;

/// The names of components, as the signature base lists them.
pub(crate) fn serialized(components: &[&str]) -> String {
    let quoted: Vec<String> = components.iter().map(|c| format!("\"{c}\"")).collect();
    format!("({})", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::{MAX_PARAMETERS, SignatureInput};
    use crate::value::fault::SignatureFault;

    fn read(field: &str) -> Result<SignatureInput<'_>, SignatureFault> {
        SignatureInput::read(field)
    }

    #[test]
    fn a_signature_is_read_and_serialized_in_one_way() {
        let field = r#" sig-b25=(  "date"   "@authority" ); created=0012;  keyid="a\"b";alg="hmac-sha256";expires=-3;n=7 "#;
        let input = read(field).unwrap();
        assert_eq!(input.components, ["date", "@authority"]);
        assert_eq!((input.created, input.expires), (Some(12), Some(-3)));
        assert_eq!(input.alg, Some("hmac-sha256"));
        assert_eq!(
            input.params,
            r#"("date" "@authority");created=12;keyid="a\"b";alg="hmac-sha256";expires=-3;n=7"#
        );
        assert_eq!(input.signature("sig-b25=:aGk=:"), Ok(b"hi".to_vec()));
        assert_eq!(read("s=()").unwrap().components, [""; 0]);
    }

    #[test]
    fn anything_but_one_signature_of_whole_components_is_refused() {
        for (field, fault) in [
            ("", SignatureFault::InputMalformed),
            ("s", SignatureFault::InputMalformed),
            ("s=", SignatureFault::InputMalformed),
            ("s=1", SignatureFault::InputMalformed),
            (r#"s="a""#, SignatureFault::InputMalformed),
            (r#"s=("a""#, SignatureFault::InputMalformed),
            (r#"s=("a"b"#, SignatureFault::InputMalformed),
            (r#"s=("a""b")"#, SignatureFault::InputMalformed),
            (r#"s=(a)"#, SignatureFault::InputMalformed),
            (r#"s=("a") x"#, SignatureFault::InputMalformed),
            (r#"s=("a");created"#, SignatureFault::InputMalformed),
            (r#"s=("a");created="1""#, SignatureFault::InputMalformed),
            (r#"s=("a");created=1.5"#, SignatureFault::InputMalformed),
            (r#"s=("a");alg=1"#, SignatureFault::InputMalformed),
            (r#"s=("a");alg=hmac-sha256"#, SignatureFault::InputMalformed),
            (
                r#"s=("a");created=1;created=2"#,
                SignatureFault::InputMalformed,
            ),
            (r#"s=("a"),"#, SignatureFault::InputMalformed),
            (r#"s=("a"), t=("a")"#, SignatureFault::SeveralSignatures),
            (r#"s=("a"), s=("a")"#, SignatureFault::SeveralSignatures),
            (r#"s=("a" "a")"#, SignatureFault::ComponentTwice),
            (
                r#"s=("@query-param";name="a")"#,
                SignatureFault::ComponentParameters,
            ),
            (r#"s=("a";sf)"#, SignatureFault::ComponentParameters),
        ] {
            assert_eq!(read(field), Err(fault), "{field}");
        }
        let input = read(r#"s=("a")"#).unwrap();
        for (field, fault) in [
            ("", SignatureFault::OtherLabel),
            ("t=:aGk=:", SignatureFault::OtherLabel),
            ("s=aGk=", SignatureFault::BytesMalformed),
            ("s=:aGk=:, t=:aGk=:", SignatureFault::SeveralSignatures),
            ("t=:aGk=:, s=:aGk=:", SignatureFault::SeveralSignatures),
        ] {
            assert_eq!(input.signature(field), Err(fault), "{field}");
        }
        let many: vec::Vec<_> = (0..40).map(|i| alloc::format!("\"{i}\"")).collect();
        let field = alloc::format!("s=({})", many.join(" "));
        assert_eq!(read(&field), Err(SignatureFault::ComponentTwice));
        // So is the number of parameters.
        let parameters = |n: usize| -> alloc::string::String {
            (0..n).map(|n| alloc::format!(";p{n}=1")).collect()
        };
        let field = |n: usize| alloc::format!(r#"s=("a"){}"#, parameters(n));
        assert!(read(&field(MAX_PARAMETERS)).is_ok());
        assert_eq!(
            read(&field(MAX_PARAMETERS + 1)),
            Err(SignatureFault::InputMalformed)
        );
    }
}
