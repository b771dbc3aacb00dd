import { awsCheck } from '../../aws/check.ts'
import { defineProvider, optional, shownField } from '../define-provider.ts'

export const aws = defineProvider({
  id: 'aws',
  title: 'AWS role',
  description:
    'A role that the identity of this machine may assume. Its credentials are real and enter the sandbox, for 15 minutes unless said otherwise.',
  fields: [
    shownField('role', 'ARN of the role', {
      pattern: /^arn:aws(?:-[a-z]+)*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/,
      hint: 'must be the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME',
    }),
    optional(
      shownField('region', 'Region', {
        pattern: /^[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}$/,
        hint: 'must be a region, such as eu-central-1',
      }),
    ),
    optional(
      shownField('sessionDuration', 'How long its credentials live', {
        pattern: /^(?:1[5-9]|[2-9]\d|[1-6]\d{2}|7[01]\d|720)m$|^(?:[1-9]|1[0-2])h$/,
        hint: 'must be 15m to 12h',
      }),
    ),
    optional(
      shownField('externalId', 'External id', {
        pattern: /^[\w+=,.@:/][\w+=,.@:/-]{1,1223}$/,
        hint: 'must be 2 to 1224 characters of an external id',
      }),
    ),
    optional(
      shownField('awsProfile', 'Profile of the aws command', {
        pattern: /^[\w.@+][\w.@+ -]{0,127}$/,
        hint: 'must be the name of a profile in ~/.aws/config',
      }),
    ),
  ],
  sees: [{ as: 'process', path: '.aws/config' }],
  sources: [{ kind: 'reader', name: 'aws-profile', fields: ['awsProfile', 'region'] }],
  check: awsCheck,
  runsOnly: true,
})
