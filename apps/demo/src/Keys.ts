/**
 * How the storm's own requests make themselves known to the service: a header that only this process knows the value of.
 * They would use up the allowance of the address that they share with whoever looks at the service meanwhile.
 */
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import { randomBytes } from "node:crypto"
import * as Service from "./Service.ts"

const header = "x-hawser-demo"

const secret = randomBytes(16).toString("hex")

/** Headers of the load: it has no limit. */
export const load = { [header]: secret }

/** Headers of a client that counts as one of its own. */
export const greedy = { [header]: `${secret} greedy` }

/** Whose allowance a request is taken from. */
export const clientOf = (request: HttpServerRequest.HttpServerRequest): string | undefined => {
  switch (request.headers[header]) {
    case load[header]:
      return undefined
    case greedy[header]:
      return "greedy"
  }
  return Service.addressOf(request)
}
