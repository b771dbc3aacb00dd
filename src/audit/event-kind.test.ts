import { expect, test } from 'vitest'
import { EVENT_KINDS, kindOf } from './event-kind.ts'

// oxfmt-ignore
const rows = [
  // event                            allowed            denied
  ['tools/call',                      'tool_call',       'tool_call'],
  ['initialize',                      'session_bind',    'access_decision'],
  ['tools/list',                      'request',         'access_decision'],
  ['notifications/tools/list_changed', 'request',        'access_decision'],
  ['ping',                            'request',         'access_decision'],
  ['create tokens',                   'token',           'access_decision'],
  ['edit tokens',                     'token',           'access_decision'],
  ['revoke tokens',                   'token',           'access_decision'],
  ['delete tokens',                   'token',           'access_decision'],
  ['create grants',                   'grant',           'access_decision'],
  ['delete grants',                   'grant',           'access_decision'],
  ['inject grants',                   'grant',           'grant'],
  ['refresh grants',                  'grant',           'grant'],
  ['exchange grants',                 'grant',           'grant'],
  ['register grants',                 'grant',           'grant'],
  ['create servers',                  'change',          'access_decision'],
  ['edit rolebindings',               'change',          'access_decision'],
  ['attach servers',                  'change',          'access_decision'],
  ['view secrets',                    'other',           'access_decision'],
  ['can-i delete servers',            'access_decision', 'access_decision'],
  ['can-i',                           'access_decision', 'access_decision'],
  ['who-can',                         'access_decision', 'access_decision'],
  ['sign-in local',                   'sign_in',         'sign_in'],
  ['sign-in acme',                    'sign_in',         'sign_in'],
  ['sign-out',                        'sign_in',         'sign_in'],
  ['delete signins',                  'sign_in',         'access_decision'],
  ['run daemon',                      'operation',       'access_decision'],
  ['run reveal-secret',               'operation',       'access_decision'],
  ['set-aside audit',                 'operation',       'access_decision'],
  ['refusals',                        'refusals',        'refusals'],
  ['gap',                             'gap',             'gap'],
  ['Something Else',                  'other',           'access_decision'],
  ['',                                'other',           'access_decision'],
] as const

test.each(rows)('%s is %s, or %s when it is denied', (event, allowed, denied) => {
  expect([kindOf(event, 'allow'), kindOf(event, 'deny')]).toEqual([allowed, denied])
})

test('each kind is the kind of something', () => {
  expect(new Set(rows.flatMap(([, ...kinds]) => kinds))).toEqual(new Set(EVENT_KINDS))
})
