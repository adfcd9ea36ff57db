// Parts that a test file starts end with it. A program that starts the same parts ends them itself.
import { after } from 'node:test'

const ends = []
let isTest = true

/** Has a part ended: by the test runner when the test file ends, or by `endAll`. */
export const atEnd = (end) => (isTest ? after(end) : void ends.push(end))

/** For a program that is no test: from here on `endAll` ends parts. */
export function endByProgram() {
  isTest = false
}

/** Whether a part may live as long as it likes. A test's parts end after a time, even if the test hangs. */
export const isUnlimited = () => !isTest

/** Ends all parts, the last one first, each even if another one fails. Throws the first error. */
export async function endAll() {
  const errors = []
  while (ends.length) await Promise.resolve().then(ends.pop()).catch((error) => errors.push(error))
  if (errors.length) throw errors[0]
}
