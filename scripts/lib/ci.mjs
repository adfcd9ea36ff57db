// Tells whether CI runs us. A pass in CI must mean that everything ran, so there a missing program is a failure, never a reason to skip.

/** True if `CI` has any value except an empty one, `0` and `false`. */
export function inCi(env = process.env) {
  return !['', '0', 'false'].includes(env.CI ?? '');
}

/**
 * Returns `why` as a reason to skip a test, for `{ skip }`. In CI throws it instead.
 * @param {string} why
 */
export function skipUnlessCi(why, env = process.env) {
  if (inCi(env)) throw new Error(`${why}; CI must have it`);
  return why;
}
