// What the process inside tells the one outside, over the channel that Node makes between them. Sockets come with a message each.

/** The sockets, by what they are for. */
export type Purpose = 'proxy' | 'redirected4' | 'redirected6' | 'datagrams4' | 'datagrams6' | 'streams4' | 'streams6'

export type Word =
  | { readonly socket: Purpose }
  /** A port that is to lead to that of the machine. */
  | { readonly localhost: number }
  /** All of them are handed over; `diagnosis` is a descriptor of the sender, whose pid this is, to be taken from it. */
  | { readonly ready: true; readonly pid: number; readonly diagnosis: number | undefined }
  | { readonly problem: string }
