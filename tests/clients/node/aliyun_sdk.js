'use strict';
// Adapter for aliyun-sdk, the older SDK for Node: `new ALY.CDN({ ... }).describeCdnService(params, callback)`.
// It describes only CDN's API of 2014. Other versions and actions are called through a service that is defined with
// the SDK's own defineService; the SDK builds, signs, sends and reads those requests with the same code.

const ALY = require('aliyun-sdk');
const serve = require('./lines');

const lowerFirst = (name) => name[0].toLowerCase() + name.slice(1);

/** Returns the SDK's own service if it has the action in this version, else a service that is defined here. */
function serviceFor(version, action, config) {
  const shipped = new ALY.CDN(config);
  if (version === shipped.api.apiVersion && shipped[lowerFirst(action)]) return shipped;
  const Defined = ALY.Service.defineService({
    format: 'pop',
    signatureVersion: 'pop',
    apiVersion: version,
    operations: { [lowerFirst(action)]: { name: action, http: { method: 'POST', uri: '/' } } },
  });
  return new Defined(config);
}

function call({ endpoint, key, secret, token, action, version, params }) {
  const service = serviceFor(version, action, {
    accessKeyId: key,
    secretAccessKey: secret,
    endpoint: `http://${endpoint}`,
    httpOptions: { timeout: 10000 },
    maxRetries: 0,
    // The SDK's own validation would refuse an opening without a charge type. It also sets Action.
    paramValidation: false,
  });
  const request = { Action: action, ...params, ...(token ? { SecurityToken: token } : {}) };
  return new Promise((resolve, reject) => {
    service[lowerFirst(action)](request, function answered(error, data) {
      const { statusCode, headers, body } = this.httpResponse;
      if (!error) resolve({ fields: data, status: statusCode, type: headers['content-type'] });
      else reject(Object.assign(error, { type: headers && headers['content-type'], reply: body && String(body) }));
    });
  });
}

function explain(error) {
  if (!error.statusCode || !error.reply) return null;
  return {
    code: error.code,
    shown: error.message,
    status: error.statusCode,
    type: error.type,
    body: JSON.parse(error.reply),
  };
}

serve(call, explain);
