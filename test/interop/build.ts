// Before the tries: the programs are built, or it is said why they cannot be.
import type { TestProject } from 'vitest/node'
import { goClient, type Programs, spire } from './go-programs.ts'

declare module 'vitest' {
  interface ProvidedContext {
    readonly goClient: Programs<'client'>
    readonly spire: Programs<'server' | 'agent'>
  }
}

export default function setup(project: TestProject): void {
  console.log('Building the programs; the first time SPIRE takes a quarter of an hour of one core.')
  project.provide('goClient', goClient())
  project.provide('spire', spire())
}
