// The keyboard's place on a page whose parts come and go.

const nameOf = (element: Element) => element.getAttribute('aria-label') ?? element.textContent

/** Gives the focus back to an element; if it is gone, such as a button in a table that was drawn anew, to the one in its place, or to the page's title. */
export function focusAgain(before: Element | null | undefined) {
  const name = before ? nameOf(before) : undefined
  const again = !before || before.isConnected ? before : [...document.querySelectorAll(`main ${before.tagName}`)].find((element) => nameOf(element) === name)
  const place = again ?? document.querySelector('main h1')
  if (place instanceof HTMLElement) place.focus({ preventScroll: true })
}

/** Makes a change of the page, which may remove what has the focus. */
export function keepFocus(change: () => void) {
  const before = document.activeElement?.closest('main') ? document.activeElement : undefined
  change()
  if (before && !before.isConnected) focusAgain(before)
}
