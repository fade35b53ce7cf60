package client

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/http/httpproxy"
)

// TestNoProxy: the items that the documentation has, each with hosts that it is about and others.
func TestNoProxy(t *testing.T) {
	for _, tt := range []struct{ items, direct, through string }{
		{"", "localhost 127.0.0.1 127.9.9.9:81 [::1]:80 [::ffff:127.0.0.1]", "mirror.example localhost.example 128.0.0.1 LOCALHOST"},
		{"*", "mirror.example 192.0.2.1 [2001:db8::1]", ""},
		{"a.example, * ", "mirror.example", ""},
		{"192.0.2.1", "192.0.2.1 192.0.2.1:81 [::ffff:192.0.2.1]", "192.0.2.2 192.0.2.1.example"},
		{"192.0.2.1:81", "192.0.2.1:81", "192.0.2.1 192.0.2.1:82"},
		{"2001:db8::1,[2001:db8::2]:80", "[2001:DB8::1]:81 [2001:db8:0::1] [2001:db8::1%25eth0] [2001:db8::2]", "[2001:db8::2]:81 [2001:db8::3]"},
		{"192.0.2.0/24 ,2001:db8::/32", "192.0.2.255 [2001:db8:9::]:81", "192.0.3.0 [2001:db9::] mirror.example"},
		{"Mirror.example", "mirror.example MIRROR.example:81 a.b.mirror.example", "amirror.example example mirror.example."},
		{"mirror.example:80", "mirror.example a.mirror.example:80", "mirror.example:81"},
		{".mirror.example", "a.mirror.example", "mirror.example"},
		{"*.mirror.example:80", "a.mirror.example", "mirror.example a.mirror.example:81"},
		{"bücher.example,.xn--mller-kva.example", "bücher.example BÜCHER.example xn--bcher-kva.example a.bücher.example www.müller.example", "bucher.example müller.example"},
		{":80,[],*mirror.example,mir*.example,mirror.example:,//mirror.example/", "mirror.example", "a.b amirror.example mirr.example mirror."},
	} {
		for want, hosts := range map[bool]string{true: tt.direct, false: tt.through} {
			for host := range strings.FieldsSeq(hosts) {
				u, err := url.Parse("http://" + host)
				if err != nil {
					t.Fatal(err)
				}
				if got := parseNoProxy(tt.items).has(u.Hostname(), port(u)); got != want {
					t.Errorf("%q has %s: %v", tt.items, host, got)
				}
				sameProxy(t, tt.items, "proxy.example:3128", u, false)
			}
		}
	}
}

// sameProxy holds the proxy for an address against the one that package httpproxy would take.
func sameProxy(t *testing.T, noProxy, proxy string, to *url.URL, cgi bool) {
	t.Helper()
	parsed, err := parseProxy(proxy)
	if err != nil {
		return // httpproxy passes over it
	}
	ours := proxies{http: parsed, https: parsed, direct: parseNoProxy(noProxy), cgi: cgi}
	got, err := ours.proxy(&http.Request{URL: to})
	theirs := httpproxy.Config{HTTPProxy: proxy, HTTPSProxy: proxy, NoProxy: noProxy, CGI: cgi}
	want, wantErr := theirs.ProxyFunc()(to)
	if (err == nil) != (wantErr == nil) || (got == nil) != (want == nil) || got != nil && got.String() != want.String() {
		t.Errorf("NO_PROXY %q, proxy %q, %q: %v, %v, want %v, %v", noProxy, proxy, to, got, err, want, wantErr)
	}
}

// FuzzNoProxy takes any text for NO_PROXY, a proxy and what is asked for.
func FuzzNoProxy(f *testing.F) {
	for _, s := range []struct{ items, proxy, to string }{
		{"mirror.example,.a.example:80", "http://proxy.example:3128", "https://mirror.example"},
		{"*.example,192.0.2.0/24", "proxy.example", "http://192.0.2.1:80/os"},
		{"[2001:db8::1]:443,*", "socks5://me:secret@proxy.example", "https://[2001:db8::1%25lo]"},
		{"bücher.example", "https://proxy.example", "http://BÜCHER.example"},
		{"::ffff:192.0.2.1,::ffff:192.0.2.0/120", "http://[::1]:80", "http://[::ffff:192.0.2.1]"},
	} {
		f.Add(s.items, s.proxy, s.to, false)
		f.Add(s.items, s.proxy, s.to, true)
	}
	f.Fuzz(func(t *testing.T, items, proxy, to string, cgi bool) {
		u, err := url.Parse(to)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(u.Hostname(), "[]") {
			return // such as http://], which nothing can dial
		}
		sameProxy(t, items, proxy, u, cgi)
	})
}
