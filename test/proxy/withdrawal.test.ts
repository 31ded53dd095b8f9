import { describe, expect, it, vi } from 'vitest'
import { Refusal } from '../../proxy/refusal.ts'
import { abortSignalOf, Withdrawal } from '../../proxy/withdrawal.ts'

describe('a withdrawal', () => {
  it('tells each who listens, once, and keeps the first reason', () => {
    const withdrawal = new Withdrawal()
    const [one, other, gone] = [vi.fn(), vi.fn(), vi.fn()]
    withdrawal.addEventListener('abort', one)
    withdrawal.addEventListener('abort', other)
    withdrawal.addEventListener('abort', gone)
    withdrawal.removeEventListener('abort', gone)
    expect(withdrawal.aborted).toBe(false)
    const reason = new Refusal('client_gone')
    withdrawal.abort(reason)
    withdrawal.abort(new Refusal('shutting_down'))
    expect(withdrawal.reason).toBe(reason)
    expect([one, other, gone].map((listener) => listener.mock.calls.length)).toEqual([1, 1, 0])
  })

  it('reaches who takes an AbortSignal alone, before and after it came', () => {
    const withdrawal = new Withdrawal()
    const before = abortSignalOf(withdrawal)
    expect(before.aborted).toBe(false)
    const reason = new Refusal('client_gone')
    withdrawal.abort(reason)
    expect(before.reason).toBe(reason)
    expect(abortSignalOf(withdrawal).reason).toBe(reason)
  })

  it('is not needed where there is an AbortSignal already', () => {
    const { signal } = new AbortController()
    expect(abortSignalOf(signal)).toBe(signal)
  })
})
