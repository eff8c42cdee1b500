'use strict';
// Adapter for @alicloud/pop-core, used as its README says: RPCClient.request(action, params, { method }).

const { RPCClient } = require('@alicloud/pop-core');
const serve = require('./lines');

async function call({ endpoint, key, secret, token, action, version, params, method }) {
  // With verbose, the SDK also returns the exchange, which has the HTTP status.
  const client = new RPCClient({
    endpoint: `http://${endpoint}`,
    apiVersion: version,
    accessKeyId: key,
    accessKeySecret: secret,
    securityToken: token || undefined,
  }, true);
  try {
    const [fields, entry] = await client.request(action, params, { method, timeout: 10000 });
    return { fields, status: entry.response.statusCode };
  } finally {
    client.keepAliveAgent.destroy();
  }
}

function explain(error) {
  if (!error.data || !error.entry) return null;
  return {
    code: error.code,
    message: error.data.Message,
    shown: error.message,
    status: error.entry.response.statusCode,
    requestId: error.data.RequestId,
    body: error.data,
  };
}

serve(call, explain);
