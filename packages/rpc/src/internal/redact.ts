// Keeps credentials out of everything an upstream or the network says.

/** Makes a function that takes the secrets of one upstream, and the path, query and user of any URL, out of a text. */
export const redactor = (url: URL, headers: Readonly<Record<string, string>>): ((text: string) => string) => {
  const secrets = new Set<string>()
  const add = (secret: string, least: number) => {
    if (secret.length >= least) secrets.add(secret)
  }
  const addBoth = (secret: string, least: number) => {
    add(secret, least)
    add(decoded(secret), least)
  }
  addBoth(url.username, 1)
  addBoth(url.password, 1)
  addBoth(url.pathname + url.search, 2)
  addBoth(url.pathname, 2)
  // A short segment ("v3", "rpc") is a word of the language, not a key.
  for (const segment of url.pathname.split("/")) addBoth(segment, 6)
  for (const value of url.searchParams.values()) {
    add(value, 3)
    add(encodeURIComponent(value), 3)
  }
  for (const value of Object.values(headers)) {
    add(value, 3)
    for (const word of value.split(/\s+/)) add(word, 8)
  }
  // The longest first, so that none is left over for having been cut by another.
  const ordered = Array.from(secrets).toSorted((a, b) => b.length - a.length)
  const pattern = ordered.length === 0 ? undefined : new RegExp(ordered.map(bounded).join("|"), "g")
  return (text) => {
    const withoutUrls = text.includes("://") ? text.replace(urls, "$1$2") : text
    return pattern === undefined ? withoutUrls : withoutUrls.replace(pattern, "***")
  }
}

/** Redacts every string in a JSON value. */
export const redactDeep = (value: unknown, redact: (text: string) => string, depth = 0): unknown => {
  if (typeof value === "string") return redact(value)
  if (typeof value !== "object" || value === null) return value
  // Deeper than any error is, and so deep that a walk would be an attack.
  if (depth > 20) return "***"
  if (Array.isArray(value)) return value.map((item) => redactDeep(item, redact, depth + 1))
  const result: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) {
    Object.defineProperty(result, redact(key), {
      value: redactDeep(item, redact, depth + 1),
      enumerable: true,
      configurable: true,
      writable: true
    })
  }
  return result
}

const urls = /\b((?:https?|wss?):\/\/)(?:[^\s/?#"'<>@]*@)?([^\s/?#"'<>@]*)[^\s"'<>]*/gi

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

// A short secret is one only where it stands alone; a long one wherever it stands.
const bounded = (secret: string): string => {
  const escaped = secret.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&")
  return secret.length >= 8 ? escaped : `(?<![A-Za-z0-9])${escaped}(?![A-Za-z0-9])`
}
