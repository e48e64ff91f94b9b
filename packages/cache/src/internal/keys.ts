/**
 * The key of a request: two requests share it exactly when their method and parameters are the same on the wire,
 * letter by letter.
 *
 * Each part says where it ends (a text has its length before it, any other JSON a comma after it), so that nothing can
 * be mistaken for the joint of two parts. A method without parameters is its own key. `undefined` where a parameter
 * has no JSON form: such a request is neither kept nor shared, and whoever sends it says what is wrong with it.
 */
export const keyOf = (method: string, params: ReadonlyArray<unknown>): string | undefined => {
  const { length } = params
  if (length === 0 && !(method.charCodeAt(0) <= nine)) return method
  let key = `${method.length}:${method}`
  try {
    for (let i = 0; i < length; i++) {
      const param = params[i]
      // Texts, the most frequent parameters, need no escaping; no JSON text begins with an s.
      key = typeof param === "string" ? `${key}s${param.length}:${param}` : `${key}${JSON.stringify(param) ?? "null"},`
    }
    return key
  } catch {
    return undefined
  }
}

// Keys with parameters begin with a digit. So does no method that stands alone.
const nine = 57
