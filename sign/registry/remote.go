package registry

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Remote says how to reach registries. The zero value uses the credentials of
// the Docker configuration and retries what may be repeated.
type Remote struct {
	// Transport carries the requests; nil is a transport with Go's defaults.
	Transport http.RoundTripper
	// Keychain finds credentials; nil reads the Docker configuration.
	Keychain authn.Keychain
	// Jobs is how many blobs move at once; 0 is 8.
	Jobs int
	// Attempts is how often a request that failed for a passing reason is sent;
	// 0 is 4.
	Attempts int
	// Backoff is the wait before the second attempt, doubled for each further
	// one; 0 is 250 ms.
	Backoff time.Duration
}

func (r Remote) jobs() int {
	if r.Jobs <= 0 {
		return 8
	}
	return r.Jobs
}

func (r Remote) attempts() int {
	if r.Attempts <= 0 {
		return 4
	}
	return r.Attempts
}

func (r Remote) backoff() time.Duration {
	if r.Backoff <= 0 {
		return 250 * time.Millisecond
	}
	return r.Backoff
}

func (r Remote) keychain() authn.Keychain {
	if r.Keychain == nil {
		return authn.DefaultKeychain
	}
	return r.Keychain
}

func (r Remote) transport() http.RoundTripper {
	if r.Transport == nil {
		return remote.DefaultTransport
	}
	return r.Transport
}

// IsLoopback reports whether a registry, HOST or HOST:PORT, is on this machine.
func IsLoopback(registry string) bool {
	host := registry
	if h, _, err := net.SplitHostPort(registry); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

func nameOptions(reference string) []name.Option {
	host, _, ok := strings.Cut(reference, "/")
	if ok && IsLoopback(host) {
		return []name.Option{name.Insecure}
	}
	return nil
}

// ParseTag reads REGISTRY/REPOSITORY:TAG. A missing tag is an error: "latest" is
// a name that moves.
func ParseTag(reference string) (name.Tag, error) {
	tag, err := name.NewTag(reference, append(nameOptions(reference), name.StrictValidation)...)
	if err != nil {
		return name.Tag{}, fmt.Errorf("parse tag %q: want REGISTRY/REPOSITORY:TAG: %w", reference, err)
	}
	return tag, nil
}

// ParseReference reads a tag or a digest reference, REGISTRY/REPOSITORY:TAG or
// REGISTRY/REPOSITORY@sha256:HEX.
func ParseReference(reference string) (name.Reference, error) {
	ref, err := name.ParseReference(reference, append(nameOptions(reference), name.StrictValidation)...)
	if err != nil {
		return nil, fmt.Errorf("parse reference %q: %w", reference, err)
	}
	return ref, nil
}

// ParseRepository reads REGISTRY/REPOSITORY.
func ParseRepository(repository string) (name.Repository, error) {
	repo, err := name.NewRepository(repository, append(nameOptions(repository), name.StrictValidation)...)
	if err != nil {
		return name.Repository{}, fmt.Errorf("parse repository %q: %w", repository, err)
	}
	return repo, nil
}

// guard watches every hop: the request itself, redirects, upload locations, and
// the token server that a registry names. It refuses plain HTTP to anything but
// this machine, and keeps a public registry from having us speak to services of
// our own network that it cannot reach itself.
type guard struct {
	next http.RoundTripper
	home string // the registry, HOST or HOST:PORT
}

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !IsLoopback(req.URL.Host) {
		return nil, fmt.Errorf("refuse %s to %s: plain HTTP is for loopback registries only", req.URL.Scheme, req.URL.Host)
	}
	if req.URL.Host != g.home && isInside(req.URL.Host) && !isInside(g.home) {
		return nil, fmt.Errorf("refuse to follow %s to %s: it leads into a private network", g.home, req.URL.Host)
	}
	return g.next.RoundTrip(req)
}

// Traffic counts what went to a registry.
type Traffic struct {
	Requests  int64 // all requests
	Blobs     int64 // blobs uploaded
	Bytes     int64 // their size
	Manifests int64 // manifests written, tags included
}

type counter struct {
	next                              http.RoundTripper
	requests, blobs, bytes, manifests atomic.Int64
	sent                              atomic.Int64 // bytes of uploads, as they leave
	watcher                           atomic.Pointer[watcher]
}

type watcher struct {
	mu     sync.Mutex
	notify func(sent int64)
}

// watch reports the bytes of uploads as they leave, counted from now; nil ends
// that.
func (c *counter) watch(notify func(sent int64)) {
	c.sent.Store(0)
	if notify == nil {
		c.watcher.Store(nil)
		return
	}
	c.watcher.Store(&watcher{notify: notify})
}

func (c *counter) add(n int) {
	sent := c.sent.Add(int64(n))
	if w := c.watcher.Load(); w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notify(sent)
	}
}

// countedBody tells the counter what has been read from a request's body.
type countedBody struct {
	io.ReadCloser
	count *counter
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.count.add(n)
	return n, err
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	switch {
	case isUpload(req):
		c.blobs.Add(1)
		c.bytes.Add(max(req.ContentLength, 0))
		if req.Body != nil {
			req = req.Clone(req.Context()) // a RoundTripper must not change its request
			req.Body = countedBody{req.Body, c}
		}
	case req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/"):
		c.manifests.Add(1)
	}
	return c.next.RoundTrip(req)
}

// isUpload recognises the requests that carry a blob.
func isUpload(req *http.Request) bool {
	return (req.Method == http.MethodPut || req.Method == http.MethodPost) &&
		strings.Contains(req.URL.Path, "/blobs/uploads/") && req.ContentLength > 0
}

func (c *counter) traffic() Traffic {
	return Traffic{c.requests.Load(), c.blobs.Load(), c.bytes.Load(), c.manifests.Load()}
}

// retrier repeats reads. Writes are repeated by their callers, who know which
// of them may be.
type retrier struct {
	next     http.RoundTripper
	attempts int
	backoff  time.Duration
}

func (r retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return r.next.RoundTrip(req)
	}
	for attempt := 1; ; attempt++ {
		resp, err := r.next.RoundTrip(req)
		if attempt >= r.attempts || req.Context().Err() != nil || !passing(resp, err) {
			return resp, err
		}
		delay := pause(r.backoff, attempt)
		if resp != nil {
			delay = max(delay, retryAfter(resp))
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
			_ = resp.Body.Close()
		}
		if err := sleep(req.Context(), delay); err != nil {
			return nil, err
		}
	}
}

// passing reports whether trying again may help.
func passing(resp *http.Response, err error) bool {
	if err != nil {
		return passingError(err)
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

const longestWait = 30 * time.Second

func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestWait)
}

// pause doubles and scatters, so that racers do not meet again.
func pause(backoff time.Duration, attempt int) time.Duration {
	d := min(backoff<<(attempt-1), longestWait)
	return d/2 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connect logs in to a registry for some scopes.
func connect(ctx context.Context, repo name.Repository, r Remote, scopes ...string) (http.RoundTripper, *counter, error) {
	auth, err := authn.Resolve(ctx, r.keychain(), repo)
	if err != nil {
		return nil, nil, fmt.Errorf("find credentials for %s: %w", repo.RegistryStr(), err)
	}
	count := &counter{next: guard{r.transport(), repo.RegistryStr()}}
	inner := retrier{next: count, attempts: r.attempts(), backoff: r.backoff()}
	login := func(ctx context.Context) (http.RoundTripper, error) {
		rt, err := transport.NewWithContext(ctx, repo.Registry, auth, inner, scopes)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", repo.RegistryStr(), err)
		}
		return rt, nil
	}
	if auth == authn.Anonymous && IsLoopback(repo.RegistryStr()) {
		return &whenAsked{plain: inner, login: login}, count, nil
	}
	rt, err := login(ctx)
	return rt, count, err
}

// whenAsked logs in when the registry first answers 401. A registry on this
// machine for which there are no credentials rarely does, and asking it
// beforehand takes two requests.
type whenAsked struct {
	plain http.RoundTripper
	login func(context.Context) (http.RoundTripper, error)
	mu    sync.Mutex
	rt    http.RoundTripper // after the login
}

func (w *whenAsked) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	rt := w.rt
	w.mu.Unlock()
	if rt != nil {
		return rt.RoundTrip(req)
	}
	resp, err := w.plain.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || req.Body != nil && req.GetBody == nil {
		return resp, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
	if rt, err = w.loggedIn(req.Context()); err != nil {
		return nil, err
	}
	again := req.Clone(req.Context())
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return rt.RoundTrip(again)
}

func (w *whenAsked) loggedIn(ctx context.Context) (http.RoundTripper, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rt != nil {
		return w.rt, nil
	}
	rt, err := w.login(ctx)
	if err == nil {
		w.rt = rt
	}
	return rt, err
}

// sameHost keeps a Location or Link header on the registry it came from.
func sameHost(base *url.URL, location string) (*url.URL, error) {
	u, err := base.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("follow %q: %w", location, err)
	}
	if u.Host != base.Host || u.Scheme != base.Scheme {
		return nil, fmt.Errorf("follow %q: it leads away from %s", location, base.Host)
	}
	return u, nil
}

// isInside recognises names and addresses of this machine and of private
// networks. A public name that resolves to such an address is not seen here.
func isInside(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified()
}
