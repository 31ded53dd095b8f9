import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkPlan, describePlan, type Plan, readPlan } from '../../../deploy/redirect/plan.ts'

const port = fc.integer({ min: 1, max: 65_535 })
const plans: fc.Arbitrary<Plan> = fc.record({
  uid: fc.integer({ min: 1, max: 0xffff_fffe }),
  port,
  ports: fc.integer({ min: 1, max: 64 }),
  dnsPort: fc.option(port, { nil: undefined }),
  inbound: fc.boolean(),
})
const usual: Plan = { uid: 1337, port: 15_001, ports: 8, dnsPort: 15_053, inbound: true }

describe('a plan', () => {
  it('is read again as it was described', () => {
    fc.assert(fc.property(plans, (plan) => void expect(readPlan(describePlan(plan))).toEqual(plan)))
  })

  it('is nothing else that could stand there', () => {
    fc.assert(fc.property(fc.string(), (text) => void expect(readPlan(text)).toBeUndefined()))
    expect(readPlan(`${describePlan(usual)} `)).toBeUndefined()
  })

  it.each<[Partial<Plan>, string]>([
    [{ uid: 0 }, 'user 0 cannot be the exempted one: whatever runs as root would be exempt'],
    [{ uid: 0xffff_ffff }, 'the user id is too large'],
    [{ port: 53 }, 'port 53 is what is redirected, so it cannot be where to'],
    [{ dnsPort: 53 }, 'port 53 is what is redirected, so it cannot be where to'],
    [{ port: 46 }, 'port 53 is what is redirected, so it cannot be where to'],
    [{ dnsPort: 15_001 }, 'TCP is redirected to the ports 15001-15008, so DNS needs another one'],
    [{ dnsPort: 15_008 }, 'TCP is redirected to the ports 15001-15008, so DNS needs another one'],
    [{ port: 65_529 }, 'TCP takes 8 ports, so the first is 65528 at most'],
  ])('with %j is refused', (change, problem) => {
    expect(checkPlan({ ...usual, ...change })).toBe(problem)
  })

  it('that works together is not', () => {
    expect(checkPlan(usual)).toBeUndefined()
    expect(checkPlan({ ...usual, dnsPort: undefined })).toBeUndefined()
    expect(checkPlan({ ...usual, dnsPort: 15_009 })).toBeUndefined()
    expect(checkPlan({ ...usual, port: 65_528 })).toBeUndefined()
  })
})
