// Runs the cron trigger again and again on a database on disk, until it is killed: `node site_moves.mjs FOLDER VARIABLES`.
import { startApi } from './harness.mjs'

const [, , persist, vars] = process.argv
// It ends with the test, too, if that ends first.
process.stdin.on('end', () => process.exit()).resume()
const api = await startApi({ persist, vars: JSON.parse(vars), schema: false })
console.log('ready')
for (;;) await api.scheduled()
