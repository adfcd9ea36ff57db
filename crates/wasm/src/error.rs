//! The errors that JavaScript catches: an `Error` with `code`, `field` and `errors`, never a bare string.

use js_sys::{Array, Error, Object, Reflect};
use wasm_bindgen::JsValue;

/// An error in one variable.
#[derive(Clone)]
pub(crate) struct FieldError {
    /// The variable's name.
    pub(crate) field: &'static str,
    /// The expected form and the value that came, without any secret.
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

/// The kind of a value, in words. The value itself may be a secret.
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
