package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

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
		for name, value := range map[string]*string{"HTTP_PROXY": &c.HTTPProxy, "HTTPS_PROXY": &c.HTTPSProxy} {
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
