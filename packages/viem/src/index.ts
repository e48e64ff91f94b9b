export { type Attributes, hawser, type HawserTransport, type Options, type Source } from "./Transport.ts"
