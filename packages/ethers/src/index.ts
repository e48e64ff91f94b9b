export { HawserProvider, type Options, type Source } from "./HawserProvider.ts"
