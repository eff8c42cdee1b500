'use strict';

// A call that ends with a status; grpc-js reads `code` and `details`.
class Refused extends Error {
  constructor(code, details) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

module.exports = { Refused };
