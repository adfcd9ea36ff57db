//! The three states of a field in a PATCH.

/// What a PATCH says of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit<T> {
    /// The field is absent: what is stored stays.
    Keep,
    /// The field is `null` (or, for `plan_id`, `""`): nothing is stored any more.
    Clear,
    /// The field's new value.
    Set(T),
}

impl<T> Edit<T> {
    /// Of a field that was read: absent, `null`, or a value.
    pub(crate) fn of(read: Option<Option<T>>) -> Self {
        match read {
            None => Self::Keep,
            Some(None) => Self::Clear,
            Some(Some(value)) => Self::Set(value),
        }
    }
}
