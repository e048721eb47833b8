package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// maxAnswer bounds the bytes read of a secret store's answer: a secret of the
// largest size, escaped, and what is around it.
const maxAnswer = 8 << 20

// checkBase refuses addresses over which a secret would travel in the clear.
func checkBase(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("address: use https://host:port")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("address %s: use https; http is for this machine alone", u.Redacted())
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// exchange sends one request and decodes the answer into out. Redirects are
// refused: they would carry the token elsewhere. Errors hold the status code
// alone, because stores quote what they were sent.
func exchange(ctx context.Context, rt http.RoundTripper, req *http.Request, out any) error {
	client := http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read or given up
	switch {
	case res.StatusCode == http.StatusNotFound:
		return ErrNotFound
	case res.StatusCode >= 300 && res.StatusCode <= 399:
		return fmt.Errorf("answered with a redirect (%d): use the address of the active server", res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	defer clear(body)
	if len(body) > maxAnswer {
		return fmt.Errorf("answer is larger than %d bytes", maxAnswer)
	}
	if json.Unmarshal(body, out) != nil { // its error may quote the answer
		return errors.New("answer is not the JSON expected")
	}
	return nil
}

// escapePath escapes each element of a path that comes from configuration and
// refuses those that would leave it.
func escapePath(p string) (string, error) {
	parts := strings.Split(strings.Trim(p, "/"), "/")
	for i, part := range parts {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("path %q: empty, . and .. are not allowed", p)
		}
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/"), nil
}
