import { expect, test } from 'vitest'
import { takeVariables } from './take-variables.ts'

test('what is taken is not in the environment any longer, and the rest stays as it was', () => {
  const env = {
    APP_SECRET_A: 'a',
    APP_SECRET_EMPTY: '',
    APP_SECRET_DIRS: '/run/secrets',
    APP_OTHER: 'b',
    app_secret_a: 'c',
    MY_APP_SECRET_A: 'd',
    APP_SECRET_GONE: undefined,
  }
  const taken = takeVariables(env, 'APP_SECRET_', ['APP_SECRET_DIRS'])
  expect([...taken.keys()]).toEqual(['APP_SECRET_A', 'APP_SECRET_EMPTY'])
  expect(env).toEqual({
    APP_SECRET_DIRS: '/run/secrets',
    APP_OTHER: 'b',
    app_secret_a: 'c',
    MY_APP_SECRET_A: 'd',
    APP_SECRET_GONE: undefined,
  })
  expect(Object.keys(env)).not.toContain('APP_SECRET_A')
})
