const http2 = require('http2');
t(() => Object.entries(http2.constants).map(([name, value]) => `${name}=${value}`).sort().join(' '));
t(() => http2.getDefaultSettings().maxFrameSize);
t(() => typeof http2.connect + typeof http2.createSecureServer + typeof http2.sensitiveHeaders);
t(() => new Buffer.alloc(2).length + new Buffer.from('abc').length + new Buffer.allocUnsafe(1).length);
