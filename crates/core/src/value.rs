//! Values: the words that every floor above shares.
//!
//! Each type here can only be built by parsing, so a value that exists is valid. Nothing here knows HTTP, SQL or keys.

pub mod address;
pub mod clock;
pub(crate) mod external_id;
pub(crate) mod fault;
pub(crate) mod hold;
pub mod hostname;
pub(crate) mod hostname_kind;
pub mod id;
pub(crate) mod key_name;
pub mod level;
pub mod outbound;
pub(crate) mod patch;
pub mod random;
pub mod run;
pub mod scope;
pub mod table_name;
pub(crate) mod text;
pub(crate) mod user;
pub(crate) mod version;
