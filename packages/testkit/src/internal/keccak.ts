/** Keccak-256 as Ethereum uses it (the padding before FIPS 202), for transaction hashes. Short, not fast. */

const mask = (1n << 64n) - 1n
const rotate = (lane: bigint, by: bigint): bigint => ((lane << by) | (lane >> (64n - by))) & mask

// The walk of rho and pi over the 24 lanes but the first: where to, and rotated by how much.
const walk = Array.from({ length: 24 }, (_, t) => {
  let [x, y] = [1, 0]
  for (let i = 0; i < t; i++) [x, y] = [y, (2 * x + 3 * y) % 5]
  return { from: x + 5 * y, to: y + 5 * ((2 * x + 3 * y) % 5), by: BigInt((((t + 1) * (t + 2)) / 2) % 64) }
})

// The round constants: bit 2^j - 1 of round i is the output of an LFSR at step 7i + j.
const rounds = (() => {
  let register = 1
  return Array.from({ length: 24 }, () => {
    let constant = 0n
    for (let j = 0; j < 7; j++) {
      if (register & 1) constant |= 1n << BigInt(2 ** j - 1)
      register = register & 0x80 ? ((register << 1) ^ 0x171) & 0xff : register << 1
    }
    return constant
  })
})()

const permute = (state: Array<bigint>): void => {
  for (const constant of rounds) {
    const parity = [0, 1, 2, 3, 4].map(
      (x) => state[x]! ^ state[x + 5]! ^ state[x + 10]! ^ state[x + 15]! ^ state[x + 20]!
    )
    for (let i = 0; i < 25; i++) state[i]! ^= parity[(i + 4) % 5]! ^ rotate(parity[(i + 1) % 5]!, 1n)
    const moved = [...state]
    for (const { by, from, to } of walk) moved[to] = rotate(state[from]!, by)
    for (let y = 0; y < 25; y += 5) {
      for (let x = 0; x < 5; x++) {
        state[y + x] = moved[y + x]! ^ (~moved[y + ((x + 1) % 5)]! & mask & moved[y + ((x + 2) % 5)]!)
      }
    }
    state[0]! ^= constant
  }
}

const rate = 136

export const keccak256 = (bytes: Uint8Array): string => {
  const padded = Buffer.alloc((Math.floor(bytes.length / rate) + 1) * rate)
  padded.set(bytes)
  padded[bytes.length] = 0x01
  padded[padded.length - 1]! |= 0x80
  const state = Array.from({ length: 25 }, () => 0n)
  for (let offset = 0; offset < padded.length; offset += rate) {
    for (let lane = 0; lane < rate / 8; lane++) state[lane]! ^= padded.readBigUInt64LE(offset + 8 * lane)
    permute(state)
  }
  const digest = Buffer.alloc(32)
  for (let lane = 0; lane < 4; lane++) digest.writeBigUInt64LE(state[lane]!, 8 * lane)
  return `0x${digest.toString("hex")}`
}
