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

	"golang.org/x/net/http/httpproxy"
)

// errProxy is about a proxy's address; the address may have a password, and is not quoted.
var errProxy = errors.New("wanted is http://, https:// or socks5://HOST:PORT")

// proxyOf gives the proxy for each request: the one that was configured, or what HTTP_PROXY,
// HTTPS_PROXY and ALL_PROXY say. NO_PROXY counts for both; this machine's own servers are never
// asked for through one.
func proxyOf(configured string) (func(*http.Request) (*url.URL, error), error) {
	if configured == "none" {
		return nil, nil
	}
	c := httpproxy.FromEnvironment()
	if configured != "" {
		if err := checkProxy(configured); err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
		c.HTTPProxy, c.HTTPSProxy, c.CGI = configured, configured, false
	} else {
		all := environment("ALL_PROXY")
		for name, value := range map[string]*string{"HTTP_PROXY": &c.HTTPProxy,
			"HTTPS_PROXY": &c.HTTPSProxy} {
			if *value == "" {
				name, *value = "ALL_PROXY", all
			}
			if err := checkProxy(*value); err != nil {
				return nil, fmt.Errorf("%s of the environment: %w", name, err)
			}
		}
	}
	proxy := c.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return proxy(r.URL) }, nil
}

// environment reads a variable in either case.
func environment(name string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return os.Getenv(strings.ToLower(name))
}

// checkProxy looks at an address that package httpproxy would pass over in silence.
func checkProxy(s string) error {
	if s == "" {
		return nil
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return errProxy
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return nil
	}
	return errProxy
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
		config := &tls.Config{}
		switch {
		case strings.EqualFold(host, mirror.Hostname()):
			config = c.own.Clone()
			config.NextProtos = []string{"h2", "http/1.1"}
		case c.tls != nil:
			config = c.tls.Clone()
		}
		config.ServerName = host
		ctx, cancel := context.WithTimeout(ctx, timeout) // certificates take seconds over a thin line
		defer cancel()
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return secure, nil
	}
}
