//! `cache`: checks that all data can be read. Chevereto's own program regenerates its cache here; this service has no cache.

use serde::Serialize;
use tenants_client::Part;

use crate::error::Error;
use crate::output::{Format, World};
use crate::session::Session;

#[derive(Serialize)]
struct Read {
    cached: u8,
    tenants: usize,
    plans: usize,
}

/// Reads every tenant and every plan through the API once.
///
/// # Errors
/// Fails if one of them cannot be read.
pub fn run(session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let client = session.client(world)?;
    let tenants = client.list("/tenants", Part::ALL)?.0.len();
    let plans = client.list("/tenants-plans", Part::ALL)?.0.len();
    if session.format == Format::Json {
        let read = Read {
            cached: 0,
            tenants,
            plans,
        };
        return session.show_own(&read, world);
    }
    session.say(
        &format!(
            "nothing to regenerate: this service has no cache, and every request reads the database. All data can be read \
             (tenants: {tenants}, plans: {plans})"
        ),
        world,
    )
}
