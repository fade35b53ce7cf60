package mirror

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	maxRedirects = 5
	idlePerHost  = 8 // connections kept for the next request; what parallel readers use at most
)

var (
	errStalled  = errors.New("not one byte came in time")
	errRedirect = errors.New("redirect refused")
)

// web is what all http(s) mirrors of a client share.
type web struct {
	client    *http.Client
	userAgent string
	watch     func(context.CancelCauseFunc) *watchdog
	pace      func() pace // for one answer
}

func newWeb(o ClientOptions, share func() int64) *web {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = idlePerHost
	t.DisableCompression = true
	t.TLSHandshakeTimeout = o.Timeout // certificates take seconds over a thin line
	// A dead HTTP/2 connection would swallow every retry: it is pinged and given up.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: o.Timeout, PingTimeout: o.Timeout}
	return &web{
		client:    &http.Client{Transport: t, CheckRedirect: checkRedirect},
		userAgent: o.UserAgent,
		watch: func(cancel context.CancelCauseFunc) *watchdog {
			return newWatchdog(o.Timeout, share, func() { cancel(errStalled) })
		},
		pace: func() pace { return pace{window: o.Timeout, min: o.MinRate, share: share} },
	}
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL.Scheme
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d", errRedirect, maxRedirects)
	case req.URL.Scheme != "https" && (req.URL.Scheme != "http" || from == "https"):
		return fmt.Errorf("%w: from %s to %.20s", errRedirect, from, req.URL.Scheme)
	}
	return nil
}

// webSource is a mirror behind http or https.
type webSource struct {
	*web
	base *url.URL
}

func (w *webSource) String() string {
	u := *w.base
	u.RawQuery, u.Fragment = "", "" // a query may hold a token
	return u.Redacted()
}

// url is where a file lies. A plus sign is escaped: object stores take it for a space.
func (w *webSource) url(name string) string {
	u := w.base.JoinPath(name)
	u.RawPath = strings.ReplaceAll(u.EscapedPath(), "+", "%2B")
	return u.String()
}

func (w *webSource) open(ctx context.Context, q request) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	body := &webBody{ctx: ctx, cancel: cancel, dog: w.watch(cancel), pace: w.pace()}
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
	body.dog.wake()
	resp, err := w.client.Do(req)
	body.dog.rest()
	if err != nil {
		return nil, requestFailure(ctx, err)
	}
	body.body = resp.Body
	if resp.StatusCode == http.StatusOK {
		body.dog.wake()
		err = checkPage(resp, w.base.Host)
		body.dog.rest()
		if err != nil {
			return nil, requestFailure(ctx, err)
		}
		body.body = resp.Body
	}
	ans, err := checkResponse(resp, q)
	if err != nil {
		return nil, err
	}
	ans.body = body
	return ans, nil
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
	return asFailure(err)
}

// webBody is an answer's body that gives up when no byte comes for too long.
type webBody struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	dog    *watchdog
	pace   pace
	body   io.ReadCloser // nil while there is no answer
}

func (b *webBody) Read(p []byte) (int, error) {
	b.dog.wake()
	start := time.Now()
	n, err := b.body.Read(p)
	b.dog.rest()
	if slow := b.pace.add(n, time.Since(start)); slow != nil && err == nil {
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
