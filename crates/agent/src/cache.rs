//! Redis: the keys that a Chevereto installation reads.

use std::fs;
use std::time::Duration;

use redis::{
    Client, Connection, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisResult, Script, TlsCertificates,
};
use tenants_chevereto::tenant::{Keys, hostname_value};

use crate::error::Error;
use crate::settings::RedisSettings;

/// The timeout of a connection attempt, and of each command.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The number of keys that one command names.
const CHUNK: usize = 200;

/// Deletes a hostname's key if it still holds this tenant: two tenants may have swapped their names.
const DELETE_IF_MINE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// A connection to Redis.
pub(crate) struct Cache {
    connection: Connection,
    keys: Keys,
    delete_if_mine: Script,
}

/// A tenant's keys, ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) id: String,
    pub(crate) value: Vec<u8>,
    pub(crate) hostnames: Vec<String>,
}

/// A key, and what it held.
pub(crate) type Former = (String, Option<Vec<u8>>);

/// A key of the registry's that was found in Redis, with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Tenant(String, Vec<u8>),
    Hostname(String, Vec<u8>),
}

impl Cache {
    /// Connects, and checks that the server can hold the keys.
    ///
    /// # Errors
    /// [`Error::Failed`] if Redis cannot be reached, [`Error::Configuration`] if it would lose keys.
    pub(crate) fn connect(settings: &RedisSettings, keys: &Keys) -> Result<Self, Error> {
        let failed = |e| Error::failed("Redis", e);
        let client = client(settings)?;
        let connection = client
            .get_connection_with_timeout(TIMEOUT)
            .map_err(failed)?;
        connection.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
        connection
            .set_write_timeout(Some(TIMEOUT))
            .map_err(failed)?;
        let mut cache = Self {
            connection,
            keys: keys.clone(),
            delete_if_mine: Script::new(DELETE_IF_MINE),
        };
        cache.check_server()?;
        Ok(cache)
    }

    /// Refuses a server that would throw sites away, or that cannot run one command on several keys.
    fn check_server(&mut self) -> Result<(), Error> {
        let info = |cache: &mut Self, section: &str| -> Result<String, Error> {
            redis::cmd("INFO")
                .arg(section)
                .query(&mut cache.connection)
                .map_err(|e| Error::failed("Redis: INFO, which the agent's user needs", e))
        };
        let server = info(self, "server")?;
        let memory = info(self, "memory")?;
        let replication = info(self, "replication")?;
        refuse_server(&server, &memory, &replication)
    }

    /// Whether the connection still works.
    pub(crate) fn ping(&mut self) -> RedisResult<()> {
        redis::cmd("PING").exec(&mut self.connection)
    }

    /// Reads the agent's marker.
    pub(crate) fn marker(&mut self, cell: &str) -> RedisResult<Option<String>> {
        let key = self.marker_key(cell);
        redis::cmd("GET").arg(key).query(&mut self.connection)
    }

    /// Sets the agent's marker.
    pub(crate) fn set_marker(&mut self, cell: &str, marker: &str) -> RedisResult<()> {
        let key = self.marker_key(cell);
        redis::cmd("SET")
            .arg(key)
            .arg(marker)
            .exec(&mut self.connection)
    }

    fn marker_key(&self, cell: &str) -> String {
        format!("{}agent:{cell}", self.keys.registry())
    }

    /// Writes the keys of tenants. All keys of a tenant are written in one transaction.
    pub(crate) fn write(&mut self, tenants: &[Written]) -> RedisResult<()> {
        for chunk in tenants.chunks(CHUNK) {
            let mut pipe = redis::pipe();
            pipe.atomic();
            for tenant in chunk {
                pipe.set(self.keys.tenant(&tenant.id), &tenant.value)
                    .ignore();
                let id = hostname_value(&tenant.id);
                for hostname in &tenant.hostnames {
                    pipe.set(self.keys.hostname(hostname), &id).ignore();
                }
            }
            pipe.exec(&mut self.connection)?;
        }
        Ok(())
    }

    /// Reads what the keys of a tenant hold, for [`Self::put_back`].
    pub(crate) fn former(&mut self, tenant: &Written) -> RedisResult<Vec<Former>> {
        let mut keys = vec![self.keys.tenant(&tenant.id)];
        keys.extend(tenant.hostnames.iter().map(|h| self.keys.hostname(h)));
        let values: Vec<Option<Vec<u8>>> =
            redis::cmd("MGET").arg(&keys).query(&mut self.connection)?;
        Ok(keys.into_iter().zip(values).collect())
    }

    /// Gives keys their former values again, and deletes those that had none.
    pub(crate) fn put_back(&mut self, former: &[Former]) -> RedisResult<()> {
        let mut pipe = redis::pipe();
        pipe.atomic();
        for (key, value) in former {
            match value {
                Some(value) => pipe.set(key, value).ignore(),
                None => pipe.del(key).ignore(),
            };
        }
        pipe.exec(&mut self.connection)
    }

    /// Deletes the keys of tenants.
    pub(crate) fn delete_tenants(&mut self, ids: &[String]) -> RedisResult<()> {
        for chunk in ids.chunks(CHUNK) {
            let keys: Vec<String> = chunk.iter().map(|id| self.keys.tenant(id)).collect();
            redis::cmd("DEL").arg(keys).exec(&mut self.connection)?;
        }
        Ok(())
    }

    /// Deletes the keys of hostnames that still hold the tenant beside them.
    pub(crate) fn delete_hostnames(&mut self, pairs: &[(String, String)]) -> RedisResult<()> {
        for (hostname, id) in pairs {
            self.delete_if_mine
                .key(self.keys.hostname(hostname))
                .arg(hostname_value(id))
                .invoke::<i64>(&mut self.connection)?;
        }
        Ok(())
    }

    /// Deletes keys by name.
    pub(crate) fn delete_found(&mut self, found: &[Found]) -> RedisResult<()> {
        for chunk in found.chunks(CHUNK) {
            let keys: Vec<String> = chunk
                .iter()
                .map(|found| match found {
                    Found::Tenant(id, _) => self.keys.tenant(id),
                    Found::Hostname(hostname, _) => self.keys.hostname(hostname),
                })
                .collect();
            redis::cmd("DEL").arg(keys).exec(&mut self.connection)?;
        }
        Ok(())
    }

    /// Reads every key of a tenant and of a hostname. A key that is no UTF-8, or whose value is no string, is left out.
    pub(crate) fn all(&mut self) -> RedisResult<Vec<Found>> {
        let tenants = self.keys.tenant("");
        let hostnames = self.keys.hostname("");
        let mut found = Vec::new();
        for (prefix, is_tenant) in [(&tenants, true), (&hostnames, false)] {
            for chunk in self.names(prefix)?.chunks(CHUNK) {
                let values: Vec<Option<Vec<u8>>> =
                    redis::cmd("MGET").arg(chunk).query(&mut self.connection)?;
                for (key, value) in chunk.iter().zip(values) {
                    let Some(value) = value else { continue };
                    let name = key[prefix.len()..].to_owned();
                    found.push(if is_tenant {
                        Found::Tenant(name, value)
                    } else {
                        Found::Hostname(name, value)
                    });
                }
            }
        }
        Ok(found)
    }

    /// Removes the keys that a tenant's own site wrote. Returns their number.
    pub(crate) fn clear_site(&mut self, id: &str) -> RedisResult<usize> {
        let names = self.names(&self.keys.site(id))?;
        for chunk in names.chunks(CHUNK) {
            redis::cmd("UNLINK").arg(chunk).exec(&mut self.connection)?;
        }
        Ok(names.len())
    }

    /// Returns the keys with a prefix, each once.
    fn names(&mut self, prefix: &str) -> RedisResult<Vec<String>> {
        let pattern = format!("{}*", escaped(prefix));
        let mut names = std::collections::BTreeSet::new();
        let mut cursor: u64 = 0;
        loop {
            let (next, page): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(1000)
                .query(&mut self.connection)?;
            let texts = page.into_iter().filter_map(|k| String::from_utf8(k).ok());
            names.extend(texts.filter(|key| key.starts_with(prefix)));
            if next == 0 {
                return Ok(names.into_iter().collect());
            }
            cursor = next;
        }
    }
}

/// Escapes the characters that a pattern of Redis gives a meaning.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Creates the client. A host that begins with `/` is a Unix socket, and one with `tls://` is reached by TLS, as for php-redis.
fn client(settings: &RedisSettings) -> Result<Client, Error> {
    let bad = |e: redis::RedisError| Error::Configuration(format!("CHEVERETO_CACHE_HOST: {e}"));
    let port = settings.port;
    let mut tls = None;
    let addr = match settings.host.split_once("://") {
        None if settings.host.starts_with('/') => {
            ConnectionAddr::Unix(settings.host.clone().into())
        }
        Some(("unix", path)) => ConnectionAddr::Unix(path.into()),
        None | Some(("tcp", _)) => {
            let host = settings.host.trim_start_matches("tcp://");
            ConnectionAddr::Tcp(host.into(), port)
        }
        Some(("tls" | "rediss" | "ssl", host)) => {
            let root_cert =
                match &settings.ca {
                    Some(file) => Some(fs::read(file).map_err(|e| {
                        Error::Configuration(format!("TENANTS_AGENT_REDIS_CA: {e}"))
                    })?),
                    None => None,
                };
            tls = Some(TlsCertificates {
                client_tls: None,
                root_cert,
            });
            ConnectionAddr::TcpTls {
                host: host.into(),
                port,
                insecure: false,
                tls_params: None,
            }
        }
        Some(_) => {
            return Err(Error::Configuration(
                "CHEVERETO_CACHE_HOST: expected a host, tls://host, or the path of a socket".into(),
            ));
        }
    };
    let mut own = RedisConnectionInfo::default()
        .set_db(settings.database)
        .set_skip_set_lib_name();
    if let Some(user) = &settings.user {
        own = own.set_username(user);
    }
    if let Some(password) = &settings.password {
        own = own.set_password(password.as_str());
    }
    let info: ConnectionInfo = addr.into_connection_info().map_err(bad)?;
    let info = info.set_redis_settings(own);
    match tls {
        Some(certificates) => Client::build_with_tls(info, certificates).map_err(bad),
        None => Client::open(info).map_err(bad),
    }
}

/// Judges three sections of `INFO`.
fn refuse_server(server: &str, memory: &str, replication: &str) -> Result<(), Error> {
    let value = |text: &str, name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    let refuse = |text: &str| Err(Error::Configuration(format!("Redis: {text}")));
    if value(server, "redis_mode").as_deref() == Some("cluster") {
        return refuse(
            "it runs as a cluster, where one transaction cannot hold both keys of a tenant",
        );
    }
    if value(replication, "role").as_deref() == Some("slave") {
        return refuse("it is a replica, which takes no writes");
    }
    match value(memory, "maxmemory_policy") {
        None => refuse("INFO does not tell maxmemory_policy"),
        Some(policy) if policy.starts_with("allkeys-") => refuse(&format!(
            "maxmemory-policy is {policy}, which throws sites away when memory is short; set noeviction or a volatile-* policy"
        )),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{escaped, refuse_server};

    #[test]
    fn a_server_that_would_lose_keys_is_refused() {
        let server = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n";
        let memory = "# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";
        let master = "# Replication\r\nrole:master\r\n";
        assert!(refuse_server(server, memory, master).is_ok());
        assert!(refuse_server(&server.replace("standalone", "cluster"), memory, master).is_err());
        assert!(refuse_server(server, memory, "role:slave\r\n").is_err());
        assert!(refuse_server(server, "", master).is_err());
        for (policy, is_good) in [
            ("allkeys-lru", false),
            ("allkeys-random", false),
            ("volatile-lru", true),
        ] {
            let memory = memory.replace("noeviction", policy);
            assert_eq!(
                refuse_server(server, &memory, master).is_ok(),
                is_good,
                "{policy}"
            );
        }
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(escaped("chv:a_b:"), "chv:a_b:");
        assert_eq!(escaped("chv:a-b[*]?:"), "chv:a\\-b\\[\\*\\]\\?:");
    }
}
