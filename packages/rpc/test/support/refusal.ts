/** What is said of options that are refused; `taken` if they are not. */
export const refusal = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    return (error as Error).message
  }
  return "taken"
}
