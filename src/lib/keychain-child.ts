import { readFileSync } from 'node:fs'
import { Entry } from '@napi-rs/keyring'

/*
 * One question to the keychain of the system; started by who has asked, who kills it when it takes too long. What it
 * throws ends it with a status of its own, and nobody reads the words.
 */

const [action, account = ''] = process.argv.slice(2)

// On Linux without a Secret Service it would take the keyring of the kernel, which is empty after a restart.
const entry = new Entry('castellan', account, { linux: { store: 'secret-service' } })

if (action === 'set') entry.setPassword(readFileSync(0, 'utf8'))
if (action === 'delete') entry.deletePassword()
process.stdout.write(JSON.stringify({ credential: action === 'get' ? entry.getPassword() : null }))
