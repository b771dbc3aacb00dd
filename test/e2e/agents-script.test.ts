import { describe, expect, test } from 'vitest'
import { decide, findTool, parseScript, type Turn } from '../agents/script.ts'

const prompt: Turn = { kind: 'prompt', text: 'run 1\nCALL echo {"n":1}\nHOOK restart\nCALL echo {"n":2}' }
const result = (text: string): Turn => ({ kind: 'result', text, failed: false })
const offered = ['mcp__gw__srv__echo', 'Bash']

async function play(turns: readonly Turn[]) {
  const hooks: string[] = []
  const decision = await decide(turns, offered, async (name) => void hooks.push(name))
  return { decision, hooks }
}

describe('the scripted model', () => {
  test('asks for one tool a turn, in order, and runs a hook just before the call that follows it', async () => {
    const call = (n: number) => ({ kind: 'call', tool: 'mcp__gw__srv__echo', args: { n } })
    expect(await play([prompt])).toEqual({ decision: call(1), hooks: [] })
    expect(await play([prompt, result('one')])).toEqual({ decision: call(2), hooks: ['restart'] })
    expect(await play([prompt, result('one'), result('two')])).toEqual({
      decision: { kind: 'say', text: 'FINAL:\n[1] one\n[2] two' },
      hooks: [],
    })
  })

  test('says which tools there were when the wanted one was not among them', async () => {
    const asked: Turn = { kind: 'prompt', text: 'CALL nothing {}' }
    const { decision } = await play([asked])
    expect(decision).toEqual({
      kind: 'say',
      text: 'FINAL:\nthe tool nothing is not offered; offered: mcp__gw__srv__echo, Bash',
    })
  })

  test('follows the newest prompt that has a step', async () => {
    const later: Turn = { kind: 'prompt', text: 'a reminder without steps' }
    expect((await play([prompt, later])).decision).toMatchObject({ args: { n: 1 } })
  })

  // oxfmt-ignore
  test.each([
    ['srv__get-sum', 'mcp_gw_srv__get-sum'],   // Gemini CLI
    ['srv__get-sum', 'mcp__gw|srv__get_sum'],  // Codex
    ['get-sum',      'mcp__gw__srv__get-sum'], // Claude Code
  ])('%s is found as %s', (wanted, name) => expect(findTool(wanted, ['x', name])).toBe(name))

  test('a CALL whose arguments are no JSON is a mistake of the test', () => {
    expect(() => parseScript('CALL echo {nope}')).toThrow(SyntaxError)
  })
})
