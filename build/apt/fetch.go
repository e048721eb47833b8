package apt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hardstand/hardstand/build/cache"
)

// Defaults of the transport. A mirror that sends less than minWindow bytes in
// stallTimeout is given up on, however long a whole download takes.
const (
	minWindow       = 32 << 10
	connectTimeout  = 10 * time.Second
	stallTimeout    = 30 * time.Second
	defaultAttempts = 4
	firstBackoff    = 250 * time.Millisecond
	maxBackoff      = 10 * time.Second
	maxConnections  = 8
)

// NewClient returns an HTTP client with the timeouts and the connection limit
// that the archive is read with.
func NewClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: stallTimeout,
		MaxConnsPerHost:       maxConnections,
		MaxIdleConnsPerHost:   maxConnections,
		IdleConnTimeout:       30 * time.Second,
		DisableCompression:    true,
	}}
}

// permanentError ends the attempts at one mirror.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

func permanent(err error) error { return permanentError{err} }

// retry calls f until it succeeds, fails permanently or attempts run out.
func (a *Archive) retry(ctx context.Context, f func() error) error {
	backoff := a.backoff
	for attempt := 1; ; attempt++ {
		err := f()
		var final permanentError
		if err == nil || errors.As(err, &final) || ctx.Err() != nil || attempt == a.attempts {
			return err
		}
		wait := backoff/2 + rand.N(backoff/2+1)
		var slow *retryAfterError
		if errors.As(err, &slow) {
			wait = min(max(wait, slow.after), maxBackoff)
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(wait):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

type retryAfterError struct {
	status string
	after  time.Duration
}

func (e *retryAfterError) Error() string { return "server answers " + e.status }

// download copies url to w and insists on size bytes, or on at most limit
// when size is negative.
func (a *Archive) download(ctx context.Context, url string, w io.Writer, size, limit int64, report func(int64)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, length, err := a.open(ctx, url)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // read to its end or given up
	if size >= 0 {
		limit = size
		if length >= 0 && length != size {
			return permanent(fmt.Errorf("server offers %d bytes, want %d", length, size))
		}
	} else if length > limit {
		return permanent(fmt.Errorf("server offers %d bytes, at most %d are accepted", length, limit))
	}
	var window atomic.Int64
	stop := a.watch(&window, cancel)
	defer stop()
	n, err := io.Copy(w, &watchedReader{r: io.LimitReader(body, limit+1), read: func(n int) {
		window.Add(int64(n))
		if report != nil {
			report(int64(n))
		}
	}})
	switch cause := context.Cause(ctx); {
	case err != nil && cause != nil:
		return cause
	case err != nil:
		return err
	case n > limit:
		return permanent(fmt.Errorf("server sends more than %d bytes", limit))
	case size >= 0 && n < size:
		return fmt.Errorf("download ends after %d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	return nil
}

// watch cancels a download in whose last window too little arrived.
func (a *Archive) watch(window *atomic.Int64, cancel context.CancelCauseFunc) (stop func()) {
	ticker, done := time.NewTicker(a.stall), make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				if got := window.Swap(0); got < minWindow {
					cancel(fmt.Errorf("only %d bytes in %v", got, a.stall))
					return
				}
			}
		}
	}()
	return func() { ticker.Stop(); close(done) }
}

type watchedReader struct {
	r    io.Reader
	read func(int)
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.read(n)
	return n, err
}

// open starts reading a URL. The length is -1 when the server does not say.
func (a *Archive) open(ctx context.Context, url string) (io.ReadCloser, int64, error) {
	if path, ok := strings.CutPrefix(url, "file://"); ok {
		f, err := os.Open(path)
		if err != nil {
			return nil, 0, permanent(err)
		}
		info, err := f.Stat()
		if err != nil || !info.Mode().IsRegular() {
			_ = f.Close()
			return nil, 0, permanent(errors.Join(fmt.Errorf("%s is not a file", path), err))
		}
		return f, info.Size(), nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, permanent(err)
	}
	req.Header.Set("User-Agent", "hardstand")
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, resp.ContentLength, nil
	}
	_ = resp.Body.Close()
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound || code == http.StatusGone:
		return nil, 0, permanent(fmt.Errorf("server answers %s: %w", resp.Status, fs.ErrNotExist))
	case code == http.StatusTooManyRequests || code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return nil, 0, &retryAfterError{resp.Status, time.Duration(seconds) * time.Second}
	}
	return nil, 0, permanent(fmt.Errorf("server answers %s", resp.Status))
}

// fetchBlob brings a file of known digest and size into the cache and returns
// its path. Each mirror's URL is tried in turn.
func (a *Archive) fetchBlob(ctx context.Context, urls []string, want cache.Digest, size int64, name string) (string, error) {
	if path, err := a.cache.File(want); err == nil {
		a.progress(Progress{Name: name, Bytes: size, Total: size, Cached: true, Done: true})
		return path, nil
	}
	err := a.fetchFrom(ctx, urls, func(url string) error { return a.fetchOnce(ctx, url, want, size, name) })
	if err != nil {
		return "", err
	}
	a.progress(Progress{Name: name, Total: size, Done: true})
	return a.cache.Path(want), nil // it was hashed on its way there
}

// fetchFrom calls fetch with each mirror's URL in turn, until one succeeds.
func (a *Archive) fetchFrom(ctx context.Context, urls []string, fetch func(url string) error) error {
	var failures []error
	for _, url := range urls {
		err := a.retry(ctx, func() error { return fetch(url) })
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("fetch %s: %w", url, err))
		if ctx.Err() != nil {
			break
		}
	}
	err := errors.Join(failures...)
	for _, f := range failures {
		if !errors.Is(f, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrGone, err)
}

// fetchOnce downloads a file into the cache.
func (a *Archive) fetchOnce(ctx context.Context, url string, want cache.Digest, size int64, name string) error {
	w, err := a.cache.Create()
	if err != nil {
		return permanent(err)
	}
	defer w.Abort()
	err = a.download(ctx, url, w, size, 0, func(n int64) { a.progress(Progress{Name: name, Bytes: n, Total: size}) })
	if err != nil {
		a.progress(Progress{Name: name, Bytes: -w.Size(), Total: size})
		return err
	}
	if err := w.Commit(want); err != nil {
		return permanent(err)
	}
	return nil
}
