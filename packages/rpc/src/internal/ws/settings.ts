import { Options as Read } from "@hawser/core"
import type { Options } from "../../Ws.ts"
import { type Identity, identify, readers } from "../transport.ts"
import type { Limits } from "./link.ts"
import type { Target } from "./socket.ts"

export interface Settings {
  readonly identity: Identity
  readonly target: Target
  readonly limits: Limits
}

/** Reads the options. `takesHeaders`: whether the runtime lets them be sent. */
export const read = (options: Options, takesHeaders: boolean): Settings => {
  const { keepAlive, silence, ...given } = Read.read("Ws", options, {
    ...readers,
    keepAlive: Read.duration({ default: "4 seconds" }),
    silence: Read.duration({ default: "30 seconds" })
  })
  const identity = identify("Ws", ["ws:", "wss:"], given)
  const limits = { silence, keepAlive }
  if (!takesHeaders) {
    if (given.headers !== undefined) Read.reject("Ws.headers", "no value here: browsers send their own", Read.hidden)
    return { identity, limits, target: { url: identity.url.href, headers: {} } }
  }
  const url = new URL(identity.url)
  url.username = url.password = ""
  return { identity, limits, target: { url: url.href, headers: { "user-agent": "hawser", ...identity.headers } } }
}
