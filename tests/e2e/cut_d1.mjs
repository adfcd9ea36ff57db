// A part of fronts for `startApi`: D1 whose calls break off.

/**
 * JavaScript for a front. `cutD1(env, cuts)` is D1 whose own client's calls break off as `cuts` says, one word for each call: `before` and `after` its
 * commit; any other word leaves the call alone. `lost()` throws the error of a connection that breaks off.
 */
export const CUT_D1 = `
    const lost = () => { throw new Error('Network connection lost.') }
    function cutD1(env, cuts) {
      const db = env.DB.withSession('first-primary')
      const send = db._wrappedFetch
      db._wrappedFetch = async function (...args) {
        const cut = cuts.shift()
        if (cut === 'before') lost()
        const response = await send.apply(this, args)
        if (cut === 'after') await response.arrayBuffer().then(lost)
        return response
      }
      return db
    }`
