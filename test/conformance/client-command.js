// What the suite runs as the client under test: passes the scenario on to the process that holds daemon and clients,
// so that forty scenarios at once do not start forty of each.
import { request } from 'node:http'

const [driver = '', server = ''] = process.argv.slice(2)
const { MCP_CONFORMANCE_SCENARIO, MCP_CONFORMANCE_PROTOCOL_VERSION, MCP_CONFORMANCE_CONTEXT } = process.env

const posted = request(driver, { method: 'POST' }, (response) => {
  response.pipe(process.stderr)
  response.on('end', () => (process.exitCode = response.statusCode === 200 ? 0 : 1))
})
posted.end(
  JSON.stringify({
    scenario: MCP_CONFORMANCE_SCENARIO,
    revision: MCP_CONFORMANCE_PROTOCOL_VERSION,
    context: MCP_CONFORMANCE_CONTEXT === undefined ? {} : JSON.parse(MCP_CONFORMANCE_CONTEXT),
    server,
  }),
)
