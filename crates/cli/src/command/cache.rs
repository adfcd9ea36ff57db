//! `cache`: Chevereto's program regenerates its cache of tenants' data. Here nothing is cached, and that can be checked.

use serde::Serialize;

use crate::api::{Client, Part};
use crate::error::Error;
use crate::output::{Format, World};
use crate::session::Session;

#[derive(Serialize)]
struct Read {
    cached: u8,
    tenants: usize,
    plans: usize,
}

/// Reads every tenant and every plan through the API, as each request does anew: what a cache would be filled from.
///
/// # Errors
/// Where one of them cannot be read.
pub fn run(session: &Session<'_>, world: &mut World<'_>) -> Result<(), Error> {
    let client = Client::new(&session.settings, world)?;
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
            "nothing to regenerate: every request reads the database, nothing is cached. All of it can be read (tenants: \
             {tenants}, plans: {plans})"
        ),
        world,
    )
}
