// A run that is worse than a committed figure must fail.
import { expect, test } from 'vitest'
import { heldAgainst, readFloors } from '../../bench/floors.ts'

const floors = { atLeast: { 'a ÷ b': 0.8 }, atMost: { ms: 100 } }

test('says which figure is worse than it may be', () => {
  expect(heldAgainst(floors, { 'a ÷ b': 0.7, ms: 120 })).toEqual([
    'a ÷ b is 0.70, the floor is 0.8',
    'ms is 120.00, the ceiling is 100',
  ])
})

test('says nothing of figures that hold or were not measured', () => {
  expect(heldAgainst(floors, { 'a ÷ b': 0.8 })).toEqual([])
})

test('the committed floors can be read', () => {
  expect(Object.keys(readFloors().atLeast)).not.toHaveLength(0)
})
