import { Call } from "@hawser/core"
import type { MemberInspection } from "../UpstreamPool.ts"
import type { Member } from "./member.ts"
import type { Roster } from "./roster.ts"

export const inspectMember = <U>(member: Member<U>, roster: Roster<U>, now: number): MemberInspection => ({
  name: member.name,
  tier: member.tier,
  weight: member.weight,
  capacity: member.capacity === Infinity ? undefined : member.capacity,
  inflight: member.load.inflight,
  ...outOf(member, roster, now),
  latency: member.load.latency,
  failing: member.load.failing,
  cost: member.cost(now),
  asked: member.asked,
  successes: member.successes,
  failures: member.failures,
  neutrals: member.neutrals,
  refusals: member.refusals,
  lastError: member.lastError === undefined ? undefined : Call.summary(member.lastError)
})

const outOf = <U>(member: Member<U>, roster: Roster<U>, now: number): Pick<MemberInspection, "out" | "leftOut"> => {
  if (roster.isEligible(member, now)) return { out: member.isFull ? "at capacity" : undefined, leftOut: undefined }
  if (member.draining) return { out: "draining", leftOut: undefined }
  if (member.isEjected(now)) return { out: "ejected", leftOut: member.ejection!.because }
  return { out: "refused", leftOut: Call.summary(member.leftOut!.error) }
}
