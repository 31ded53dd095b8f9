// What /proc/self/status says of the agent’s rights, judged.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { judgePrivileges } from '../../../cli/doctor/privileges.ts'

const none = '0000000000000000'
/** What containerd gives out unless told otherwise: SETUID, SETGID and NET_RAW are in it. */
const usual = '00000000a80425fb'

const status = ({ eff = none, prm = none, inh = none, amb = none, bnd = none, locked = true }) =>
  `Name:\tnode\nUid:\t1000\t1000\t1000\t1000\nCapInh:\t${inh}\nCapPrm:\t${prm}\nCapEff:\t${eff}\nCapBnd:\t${bnd}\nCapAmb:\t${amb}\nNoNewPrivs:\t${locked ? 1 : 0}\nSeccomp:\t2\n`

describe('the privileges of an agent', () => {
  it('are red where it has what could take the wall down, in whichever set', () => {
    for (const set of ['eff', 'prm', 'inh', 'amb'] as const) {
      const { state, saw, todo } = judgePrivileges(status({ [set]: usual }), true)
      expect([set, state, saw]).toEqual([set, 'red', 'The agent has the capabilities SETGID, SETUID, NET_RAW.'])
      expect(todo).toContain('drop: [ALL]')
    }
  })

  it('are red where a setuid program could give it, and something depends on it', () => {
    const loose = status({ bnd: usual, locked: false })
    expect(judgePrivileges(loose, true)).toMatchObject({
      state: 'red',
      saw: expect.stringContaining('no_new_privs is not set'),
    })
    expect(judgePrivileges(loose, false)).toMatchObject({ state: 'skipped' })
  })

  it('are green where none can be got', () => {
    expect(judgePrivileges(status({ bnd: usual }), true)).toMatchObject({
      state: 'green',
      saw: expect.stringContaining('no_new_privs'),
    })
    expect(judgePrivileges(status({ locked: false }), true)).toMatchObject({ state: 'green' })
    // CHOWN and NET_BIND_SERVICE are nothing to us.
    expect(judgePrivileges(status({ eff: '0000000000000401' }), true)).toMatchObject({ state: 'green' })
  })

  it('are left out where the kernel does not say them', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        expect(judgePrivileges(text, true).state).toBe('skipped')
      }),
    )
  })
})
