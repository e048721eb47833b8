// Package checks holds checks that are ready to register.
//
// FileChecker, HTTPChecker and TCPChecker are those of docker's go-healthcheck,
// with its signatures. The others return a health.ContextFunc for Registry.Add.
// Errors name what was asked, not what came back: no body or banner of another
// service ends up in a health report.
package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hardstand/hardstand/app/health"
)

// defaultTimeout bounds a check that was given none.
const defaultTimeout = 10 * time.Second

// FileChecker fails when a file exists at path: touching it takes the program
// out of service. It also fails when that cannot be told.
func FileChecker(path string) health.Checker {
	return health.ContextFunc(func(context.Context) error {
		_, err := os.Stat(path)
		switch {
		case err == nil:
			return errors.New("file exists")
		case errors.Is(err, fs.ErrNotExist):
			return nil
		}
		return err
	})
}

// File fails unless a regular file exists at path and, with a positive maxAge,
// was modified within it: another program's sign of life.
func File(path string, maxAge time.Duration) health.ContextFunc {
	return func(context.Context) error {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("check file: %w", err)
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("check file: %s is not a regular file", path)
		}
		if age := time.Since(info.ModTime()); maxAge > 0 && age > maxAge {
			return fmt.Errorf("check file: %s was modified %v ago, more than %v", path, age.Round(time.Second), maxAge)
		}
		return nil
	}
}

// HTTPChecker sends HEAD to the URL and fails unless the status code is code. A
// timeout of 0 is ten seconds. Redirects are followed, with
// http.DefaultTransport as it is when the check runs; a Host among the headers
// is sent as such.
func HTTPChecker(url string, code int, timeout time.Duration, headers http.Header) health.Checker {
	o := HTTPOptions{Method: http.MethodHead, Codes: []int{code}, Timeout: timeout, Header: headers, FollowRedirects: true}
	return HTTP(url, o)
}

// HTTPOptions are the settings of HTTP. The zero value asks for GET, 200 to 299,
// no redirects, within ten seconds.
type HTTPOptions struct {
	Method          string
	Header          http.Header
	Codes           []int // any of these; empty: 200 to 299
	Timeout         time.Duration
	FollowRedirects bool
	Transport       http.RoundTripper // nil: http.DefaultTransport at the time of the run
}

// HTTP fails unless the URL answers as the options say.
func HTTP(url string, o HTTPOptions) health.ContextFunc {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	header := o.Header.Clone()
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, o.Method, url, nil)
		if err != nil {
			return fmt.Errorf("check HTTP: %w", err)
		}
		for name, values := range header {
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
		if host := req.Header.Get("Host"); host != "" {
			req.Host = host
		}
		client := http.Client{Transport: o.Transport}
		if !o.FollowRedirects {
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		}
		res, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("check HTTP: %w", err)
		}
		_ = res.Body.Close() // unread: the code is all that counts
		return o.judge(res.StatusCode)
	}
}

func (o *HTTPOptions) judge(code int) error {
	for _, c := range o.Codes {
		if c == code {
			return nil
		}
	}
	if len(o.Codes) == 0 && code >= 200 && code <= 299 {
		return nil
	}
	return fmt.Errorf("downstream service returned unexpected status: %d", code)
}

// TCPChecker fails unless a TCP connection to addr can be made. A timeout of 0
// is ten seconds.
func TCPChecker(addr string, timeout time.Duration) health.Checker { return dial("tcp", addr, timeout) }

// TCP fails unless a TCP connection to addr, "host:port", can be made.
func TCP(addr string) health.ContextFunc { return dial("tcp", addr, 0) }

// Unix fails unless a connection to the unix socket at path can be made.
func Unix(path string) health.ContextFunc { return dial("unix", path, 0) }

func dial(network, addr string, timeout time.Duration) health.ContextFunc {
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return func(ctx context.Context) error {
		d := net.Dialer{Timeout: timeout}
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return fmt.Errorf("connection to %s failed: %w", addr, err)
		}
		_ = conn.Close()
		return nil
	}
}
