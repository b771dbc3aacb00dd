import { AgentProtocolError, fieldsOf } from './wire.ts'

/** SSH_MSG_USERAUTH_REQUEST */
const USERAUTH_REQUEST = 50

/**
 * Whether the bytes that an agent is asked to sign are a login with that key and nothing else: RFC 4252 §7, or the
 * form of OpenSSH that also names the key of the host. An agent signs whatever it is given; what it is asked for here
 * could otherwise be a commit, a file or a certificate.
 */
export function isLogin(data: Buffer, blob: Buffer): boolean {
  try {
    const fields = fieldsOf(data)
    const sessionId = fields.string()
    const type = fields.byte()
    fields.string() // the name of the user
    const service = fields.string().toString('latin1')
    const method = fields.string().toString('latin1')
    const hasSignature = fields.byte()
    fields.string() // the algorithm
    const key = fields.string()
    const namesHost = method === 'publickey-hostbound-v00@openssh.com'
    if (namesHost) fields.string()
    return (
      // RFC 4253 §7.2: a hash of the key exchange. A magic word such as that of SSHSIG is no length of one.
      sessionId.length >= 16 &&
      sessionId.length <= 64 &&
      type === USERAUTH_REQUEST &&
      service === 'ssh-connection' &&
      (namesHost || method === 'publickey') &&
      hasSignature === 1 &&
      key.equals(blob) &&
      fields.isAtEnd()
    )
  } catch (error) {
    if (error instanceof AgentProtocolError) return false
    throw error
  }
}
