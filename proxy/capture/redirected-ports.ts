// The ports to which connections are turned round: several, so that each connection keeps the port that it came from.

/**
 * Ports of a `redirected` listener, one after the other from its own on. Clients use one source port for several
 * destinations at once. Turned round to a single place these would be one connection to the kernel, so it would give all
 * but the first another source port, and nobody could tell whose they are. Of several places it takes one that is free.
 */
export const redirectedPorts = 8

/** @param first the port that the configuration or the rules name */
export const portsFrom = (first: number, count: number = redirectedPorts): readonly number[] =>
  Array.from({ length: count }, (_, index) => first + index)
