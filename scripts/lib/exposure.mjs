// Checks wrangler.toml before a deployment: a deployed Worker must not answer where nobody expects it, log callers' signatures, or run
// in development mode.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stop, root } from './run.mjs';

/** Variables and secrets that a deployed Worker must never have, and why. */
export const FORBIDDEN = {
  TENANTS_DEVELOPMENT: 'it is only for local development: a client that claims a loopback address would read the routing without a key',
  TENANTS_API_KEY: 'an API key belongs to its caller, and the Worker needs none',
  CLOUDFLARE_API_TOKEN: 'it is for wrangler on your machine, and the Worker needs none',
};

/** Reads wrangler.toml. */
export async function readConfig(file = join(root, 'wrangler.toml')) {
  // npm may have installed this package only a moment ago, after this module was loaded.
  const { parse } = await import('smol-toml');
  try {
    return parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Stop(`${file}: ${error.message}`);
  }
}

/**
 * Lists what is wrong with a parsed wrangler.toml, for every environment that it has.
 * @returns {string[]} one sentence each
 */
export function faults(config) {
  const environments = Object.entries(config.env ?? {});
  return [
    ...named(config).map(({ name, place }) => `${place} sets ${name}. Remove it: ${FORBIDDEN[name]}.`),
    // wrangler takes these keys from the top level where an environment does not have them.
    ...exposure(config, ''),
    ...environments.flatMap(([name, environment]) => exposure({ ...inherited(config), ...environment }, `env.${name}: `)),
  ];
}

/** Throws if wrangler.toml has a fault. */
export function checkExposure(config) {
  const found = faults(config);
  if (found.length > 0) throw new Stop(`wrangler.toml must change before the Worker can be deployed:\n\n${found.map((fault) => `  - ${fault}`).join('\n')}`);
}

/** Throws if the deployed Worker has a secret that it must not have. `names` are those of `wrangler secret list`. */
export function checkSecretNames(names) {
  const found = names.filter((name) => name in FORBIDDEN);
  if (found.length === 0) return;
  throw new Stop(
    `the Worker has a secret that it must not have:\n\n${found.map((name) => `  - ${name}: ${FORBIDDEN[name]}.`).join('\n')}\n\n` +
      `Delete it: npm run -s wrangler -- secret delete ${found[0]}`,
  );
}

function inherited({ workers_dev, preview_urls, observability, keep_vars, route, routes }) {
  return { workers_dev, preview_urls, observability, keep_vars, route, routes };
}

/**
 * Finds the forbidden names wherever they are: as a key of any table, and as the value of a binding's name. TOML has many spellings of one
 * key (a section, a dotted key, an inline table, quotes), which are all the same once parsed.
 */
function named(value, place = 'wrangler.toml') {
  if (typeof value === 'string') return value in FORBIDDEN ? [{ name: value, place }] : [];
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = `${place}${Array.isArray(value) ? `[${key}]` : `${place === 'wrangler.toml' ? ': ' : '.'}${key}`}`;
    return [...(key in FORBIDDEN ? [{ name: key, place: here }] : []), ...named(inner, here)];
  });
}

function exposure({ workers_dev, preview_urls, observability, keep_vars, route, routes }, where) {
  const found = [];
  const domains = [...(route === undefined ? [] : [route]), ...(routes ?? [])];
  if (preview_urls !== false) {
    found.push(`${where}set preview_urls = false. Otherwise every version has an address of its own, where it answers with the secrets that it was deployed with.`);
  }
  if (typeof workers_dev !== 'boolean') {
    found.push(`${where}set workers_dev: false if the Worker has a domain of its own, true if workers.dev is its only address. docs/DEPLOY.md explains this under "Your own domain".`);
  } else if (workers_dev && domains.length > 0) {
    found.push(`${where}set workers_dev = false. The Worker has a domain of its own, and no rule of that zone (WAF, rate limiting, Access) applies to its address under workers.dev.`);
  }
  if (domains.some((domain) => domain?.previews_enabled)) found.push(`${where}remove previews_enabled from the routes: previews would answer under your domain.`);
  const logs = observability?.logs;
  const logging = observability?.enabled !== false || logs?.enabled === true;
  if (logging && logs?.invocation_logs !== false) {
    found.push(`${where}set invocation_logs = false under [observability.logs]. Otherwise Cloudflare's logs hold the headers of every request, including X-Signature.`);
  }
  if (keep_vars === true) {
    found.push(`${where}remove keep_vars. It keeps variables that were set in Cloudflare's dashboard, where this command cannot see them. Put them into [vars].`);
  }
  return found;
}
