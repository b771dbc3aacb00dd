import { printText } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { usage } from '../failure.ts'

/** Each script hands the words of the line to `castellan __complete`, which knows the verbs and asks the daemon. */
// oxfmt-ignore
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_castellan() {
  local line candidates=() word="\${COMP_WORDS[COMP_CWORD]}"
  while IFS= read -r line; do candidates+=("\${line%%$'\\t'*}"); done \\
    < <(castellan __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=("\${candidates[@]}")
  if [ \${#candidates[@]} -eq 0 ]; then
    compopt -o default 2>/dev/null
  fi
  [ "\${word}" ] || true
}
complete -F _castellan castellan
`,
  zsh: `#compdef castellan
_castellan() {
  local line
  local -a candidates
  for line in "\${(@f)$(castellan __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( \${#candidates} )); then _describe 'castellan' candidates; else _files; fi
}
if [ "\${funcstack[1]}" = "_castellan" ]; then _castellan "$@"; else compdef _castellan castellan; fi
`,
  fish: `function __castellan_complete
  set -l words (commandline -opc) (commandline -ct)
  castellan __complete -- $words[2..-1] 2>/dev/null
end
complete -c castellan -f -n 'test (count (__castellan_complete)) -gt 0' -a '(__castellan_complete)'
`,
}

export const completion = defineCommand({
  arguments: ['<shell>'],
  complete: [Object.keys(SCRIPTS)],
  options: {},
  globals: [],
  about: 'Load it from the start-up file of the shell.',
  examples: [
    'source <(castellan completion bash)',
    'castellan completion zsh > "${fpath[1]}/_castellan"',
    'castellan completion fish > ~/.config/fish/completions/castellan.fish',
  ],
  async run({ args: [shell = ''], context }) {
    const script = SCRIPTS[shell]
    if (script === undefined)
      throw usage('there is no completion for that shell', 'use one of: bash, zsh, fish')
    printText(context.stdout, script)
    return 0
  },
})
