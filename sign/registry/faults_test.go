package registry

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/hardstand/hardstand/sign"
)

// fault happens at the n-th request; n counts from 1.
type fault struct {
	n    int64
	seen atomic.Int64
	kind string
}

// errDead is what a killed process sees of the world.
var errDead = errors.New("the process is dead")

var allFaults = flag.Bool("faults", false, "try every kind of fault at every request")

func (f *fault) RoundTrip(req *http.Request) (*http.Response, error) {
	i := f.seen.Add(1)
	killed := strings.HasPrefix(f.kind, "killed")
	if i < f.n || i > f.n && !killed {
		return direct.RoundTrip(req)
	}
	switch {
	case killed && i > f.n, f.kind == "killed-before":
		return nil, errDead
	case f.kind == "killed-after":
		send(req)
		return nil, errDead
	case f.kind == "dropped-before":
		return nil, syscall.ECONNRESET
	case f.kind == "dropped-after":
		send(req)
		return nil, syscall.ECONNRESET
	case f.kind == "500" || f.kind == "429" || f.kind == "401":
		var status int
		_, _ = fmt.Sscan(f.kind, &status)
		return &http.Response{StatusCode: status, Request: req, Header: http.Header{}, Body: http.NoBody}, nil
	}
	resp, err := direct.RoundTrip(req)
	if err == nil {
		err = f.change(req, resp)
	}
	return resp, err
}

// send carries a request out and loses the answer.
func send(req *http.Request) {
	if resp, err := direct.RoundTrip(req); err == nil {
		_ = resp.Body.Close()
	}
}

// change spoils an answer.
func (f *fault) change(req *http.Request, resp *http.Response) error {
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	switch f.kind {
	case "truncated":
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data[:len(data)/2]), cut{}))
		return nil
	case "swapped":
		slices.Reverse(data)
	case "digest-lie":
		if resp.Header.Get("Docker-Content-Digest") != "" {
			resp.Header.Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		}
	case "says-present": // a blob that is not there
		if req.Method == http.MethodHead && strings.Contains(req.URL.Path, "/blobs/") {
			resp.StatusCode = http.StatusOK
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return nil
}

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// small is an index of one platform, to keep the number of requests down.
func small(t *testing.T) v1.ImageIndex {
	t.Helper()
	img, err := random.Image(300, 1)
	if err != nil {
		t.Fatal(err)
	}
	return mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img,
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
}

func smallPublication(tag name.Tag, index v1.ImageIndex) PublishOptions {
	r := quick()
	r.Jobs = 1
	return PublishOptions{Index: index, Tag: tag, Signer: ourKey(), Remote: r,
		Attestations: []Attestation{{PredicateType: sign.PredicateSPDX, Predicate: []byte(`{}`)}}}
}

func smallPolicy() sign.VerifyOptions {
	return sign.VerifyOptions{Keys: []sign.Key{ourKey().Key()}, Platforms: true, Layers: true,
		Forms: []sign.Form{sign.FormLegacy, sign.FormBundle}, Require: []sign.Requirement{{PredicateType: sign.PredicateSPDX}}}
}

// survives checks the promise after anything went wrong: the tag names nothing
// or a fully vouched image, success means the latter, and a second run completes.
func survives(t *testing.T, n int64, tag name.Tag, failed error, again func() error) {
	t.Helper()
	ctx := context.Background()
	if named := tagNames(t, tag); named != "" || failed == nil {
		if _, err := Verify(ctx, tag, quick(), smallPolicy()); err != nil {
			t.Errorf("request %d (%v): the tag names %q: %v", n, failed, named, err)
		}
	}
	if err := again(); err != nil {
		t.Errorf("request %d: the second run fails: %v", n, err)
		return
	}
	if _, err := Verify(ctx, tag, quick(), smallPolicy()); err != nil {
		t.Errorf("request %d: after the second run: %v", n, err)
	}
}

// enumerate runs do with a fault at every request that it makes, one after the
// other, until it makes no more.
//
// A kill is tried at every request in every run of the tests; the other faults
// at each seventh, and everywhere with -faults.
func enumerate(t *testing.T, kind string, do func(t *testing.T, n int64, f *fault)) {
	t.Helper()
	const most = 500
	first, step := int64(1), int64(1)
	if kind != "killed-after" && !*allFaults {
		first, step = int64(1+slices.Index(faultKinds, kind)%7), 7
	}
	for n := first; n <= most; n += step {
		f := &fault{n: n, kind: kind}
		do(t, n, f)
		if f.seen.Load() < n {
			t.Logf("%d requests", n-1)
			if n < 20 {
				t.Errorf("only %d requests: nothing was tried", n-1)
			}
			return
		}
		if t.Failed() {
			return
		}
	}
	t.Errorf("more than %d requests", most)
}

var faultKinds = []string{"killed-before", "killed-after", "dropped-before", "dropped-after",
	"500", "429", "401", "truncated", "swapped", "digest-lie", "says-present"}

func TestPublishSurvives(t *testing.T) {
	for _, kind := range faultKinds {
		for registry, options := range map[string]ServeOptions{"referrers-api": {Immutable: true}, "referrers-tag": {NoReferrers: true}} {
			if options.NoReferrers && !strings.HasPrefix(kind, "killed") {
				continue
			}
			t.Run(kind+"/"+registry, func(t *testing.T) {
				t.Parallel()
				server := serve(t, NewHandler(options))
				enumerate(t, kind, func(t *testing.T, n int64, f *fault) {
					tag := server.Repository.Registry.Repo(fmt.Sprintf("app%d", n)).Tag("1.0")
					o := smallPublication(tag, small(t)) // blobs are shared between repositories
					clean := o
					o.Remote.Transport = f
					_, err := Publish(context.Background(), o)
					if err != nil && (kind == "500" || kind == "429" || strings.HasPrefix(kind, "dropped")) {
						t.Errorf("request %d: not repeated: %v", n, err)
					}
					survives(t, n, tag, err, func() error {
						_, err := Publish(context.Background(), clean)
						return err
					})
				})
			})
		}
	}
}

func TestReplicateSurvives(t *testing.T) {
	source := serve(t, NewHandler(ServeOptions{}))
	mustPublish(t, smallPublication(source, small(t)))
	for _, kind := range faultKinds {
		for registry, options := range map[string]ServeOptions{"referrers-api": {Immutable: true}, "referrers-tag": {NoReferrers: true}} {
			if options.NoReferrers && !strings.HasPrefix(kind, "killed") {
				continue
			}
			t.Run(kind+"/"+registry, func(t *testing.T) {
				t.Parallel()
				server := serve(t, NewHandler(options))
				enumerate(t, kind, func(t *testing.T, n int64, f *fault) {
					tag := server.Repository.Registry.Repo(fmt.Sprintf("app%d", n)).Tag("1.0")
					o := ReplicateOptions{Source: source, Targets: []name.Tag{tag}, Verify: smallPolicy(), Remote: quick()}
					o.Remote.Jobs, o.Verify.Layers = 1, false
					clean := o
					o.Remote.Transport = f
					_, err := Replicate(context.Background(), o)
					if err != nil && (kind == "500" || kind == "429" || strings.HasPrefix(kind, "dropped")) {
						t.Errorf("request %d: not repeated: %v", n, err)
					}
					survives(t, n, tag, err, func() error {
						_, err := Replicate(context.Background(), clean)
						return err
					})
				})
			})
		}
	}
}

// A cancelled publication ends promptly and leaves no tag.
func TestPublishCancelled(t *testing.T) {
	tag := serve(t, NewHandler(ServeOptions{}))
	for _, step := range []Step{StepCheck, StepPush, StepSign, StepVerify, StepTag} {
		ctx, cancel := context.WithCancel(context.Background())
		o := smallPublication(tag, small(t))
		o.Progress = func(e Event) {
			if e.Step == step {
				cancel()
			}
		}
		if _, err := Publish(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in %s: %v", step, err)
		}
		if named := tagNames(t, tag); named != "" {
			t.Errorf("cancelled in %s: the tag names %s", step, named)
		}
		cancel()
	}
}
