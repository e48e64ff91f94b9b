import { assert, describe, it } from "@effect/vitest"
import { Write } from "@hawser/rpc"
import fc from "fast-check"
import { commitmentsToVersionedHashes, concat, type Hex, keccak256, parseGwei, toHex, toRlp } from "viem"
import { privateKeyToAccount } from "viem/accounts"
import { itemAt, itemsAt } from "../src/internal/rlp.ts"
import { isHash } from "../src/internal/quantity.ts"
import { read } from "../src/internal/transaction.ts"

const account = privateKeyToAccount(`0x${"11".repeat(32)}`)
const to = `0x${"35".repeat(20)}` as const

const fields = fc.record({
  chainId: fc.integer({ min: 1, max: 2 ** 31 }),
  nonce: fc.integer({ min: 0, max: 2 ** 31 }),
  gas: fc.bigInt({ min: 0n, max: 2n ** 40n }),
  value: fc.bigInt({ min: 0n, max: 2n ** 96n }),
  data: fc.uint8Array({ maxLength: 400 }).map((bytes) => toHex(bytes))
})

const accessList = fc.array(
  fc.record({
    address: fc.constant(to),
    storageKeys: fc.array(fc.constant(`0x${"ab".repeat(32)}` as const), { maxLength: 3 })
  }),
  { maxLength: 3 }
)

const fees = { maxFeePerGas: parseGwei("30"), maxPriorityFeePerGas: parseGwei("1") }

/** A blob transaction with its signature, without its sidecar, and the type byte taken off. */
const blobBody = (nonce: number): Promise<Hex> =>
  account.signTransaction({
    type: "eip4844",
    chainId: 1,
    nonce,
    to,
    gas: 21_000n,
    ...fees,
    maxFeePerBlobGas: parseGwei("3"),
    blobVersionedHashes: [`0x01${"cd".repeat(31)}`],
    sidecars: false
  })

const bytes = (length: number, fill: number): Hex => `0x${fill.toString(16).padStart(2, "0").repeat(length)}`

/** Puts a sidecar around a body. The items of a list are RLP already, the others are bytes. */
const wrapped = (body: Hex, ...rest: ReadonlyArray<Hex | ReadonlyArray<Hex>>): Hex => {
  const items = [`0x${body.slice(4)}` as const, ...rest.map((item) => toRlp(item as Hex))]
  const content = concat(items)
  // A list whose content is given: viem makes lists of values only.
  const length = (content.length - 2) / 2
  const size = length.toString(16).padStart(2 * Math.ceil(length.toString(16).length / 2), "0")
  const header: Hex = length <= 55 ? toHex(0xc0 + length) : `0x${(0xf7 + size.length / 2).toString(16)}${size}`
  return concat(["0x03", header, content])
}

describe("the hash of a raw transaction", () => {
  it("is EIP-155's own example's", () => {
    const raw =
      "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    assert.strictEqual(Write.hash(raw), "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788")
    assert.strictEqual(Write.hash(`0x${raw.slice(2).toUpperCase()}`), Write.hash(raw))
  })

  it("is of all bytes for types 0, 1, 2 and 4", () =>
    fc.assert(
      fc.asyncProperty(fields, accessList, fc.constantFrom(0, 1, 2, 4), async (fields, accessList, type) => {
        const authorization = await account.signAuthorization({ address: to, chainId: 1, nonce: 0 })
        const common = { ...fields, to }
        const raw =
          type === 0
            ? await account.signTransaction({ ...common, type: "legacy", gasPrice: 1n })
            : type === 1
              ? await account.signTransaction({ ...common, type: "eip2930", gasPrice: 1n, accessList })
              : type === 2
                ? await account.signTransaction({ ...common, ...fees, type: "eip1559", accessList })
                : await account.signTransaction({
                    ...common,
                    ...fees,
                    type: "eip7702",
                    authorizationList: [authorization]
                  })
        assert.strictEqual(Write.hash(raw), keccak256(raw))
        if (type > 0) assert.strictEqual(Number.parseInt(raw.slice(2, 4), 16), type)
      }),
      { numRuns: 60 }
    ))

  it("is of the body alone for type 3, in both versions of its wrapper and without one", async () => {
    for (const nonce of [0, 7, 70_000]) {
      const body = await blobBody(nonce)
      const hash = keccak256(body)
      assert.strictEqual(Write.hash(body), hash)
      for (const count of [1, 3]) {
        const blobs = Array.from({ length: count }, (_, i) => bytes(131_072, i + 1))
        const commitments = blobs.map((_, i) => bytes(48, 0x40 + i))
        const proofs = blobs.map((_, i) => bytes(48, 0x80 + i))
        const cellProofs = blobs.flatMap((_, i) => Array.from({ length: 128 }, () => bytes(48, 0xc0 + i)))
        assert.strictEqual(Write.hash(wrapped(body, blobs, commitments, proofs)), hash)
        assert.strictEqual(Write.hash(wrapped(body, "0x01", blobs, commitments, cellProofs)), hash)
      }
    }
  })

  it("agrees with viem's own form with a sidecar", async () => {
    const sidecar = { blob: bytes(131_072, 1), commitment: bytes(48, 2), proof: bytes(48, 3) }
    const blobVersionedHashes = commitmentsToVersionedHashes({ commitments: [sidecar.commitment] })
    const given = { type: "eip4844", chainId: 1, to, gas: 21_000n, ...fees, maxFeePerBlobGas: 1n } as const
    const raw = await account.signTransaction({ ...given, blobVersionedHashes, sidecars: [sidecar] })
    assert.isAbove(raw.length, 2 * 131_072)
    const body = await account.signTransaction({ ...given, blobVersionedHashes, sidecars: false })
    assert.strictEqual(Write.hash(raw), keccak256(body))
  })

  it("of a wrapper or a type to come is a guess: good to be looked for, not to be relied on", async () => {
    const body = await blobBody(1)
    for (const raw of [
      wrapped(body, "0x02", [], [], []),
      wrapped(body, [], []),
      wrapped(body, "0x01", "0x02", "0x03", "0x04")
    ]) {
      assert.deepStrictEqual(read(raw), { hash: keccak256(body), certain: false })
      assert.isUndefined(Write.hash(raw))
    }
    for (const raw of ["0x00c0", "0x05c0", "0x7bc20102", "0x71ff"] as const) {
      assert.deepStrictEqual(read(raw), { hash: keccak256(raw), certain: false })
      assert.isUndefined(Write.hash(raw))
    }
  })

  it("is none of what is no transaction", async () => {
    const legacy = await account.signTransaction({ type: "legacy", to, gas: 1n, gasPrice: 1n })
    const typed = await account.signTransaction({ type: "eip1559", chainId: 1, to, gas: 1n, ...fees })
    const body = await blobBody(1)
    for (const raw of [
      undefined,
      null,
      42,
      {},
      [legacy],
      "",
      "0x",
      "0x0",
      "0x02",
      "0x03",
      "02c0",
      "0xzz",
      `${legacy} `,
      legacy.slice(2),
      legacy.slice(0, -1),
      legacy.slice(0, -2),
      `${legacy}00`,
      typed.slice(0, -2),
      `${typed}00`,
      body.slice(0, -2),
      `${body}00`,
      "0x80",
      "0x820102",
      "0xbfffffffffffffffff",
      "0xffffffffffffffffff",
      "0xfbffffffff",
      "0x02ffffffffffffffffff",
      `0x03${"f8".repeat(50)}`
    ]) {
      assert.isUndefined(read(raw), JSON.stringify(raw))
    }
  })

  it("never throws, and never reads beyond what there is", () => {
    const texts = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => toHex(bytes)),
      fc
        .tuple(fc.constantFrom("01", "02", "03", "04", "c0", "f8", "f9", "ff"), fc.uint8Array({ maxLength: 60 }))
        .map(([first, rest]) => `0x${first}${toHex(rest).slice(2)}`),
      fc.string(),
      fc.anything()
    )
    fc.assert(
      fc.property(texts, (raw) => {
        const transaction = read(raw)
        if (transaction !== undefined) assert.isTrue(isHash(transaction.hash))
      }),
      { numRuns: 3_000 }
    )
  })

  it("takes time in proportion to a large one, and none for what is no hex", () => {
    const large = `0x02${toRlp(bytes(4_000_000, 7)).slice(2)}`
    assert.isUndefined(read(large))
    assert.isUndefined(read(`0x${"f".repeat(10_000_000)}`))
    assert.isUndefined(read(`0x${"z".repeat(10_000_000)}`))
  })
})

describe("RLP", () => {
  type Value = Hex | Array<Value>
  const { value } = fc.letrec<{ value: Value; list: Array<Value> }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.uint8Array({ maxLength: 300 }).map((bytes) => toHex(bytes)),
      tie("list")
    ),
    list: fc.array(tie("value"), { maxLength: 6 })
  }))

  it("finds the items of a list where viem has put them", () =>
    fc.assert(
      fc.property(fc.array(value, { maxLength: 8 }), (items) => {
        const encoded = toRlp(items as ReadonlyArray<Hex>, "bytes")
        const found = itemsAt(encoded, 0, 8)
        assert.isDefined(found)
        assert.deepStrictEqual(
          found.map(({ end, start }) => toHex(encoded.subarray(start, end))),
          items.map((item) => toRlp(item as Hex))
        )
        assert.deepStrictEqual(
          found.map(({ list }) => list),
          items.map((item) => Array.isArray(item))
        )
        // One byte too few is no list, whichever is missing.
        if (encoded.length > 1) assert.isUndefined(itemAt(encoded, 0, encoded.length - 1))
        if (items.length > 0) assert.isUndefined(itemsAt(encoded, 0, items.length - 1))
      }),
      { numRuns: 300 }
    ))
})
