import type { Dispatch, Fault, Reply, Target } from "./dispatch.ts"

// For browsers and other runtimes: `keepAlive` and `connections` are theirs to decide.
export const make = (target: Target): Dispatch => {
  const underWay = new Set<AbortController>()
  return {
    post: (body, sender) => {
      const controller = new AbortController()
      let over = false
      underWay.add(controller)
      const end = (fault: Fault | undefined, reply: Reply | undefined) => {
        underWay.delete(controller)
        if (over) return
        over = true
        sender.done(fault, reply)
      }
      exchange(target, body, controller).then(
        (result) => ("status" in result ? end(undefined, result) : end(result, undefined)),
        (error: unknown) => end(fault("closed", error instanceof Error ? error.message : String(error)), undefined)
      )
      return {
        abort: () => {
          over = true
          underWay.delete(controller)
          controller.abort()
        }
      }
    },
    close: () => {
      for (const controller of underWay) controller.abort()
      return Promise.resolve()
    },
    inspect: () => ({ open: underWay.size, inflight: underWay.size, queued: 0 })
  }
}

const exchange = async (target: Target, body: string, controller: AbortController): Promise<Reply | Fault> => {
  const response = await fetch(target.origin + target.path, {
    method: "POST",
    headers: target.headers,
    body,
    redirect: "manual",
    signal: controller.signal
  })
  const tooLarge = fault("too-large", `a reply of more than ${target.maxBodySize} bytes`)
  if (Number(response.headers.get("content-length")) > target.maxBodySize) {
    controller.abort()
    return tooLarge
  }
  const decoder = new TextDecoder()
  let text = ""
  let size = 0
  const reader = response.body?.getReader()
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    size += part.value.byteLength
    if (size > target.maxBodySize) {
      controller.abort()
      return tooLarge
    }
    text += decoder.decode(part.value, { stream: true })
  }
  return {
    status: response.status,
    body: text + decoder.decode(),
    retryAfter: response.headers.get("retry-after") ?? undefined,
    location: response.headers.get("location") ?? undefined
  }
}

// A browser does not tell a refused connection from a lost one, so the request may have arrived.
const fault = (reason: Fault["reason"], message: string): Fault => ({
  reason,
  message,
  code: undefined,
  reached: true,
  stale: false
})
