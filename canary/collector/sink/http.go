package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	maxAnswer  = 64 << 10 // bytes of an answer that are read
	maxExcerpt = 200      // bytes of it that an error repeats
)

// web sends requests that no redirect, proxy variable or huge answer leads
// astray.
type web struct {
	client *http.Client
	agent  string
	now    func() time.Time
}

func newWeb(g guard, timeout time.Duration, o Options) *web {
	return &web{
		agent: o.UserAgent,
		now:   o.Now,
		client: &http.Client{
			Timeout: timeout,
			Transport: &http.Transport{
				DialContext:            g.dialer().DialContext,
				TLSClientConfig:        o.TLS.Clone(),
				TLSHandshakeTimeout:    10 * time.Second,
				ResponseHeaderTimeout:  timeout,
				MaxResponseHeaderBytes: maxAnswer,
				MaxIdleConnsPerHost:    2,
				IdleConnTimeout:        90 * time.Second,
				ForceAttemptHTTP2:      true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// request is one call. URL may hold a secret and is never printed.
type request struct {
	Method string // POST where empty
	URL    string
	Header map[string]string
	Body   []byte
	Sign   func(*http.Request, []byte) error
}

func jsonRequest(address string, header map[string]string, body any) (request, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return request{}, final("encode message: %w", err)
	}
	h := map[string]string{"Content-Type": "application/json"}
	for k, v := range header {
		h[k] = v
	}
	return request{URL: address, Header: h, Body: text}, nil
}

// do sends a request and returns the answer's body, at most maxAnswer bytes. A
// status outside 200 to 299 is an *Error.
func (w *web) do(ctx context.Context, r request) ([]byte, error) {
	method := r.Method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, final("make request: the address is no URL")
	}
	req.Header.Set("User-Agent", w.agent)
	for k, v := range r.Header {
		req.Header.Set(k, v)
	}
	if r.Sign != nil {
		if err := r.Sign(req, r.Body); err != nil {
			return nil, fmt.Errorf("sign request: %w", err)
		}
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, withoutURL(err, req.URL)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		if err != nil {
			return nil, fmt.Errorf("read answer of %s: %w", req.URL.Host, err)
		}
		return body, nil
	}
	return nil, w.refusal(req.URL, resp, body)
}

// refusal classes a status. What a later attempt may change is not final:
// overload, a server's own failure, a timeout, and a conflict.
func (w *web) refusal(u *url.URL, resp *http.Response, body []byte) error {
	e := &Error{Status: resp.StatusCode, After: retryAfter(resp.Header.Get("Retry-After"), w.now())}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
	default:
		e.Final = resp.StatusCode < 500 || resp.StatusCode == http.StatusNotImplemented
	}
	e.Err = fmt.Errorf("%s answered %d: %s", u.Host, resp.StatusCode, excerpt(body, u))
	return e
}

// excerpt is for a log: one printable line, without the path of the address,
// which some services use as the password.
func excerpt(body []byte, u *url.URL) string {
	text := strings.TrimSpace(printable(string(body[:min(len(body), maxExcerpt)])))
	if len(u.Path) > 1 {
		text = strings.ReplaceAll(text, u.Path, "[path]")
	}
	if u.RawQuery != "" {
		text = strings.ReplaceAll(text, u.RawQuery, "[query]")
	}
	if text == "" {
		return "nothing more"
	}
	return text
}

// withoutURL takes the address out of a *url.Error: that of a Slack or Discord
// webhook is its password.
func withoutURL(err error, u *url.URL) error {
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	return fmt.Errorf("reach %s: %w", u.Host, err)
}
