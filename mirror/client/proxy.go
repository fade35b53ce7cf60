package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// errProxy is about a proxy's address; the address may have a password, and is not quoted.
var errProxy = errors.New("wanted is http://, https:// or socks5://HOST:PORT")

var errCGI = errors.New(
	"refusing to use HTTP_PROXY value in CGI environment; see golang.org/s/cgihttpproxy",
)

// proxyOf gives the proxy for each request: the one that was configured, or what HTTP_PROXY,
// HTTPS_PROXY and ALL_PROXY say. NO_PROXY counts for both; this machine's own servers are never
// asked for through one.
func proxyOf(configured string) (func(*http.Request) (*url.URL, error), error) {
	if configured == "none" {
		return nil, nil
	}
	p := proxies{direct: parseNoProxy(environment("no_proxy", "NO_PROXY"))}
	if configured != "" {
		u, err := parseProxy(configured)
		if err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
		p.http, p.https = u, u
		return p.proxy, nil
	}
	p.cgi = os.Getenv("REQUEST_METHOD") != ""
	all := environment("ALL_PROXY", "all_proxy")
	for name, to := range map[string]**url.URL{"HTTP_PROXY": &p.http, "HTTPS_PROXY": &p.https} {
		value := environment(strings.ToLower(name), name)
		if value == "" {
			name, value = "ALL_PROXY", all
		}
		u, err := parseProxy(value)
		if err != nil {
			return nil, fmt.Errorf("%s of the environment: %w", name, err)
		}
		*to = u
	}
	return p.proxy, nil
}

// environment reads the first of some variables that is set.
func environment(names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// parseProxy reads a proxy's address; without a scheme it is http's. It is nil for none.
func parseProxy(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return nil, errProxy
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, errProxy
}

// proxies are what requests take.
type proxies struct {
	http, https *url.URL // by the request's scheme; nil: none
	direct      noProxy
	cgi         bool // this is a CGI program: a client's header Proxy comes as HTTP_PROXY
}

// proxy gives a request's proxy, or nil.
func (p proxies) proxy(r *http.Request) (*url.URL, error) {
	var proxy *url.URL
	switch r.URL.Scheme {
	case "http":
		proxy = p.http
	case "https":
		proxy = p.https
	}
	switch {
	case proxy == nil:
		return nil, nil
	case r.URL.Scheme == "http" && p.cgi:
		return nil, errCGI
	case p.direct.has(r.URL.Hostname(), port(r.URL)):
		return nil, nil
	}
	return proxy, nil
}

// unproxied tells whether a mirror is asked without a proxy.
func unproxied(proxy func(*http.Request) (*url.URL, error), mirror *url.URL) bool {
	if proxy == nil {
		return true
	}
	p, err := proxy(&http.Request{URL: mirror})
	return err == nil && p == nil
}

// throughTLS tells whether a mirror is asked through a proxy that is spoken to in TLS.
func throughTLS(proxy func(*http.Request) (*url.URL, error), mirror *url.URL) bool {
	if proxy == nil {
		return false
	}
	for _, scheme := range []string{"http", "https"} { // a server may redirect to its https
		u := *mirror
		u.Scheme = scheme
		if p, err := proxy(&http.Request{URL: &u}); err == nil && p != nil && p.Scheme == "https" {
			return true
		}
	}
	return false
}

// proxyDialer dials what is spoken to in TLS before anything else: a proxy, or the mirror itself
// where no proxy is in between. The client's certificate is for the mirror alone; a transport would
// show it to a proxy that asks for one. What goes through the proxy has its own TLS inside of this.
func proxyDialer(mirror *url.URL, c *credentials,
	timeout time.Duration) func(context.Context, string, string) (net.Conn, error) {
	dial := http.DefaultTransport.(*http.Transport).DialContext
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		config := c.dialed(mirror, addr)
		config.ServerName = host
		// certificates take seconds over a thin line
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return secure, nil
	}
}

// dialed gives what is spoken in TLS to a host and port, in which a transport has names as DNS has
// them: the client's certificate is there for the mirror alone.
func (c *credentials) dialed(mirror *url.URL, addr string) *tls.Config {
	switch {
	case sameOrigin(mirror, &url.URL{Scheme: "https", Host: addr}):
		config := c.own.Clone()
		config.NextProtos = []string{"h2", "http/1.1"}
		return config
	case c.tls != nil:
		return c.tls.Clone()
	}
	return &tls.Config{}
}
