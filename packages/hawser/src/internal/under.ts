import { Options as Read } from "@hawser/core"

/**
 * Makes a layer of an option of the stack. What is wrong with it is told by the name that the user of the stack knows:
 * `Retry.attempts` is `Stack.retry.attempts`, and `Timeout.limit`, which is the option itself, `Stack.timeout`. `path`: of the
 * option; or of what has this part of it.
 */
export const under = <A>(path: string | ((part: string) => string), option: unknown, make: () => A): A => {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof Read.InvalidOption)) throw error
    const { expected, option: name, received } = error
    const isWhole = typeof option !== "object" || option === null || limit.test(name)
    const part = isWhole ? "" : name.replace(/^[^.[]*/, "")
    const whole = typeof path === "string" ? path : path(part)
    throw new Read.InvalidOption({ option: whole + part, expected, received })
  }
}

const limit = /^(?:Deadline|Timeout)\.limit$/
