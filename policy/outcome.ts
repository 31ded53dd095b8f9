// What a condition says of a question. `unreadable` counts against the request: it satisfies a deny and fails an allow.
export type Outcome = 'met' | 'unmet' | 'unreadable'
