package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ServeOptions describes the embedded registry.
type ServeOptions struct {
	// Dir keeps blobs on disk; empty keeps them in memory. Manifests and tags
	// are in memory in both cases and end with the process.
	Dir string
	// Immutable refuses to overwrite a tag, as a repository with immutable tags
	// does; tags of signatures (sha256-*) stay writable.
	Immutable bool
	// NoReferrers leaves out the referrers API, as older registries do.
	NoReferrers bool
	// Log, if set, gets a line a request.
	Log io.Writer
}

// NewHandler returns go-containerregistry's registry, made stricter in three
// points: a manifest put under a digest must have that digest, a request that
// says If-None-Match: * (RFC 9110) does not overwrite, and, if asked, no request
// does.
func NewHandler(o ServeOptions) http.Handler {
	out := o.Log
	if out == nil {
		out = io.Discard
	}
	options := []registry.Option{
		registry.Logger(log.New(out, "", log.LstdFlags)),
		registry.WithReferrersSupport(!o.NoReferrers),
	}
	if o.Dir != "" {
		options = append(options, registry.WithBlobHandler(registry.NewDiskBlobHandler(o.Dir)))
	}
	return &strict{next: registry.New(options...), immutable: o.Immutable}
}

// Enforce stands in front of any registry and refuses to overwrite release tags,
// as a repository with immutable tags does. It has to see every write.
func Enforce(next http.Handler) http.Handler {
	return &strict{next: next, immutable: true}
}

// Serve answers on a listener until the context ends. The listener must be on a
// loopback address: the registry authenticates nobody.
func Serve(ctx context.Context, l net.Listener, o ServeOptions) error {
	addr := l.Addr().String()
	if !IsLoopback(addr) {
		return fmt.Errorf("serve registry: %s is not a loopback address, and this registry authenticates nobody", addr)
	}
	server := &http.Server{Handler: NewHandler(o), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve registry: %w", err)
	}
	return nil
}

// strict stands in front of the registry.
type strict struct {
	next      http.Handler
	immutable bool
	mu        sync.Mutex // between looking at a tag and writing it
}

func (s *strict) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	before, reference, ok := strings.Cut(req.URL.Path, "/manifests/")
	if !ok || req.Method != http.MethodPut || !strings.HasPrefix(before, "/v2/") {
		s.next.ServeHTTP(w, req)
		return
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, maxManifest+1))
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "the body could not be read")
		return
	case len(body) > maxManifest:
		refuse(w, http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", "the manifest is too large")
		return
	case int64(len(body)) != req.ContentLength && req.ContentLength >= 0:
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "the body was cut short")
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	if strings.Contains(reference, ":") {
		s.putDigest(w, req, reference, body)
		return
	}
	s.putTag(w, req, reference)
}

func (s *strict) putDigest(w http.ResponseWriter, req *http.Request, reference string, body []byte) {
	digest, _, err := v1.SHA256(bytes.NewReader(body))
	if err != nil || digest.String() != reference {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "the manifest does not have this digest")
		return
	}
	s.next.ServeHTTP(w, req)
}

func (s *strict) putTag(w http.ResponseWriter, req *http.Request, tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	immutable := s.immutable && !strings.HasPrefix(tag, "sha256-")
	createOnly := req.Header.Get("If-None-Match") == "*"
	switch {
	case !immutable && !createOnly || !s.exists(req):
		s.next.ServeHTTP(w, req)
	case immutable:
		refuse(w, http.StatusBadRequest, "TAG_INVALID",
			fmt.Sprintf("The image tag '%s' already exists and cannot be overwritten because the repository is immutable.", tag))
	default:
		refuse(w, http.StatusPreconditionFailed, "PRECONDITION", "The tag exists, and the request asked to create it.")
	}
}

// exists looks for what a write would replace.
func (s *strict) exists(req *http.Request) bool {
	head := req.Clone(req.Context())
	head.Method, head.Body, head.ContentLength = http.MethodHead, http.NoBody, 0
	head.Header.Del("Content-Length")
	head.Header.Del("Content-Type")
	answer := &statusOnly{header: http.Header{}}
	s.next.ServeHTTP(answer, head)
	// Whatever else the answer is, it does not say that the tag is free.
	return answer.status != http.StatusNotFound
}

// statusOnly keeps the status of an answer nobody else sees.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(p []byte) (int, error) { return len(p), nil }
func (s *statusOnly) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`+"\n", code, message)
}
