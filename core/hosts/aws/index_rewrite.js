// Runs at the edge before the cache is asked. A private bucket knows no folders, so a folder's
// address becomes that of its index document.

function handler(event) {
  var request = event.request;
  var uri = request.uri;
  if (uri.endsWith('/')) {
    request.uri = uri + 'index.html';
    return request;
  }
  if (uri.startsWith('/.well-known/') || lastSegment(uri).includes('.')) {
    return request;
  }
  return {
    statusCode: 301,
    statusDescription: 'Moved Permanently',
    headers: {
      'cache-control': { value: 'no-cache' },
      location: { value: folder(uri) + query(request) },
    },
  };
}

function lastSegment(uri) {
  return uri.slice(uri.lastIndexOf('/') + 1);
}

// Browsers take '//host' and '/\host' for another site, so every leading one goes.
function folder(uri) {
  var path = uri.replace(/^[\/\\\s]+/, '');
  return path === '' ? '/' : '/' + path + '/';
}

function query(request) {
  if (typeof request.rawQueryString === 'function') {
    var raw = request.rawQueryString();
    return raw === undefined ? '' : '?' + raw;
  }
  var pairs = [];
  for (var name in request.querystring) {
    var values = request.querystring[name].multiValue || [request.querystring[name]];
    for (var i = 0; i < values.length; i += 1) {
      pairs.push(name + '=' + values[i].value);
    }
  }
  return pairs.length === 0 ? '' : '?' + pairs.join('&');
}
