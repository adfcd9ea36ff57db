//! What is thrown into JavaScript: an `Error` with `code`, `field` and `errors`, never a bare string.

use js_sys::{Array, Error, Object, Reflect};
use wasm_bindgen::JsValue;

/// One thing that is wrong.
pub(crate) struct FieldError {
    /// What it is about: a variable's name.
    pub(crate) field: &'static str,
    /// What was expected and what came; never a secret.
    pub(crate) detail: String,
}

impl FieldError {
    /// As a sentence.
    pub(crate) fn sentence(&self) -> String {
        format!("{}: {}", self.field, self.detail)
    }
}

/// The error to throw; TypeScript knows it as `TenantsError`.
pub(crate) fn thrown(
    code: &str,
    message: &str,
    field: Option<&str>,
    errors: &[FieldError],
) -> JsValue {
    let list: Array = errors
        .iter()
        .map(|e| {
            let one = Object::new();
            set(&one, "code", "invalid_variable");
            set(&one, "message", e.sentence());
            set(&one, "field", e.field);
            one
        })
        .collect();
    let error = Error::new(message);
    error.set_name("TenantsError");
    set(&error, "code", code);
    set(&error, "field", field.map_or(JsValue::NULL, JsValue::from));
    set(&error, "errors", list);
    error.into()
}

/// What kind of value it is, in words; a value itself may be a secret.
pub(crate) fn kind_of(value: &JsValue) -> String {
    if value.is_null() {
        return "null".into();
    }
    let kind = value.js_typeof().as_string().unwrap_or_default();
    match kind.as_str() {
        "undefined" => kind,
        "object" if Array::is_array(value) => "an array".into(),
        "object" => "an object".into(),
        _ => format!("a {kind}"),
    }
}

fn set(object: &Object, name: &str, value: impl Into<JsValue>) {
    // An object that was just made takes every property.
    let _ = Reflect::set(object, &name.into(), &value.into());
}
