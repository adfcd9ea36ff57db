//! The three states of a field in a PATCH.

use crate::value::fault::ApiError;

/// A PATCH's change to one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit<T> {
    /// The field is absent: the stored value stays.
    Keep,
    /// The field is `null` (or, for `plan_id`, `""`): the stored value is removed.
    Clear,
    /// The field has a new value.
    Set(T),
}

impl<T> Edit<T> {
    /// Takes a field as the body reader returns it: absent, `null`, or a value.
    pub(crate) fn of(read: Option<Option<T>>) -> Self {
        match read {
            None => Self::Keep,
            Some(None) => Self::Clear,
            Some(Some(value)) => Self::Set(value),
        }
    }

    /// Whether the stored value stays.
    pub(crate) fn keeps(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// The new value, if there is one.
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// The two values that a write takes for a column: whether to set it, and its new value (`None` is `NULL`). `encode` may return `None`
    /// for a value that is stored as `NULL`.
    ///
    /// # Errors
    /// The error of `encode`.
    pub(crate) fn columns<'a, C>(
        &'a self,
        encode: impl FnOnce(&'a T) -> Result<Option<C>, ApiError>,
    ) -> Result<(bool, Option<C>), ApiError> {
        Ok(match self {
            Self::Keep => (false, None),
            Self::Clear => (true, None),
            Self::Set(value) => (true, encode(value)?),
        })
    }
}
