package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
)

// noProxy lists the hosts that are asked without a proxy, as NO_PROXY does: items with commas
// between them, in letters of either case.
//
//	192.0.2.1       an address
//	192.0.2.0/24    a network
//	example.com     a host and all hosts below it
//	.example.com    all hosts below it; so is *.example.com
//
// The item * is every host. An address and a host may have a port, [2001:db8::1]:80 or
// example.com:80, and then count for that port alone. An item that is none of these matches no
// host.
//
// The rules are those of golang.org/x/net/http/httpproxy, which would bring a second copy of
// net/http's tables of Unicode.
type noProxy []exception

// exception is an item of NO_PROXY.
type exception struct {
	all     bool
	network *net.IPNet // also one address; nil: a host
	below   string     // how the names below a host end: with a dot and its name
	itself  bool       // the host counts, too
	port    string     // "": each
}

// parseNoProxy reads what NO_PROXY says.
func parseNoProxy(s string) noProxy {
	var l noProxy
	for item := range strings.SplitSeq(s, ",") {
		if e, ok := parseException(strings.ToLower(strings.TrimSpace(item))); ok {
			l = append(l, e)
		}
	}
	return l
}

// parseException reads an item in small letters; it is none without a host.
func parseException(item string) (e exception, ok bool) {
	if item == "*" {
		return exception{all: true}, true
	}
	if _, network, err := net.ParseCIDR(item); err == nil {
		return exception{network: network}, true
	}
	host, port, err := net.SplitHostPort(item)
	if err != nil {
		host, port = item, ""
	}
	if ip := net.ParseIP(host); ip != nil {
		bits := 8 * len(ip)
		network := &net.IPNet{IP: ip, Mask: net.CIDRMask(bits, bits)}
		return exception{network: network, port: port}, true
	}
	if host == "" {
		return exception{}, false
	}
	if strings.HasPrefix(host, "*.") {
		host = host[1:]
	}
	itself := host[0] != '.'
	if itself {
		host = "." + host
	}
	return exception{below: asciiName(host), itself: itself, port: port}, true
}

// has tells whether a host is asked without a proxy. This machine always is.
func (l noProxy) has(host, port string) bool {
	host = asciiName(host)
	if local(host) {
		return true
	}
	ip := parseAddress(host)
	host = strings.ToLower(strings.TrimSpace(host))
	for _, e := range l {
		if e.matches(host, ip) && (e.port == "" || e.port == port) {
			return true
		}
	}
	return false
}

// matches tells whether an exception is about a host, of which ip is the address if it is one.
func (e exception) matches(host string, ip net.IP) bool {
	switch {
	case e.all:
		return true
	case e.network != nil:
		return ip != nil && e.network.Contains(ip)
	}
	return ip == nil && (strings.HasSuffix(host, e.below) || e.itself && host == e.below[1:])
}

// parseAddress reads an IP address, of which a zone does not count; nil: it is none.
func parseAddress(host string) net.IP {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	return a.AsSlice()
}

// asciiName gives a name with letters beyond ASCII as DNS has it, or as it is if DNS has none such.
// net/http has the tables for that, and shows such a name to what dials.
func asciiName(name string) string {
	beyond := func(r rune) bool { return r > unicode.MaxASCII }
	if !strings.ContainsFunc(name, beyond) || strings.ContainsAny(name, ":[]") {
		return name
	}
	dial := func(_ context.Context, _, addr string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(addr); err == nil {
			name = host
		}
		return nil, errors.ErrUnsupported
	}
	r := &http.Request{URL: &url.URL{Scheme: "http", Host: name}, Header: http.Header{}}
	_, _ = (&http.Transport{DialContext: dial}).RoundTrip(r) // nobody is asked
	return name
}
