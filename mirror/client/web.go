package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxRedirects = 5
	idlePerHost  = 8 // connections kept for the next request; what parallel readers use at most

	// the text of an error for which a connection is kept
	drainMax  = 4 << 10
	drainTime = time.Second
)

var (
	errStalled  = errors.New("not one byte came in time")
	errRedirect = errors.New("redirect refused")
)

// newWeb makes the mirror at an address.
func (c *Client) newWeb(base *url.URL) (*webSource, error) {
	o := c.o
	var h HTTP
	if o.HTTP != nil {
		h = o.HTTP(strings.ToLower(base.Host))
	}
	proxy, err := proxyOf(h.Proxy)
	if err != nil {
		return nil, err
	}
	secrets, err := h.read()
	if err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	dialer := &dialer{dial: t.DialContext, dialed: map[string]int{}}
	t.DialContext = dialer.DialContext
	t.Proxy = proxy
	t.OnProxyConnectResponse = refusedByProxy
	t.MaxIdleConnsPerHost = idlePerHost
	t.DisableCompression = true
	t.TLSHandshakeTimeout = o.Timeout // certificates take seconds over a thin line
	// A dead HTTP/2 connection would swallow every retry: it is pinged and given up.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: o.Timeout, PingTimeout: o.Timeout}
	if secrets.tls != nil {
		t.TLSClientConfig = secrets.tls
	}
	origin := &originTransport{mirror: base, header: secrets.header, own: t, other: t}
	if secrets.own != nil {
		origin.own = t.Clone()
		origin.own.TLSClientConfig = secrets.own
		if throughTLS(proxy, base) {
			origin.own.DialTLSContext = proxyDialer(base, secrets, o.Timeout)
		}
	}
	w := &webSource{
		client: &http.Client{
			Transport:     origin,
			CheckRedirect: checkRedirect,
		}, userAgent: o.userAgent, base: base, meter: newMeter(o),
		dialer: dialer, connections: o.Connections, direct: unproxied(proxy, base),
		watch: func(cancel context.CancelCauseFunc) *watchdog {
			return newWatchdog(o.Timeout, c.active.Load, func() { cancel(errStalled) })
		},
	}
	for _, text := range secrets.warnings {
		c.log(Event{Mirror: w.String(), Text: text})
	}
	if base.Scheme == "http" && len(secrets.header) > 0 && !local(base.Hostname()) {
		c.log(
			Event{
				Mirror: w.String(),
				Text:   w.String() + ": the token or the headers for it are not encrypted on the way",
			},
		)
	}
	return w, nil
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL.Scheme
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d", errRedirect, maxRedirects)
	case req.URL.Scheme != "https" && (req.URL.Scheme != "http" || from == "https"):
		return fmt.Errorf("%w: from %s to %.20s", errRedirect, from, req.URL.Scheme)
	}
	req.Header.Del("Referer") // the query of an address may hold a token
	return nil
}

// webSource is a mirror behind http or https.
type webSource struct {
	client    *http.Client
	userAgent string
	watch     func(context.CancelCauseFunc) *watchdog
	base      *url.URL
	meter     *meter

	dialer      *dialer
	connections int  // see Options
	direct      bool // no proxy is in between
	spreads     atomic.Bool
}

// slow tells whether the mirror has been found too slow.
func (w *webSource) slow() bool { return w.meter.verdicts() > 0 }

func (w *webSource) String() string { return shown(w.base) }

// url is where a file lies, without user and password. A plus sign is escaped: object stores take
// it for a space.
func (w *webSource) url(name string) string {
	u := w.base.JoinPath(name)
	u.User = nil
	u.RawPath = strings.ReplaceAll(u.EscapedPath(), "+", "%2B")
	return u.String()
}

func (w *webSource) open(ctx context.Context, q request) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	body := &webBody{
		ctx:    ctx,
		cancel: cancel,
		dog:    w.watch(cancel),
		meter:  w.meter,
		found:  w.meter.verdicts(),
	}
	if w.direct && w.base.Scheme == "http" {
		w.openMore(ctx)
	}
	ans, err := w.send(ctx, q, body)
	if err != nil {
		_ = body.Close()
		return nil, err
	}
	return ans, nil
}

func (w *webSource) send(ctx context.Context, q request, body *webBody) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url(q.name), nil)
	if err != nil {
		return nil, &failure{kind: refusedFailure, err: errors.New("not a valid URL")}
	}
	req.Header.Set("User-Agent", w.userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	if q.fresh {
		req.Header.Set("Cache-Control", "no-cache")
	}
	if q.length >= 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", q.offset, q.offset+q.length-1))
	}
	resp, err := w.header(req, body)
	if err != nil {
		return nil, requestFailure(ctx, err)
	}
	body.body = resp.Body
	if w.direct && resp.ProtoMajor == 1 && resp.Request.URL.Host == w.base.Host {
		w.openMore(ctx)
	}
	ans, err := checkResponse(resp, q)
	if err != nil {
		return nil, err
	}
	if err := w.meter.verdict(body.found); err != nil {
		return nil, err
	}
	ans.body = body
	return ans, nil
}

// openMore opens the connections that requests will want at once: for HTTP/1 with the first request
// where no TLS is, and with the first answer where that shows what the server speaks. Over HTTP/2
// one connection carries all.
func (w *webSource) openMore(ctx context.Context) {
	addr := net.JoinHostPort(asciiName(w.base.Hostname()), port(w.base))
	w.dialer.ahead(ctx, "tcp", addr, w.connections)
	w.spreads.Store(true)
}

// spread is over how many open connections a file may come at once.
func (w *webSource) spread() int {
	if w.spreads.Load() {
		return w.connections
	}
	return 1
}

// header waits for the header of an answer, and for the first bytes of one that may be a web page.
func (w *webSource) header(req *http.Request, body *webBody) (resp *http.Response, err error) {
	body.dog.wake()
	w.meter.wait()
	defer func() {
		body.dog.rest()
		w.meter.got(0, err == nil)
	}()
	resp, err = w.client.Do(req)
	if err != nil || resp.StatusCode == http.StatusPartialContent {
		return resp, err
	}
	if resp.StatusCode != http.StatusOK {
		body.drain(resp)
		return resp, nil
	}
	if err = checkPage(resp, w.base.Host); err != nil {
		_ = resp.Body.Close() // of no use
		return nil, err
	}
	return resp, nil
}

// requestFailure judges why no answer came. The URL in net/http's errors is dropped:
// messages name the mirror without its password.
func requestFailure(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errStalled) {
		return &failure{kind: passingFailure, err: errStalled}
	}
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) || errors.Is(err, errRedirect) {
		return &failure{kind: refusedFailure, err: err}
	}
	if refusedCertificate(err) {
		return &failure{kind: refusedFailure, err: &denied{err}}
	}
	return asFailure(err)
}

// refusedCertificate tells whether the server says in TLS that it wants a certificate, or another
// one.
func refusedCertificate(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return false
	}
	text := op.Err.Error()
	return strings.Contains(text, "certificate") || strings.Contains(text, "access denied")
}

// webBody is an answer's body that gives up when no byte comes for too long.
type webBody struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	dog    *watchdog
	meter  *meter
	found  int           // the meter's verdicts when the request was sent
	body   io.ReadCloser // nil while there is no answer
}

// drain reads the text of an error, if it is short and comes at once: else the connection is of no
// use for the next request. The next root, which is missing as a rule, would cost each pull another
// handshake.
func (b *webBody) drain(resp *http.Response) {
	timer := time.AfterFunc(drainTime, func() { b.cancel(nil) })
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, drainMax+1) // else there is another connection
}

func (b *webBody) Read(p []byte) (int, error) {
	b.dog.wake()
	b.meter.wait()
	n, err := b.body.Read(p)
	b.dog.rest()
	b.meter.got(n, n > 0 || err == nil || err == io.EOF)
	if slow := b.meter.verdict(b.found); slow != nil && (err == nil || n > 0 && err != io.EOF) {
		return n, slow
	}
	if err != nil && err != io.EOF {
		err = requestFailure(b.ctx, err)
	}
	return n, err
}

func (b *webBody) Close() error {
	b.dog.rest()
	b.cancel(nil)
	if b.body == nil {
		return nil
	}
	return b.body.Close()
}
