package registry

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/sign"
)

// recorder notes what is asked of a registry.
type recorder struct {
	mu   sync.Mutex
	list []string // METHOD PATH
}

var uploadName = regexp.MustCompile(`/blobs/uploads/.*`)

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.list = append(r.list, req.Method+" "+uploadName.ReplaceAllString(req.URL.Path, "/blobs/uploads/"))
	r.mu.Unlock()
	return direct.RoundTrip(req)
}

// kinds counts the requests by method and what they are about.
func (r *recorder) kinds() map[string]int {
	counts := map[string]int{}
	for _, line := range r.list {
		method, path, _ := strings.Cut(line, " ")
		for _, noun := range []string{"manifests", "blobs", "referrers"} {
			if strings.Contains(path, "/"+noun+"/") {
				counts[method+" "+noun]++
			}
		}
		if path == "/v2/" {
			counts["ping"]++
		}
	}
	return counts
}

// twice lists the reads of content by digest that were made more than once.
func (r *recorder) twice() []string {
	var again []string
	seen := map[string]bool{}
	for _, line := range r.list {
		if strings.Contains(line, "sha256:") && !strings.HasPrefix(line, "PUT") {
			if seen[line] {
				again = append(again, line)
			}
			seen[line] = true
		}
	}
	slices.Sort(again)
	return slices.Compact(again)
}

// Every request is a round trip, and on a small registry most of the time. These
// are the numbers for two platforms and their index with an SBOM for each
// platform and provenance: a change here is to be meant.
func TestRequests(t *testing.T) {
	for kind, c := range map[string]struct {
		options                        ServeOptions
		first, again, verified, inForm map[string]int
	}{
		"referrers-api": {ServeOptions{},
			// Manifests: 1 tag, 3 to see that they are new, .sig and .att of 3
			// before and after writing them, the tag twice; then all that was
			// written: 3, .sig and .att of 3, 6 bundles. Written are 3, 6 legacy,
			// 6 bundles, the tag. Blobs go in one request each: 4 of the images, 3
			// signatures, 3 envelopes, 6 bundles, 7 configurations.
			map[string]int{"GET manifests": 33, "PUT manifests": 16, "GET blobs": 12, "HEAD blobs": 9, "POST blobs": 23, "GET referrers": 6},
			map[string]int{"GET manifests": 15, "GET blobs": 12, "HEAD blobs": 4, "GET referrers": 3},
			map[string]int{"GET manifests": 15, "GET blobs": 9, "GET referrers": 3},
			map[string]int{"GET manifests": 15, "GET blobs": 12, "GET referrers": 3}},
		"referrers-tag": {ServeOptions{NoReferrers: true},
			map[string]int{"GET manifests": 42, "PUT manifests": 19, "GET blobs": 12, "HEAD blobs": 9, "POST blobs": 23, "GET referrers": 1},
			map[string]int{"GET manifests": 18, "GET blobs": 12, "HEAD blobs": 4, "GET referrers": 1},
			map[string]int{"GET manifests": 12, "GET blobs": 9, "GET referrers": 1},
			map[string]int{"GET manifests": 18, "GET blobs": 12, "GET referrers": 1}},
	} {
		t.Run(kind, func(t *testing.T) {
			o := publication1(t, serve(t, NewHandler(c.options)), newIndex(t, false))
			run := func(what string, want map[string]int, do func(Remote) error) *recorder {
				t.Helper()
				r := &recorder{}
				if err := do(Remote{Transport: r}); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if diff := cmp.Diff(want, r.kinds()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
				return r
			}
			publish := func(r Remote) error {
				o.Remote = r
				_, err := Publish(context.Background(), o)
				return err
			}
			verify := func(p sign.VerifyOptions) func(Remote) error {
				return func(r Remote) error {
					_, err := Verify(context.Background(), o.Tag, r, p)
					return err
				}
			}
			either := policy()
			either.Forms = nil
			run("first", c.first, publish)
			for what, r := range map[string]*recorder{
				"again":    run("again", c.again, publish),
				"verified": run("verified", c.verified, verify(either)),
				"in forms": run("verified in both forms", c.inForm, verify(policy())),
			} {
				if again := r.twice(); len(again) > 0 {
					t.Errorf("%s: asked twice: %v", what, again)
				}
			}
		})
	}
}

// What was written is read back from the registry, never from memory.
func TestReadsBackWhatWasWritten(t *testing.T) {
	for kind, options := range kinds {
		t.Run(kind, func(t *testing.T) {
			r := &recorder{}
			o := publication1(t, serve(t, NewHandler(options)), newIndex(t, false))
			o.Remote.Transport = r
			mustPublish(t, o)
			unread := map[string]bool{}
			for _, line := range r.list {
				method, path, _ := strings.Cut(line, " ")
				switch {
				case method == http.MethodPut && strings.Contains(path, "/manifests/"):
					unread[path] = true
				case method == http.MethodGet:
					delete(unread, path)
				}
			}
			if len(unread) > 0 {
				t.Errorf("written and not read afterwards: %v", unread)
			}
		})
	}
}

// The list of referrers that is kept under a tag holds the manifests as well.
// They save requests and prove nothing that the signature in them does not.
func TestListOfReferrersHoldsManifests(t *testing.T) {
	ctx := context.Background()
	tag := serve(t, NewHandler(ServeOptions{NoReferrers: true}))
	index := newIndex(t, false)
	mustPublish(t, publication1(t, tag, index))
	either := sign.VerifyOptions{Keys: policy().Keys}
	both := sign.VerifyOptions{Keys: policy().Keys, Forms: policy().Forms}
	check := func(what string, p sign.VerifyOptions, want bool) sign.Report {
		t.Helper()
		report, err := Verify(ctx, tag, quick(), p)
		if (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
		return report
	}
	repo := openTag(t, tag)
	list, err := repo.Referrers(ctx, digestOf(t, index))
	if err != nil || len(list) != 2 {
		t.Fatalf("referrers %v, %v", list, err)
	}
	whole := slices.Clone(list)
	for i := range list {
		list[i].Data = []byte(`{"schemaVersion":2}`)
	}
	if err := repo.putReferrers(ctx, digestOf(t, index), list); err != nil {
		t.Fatal(err)
	}
	if r := check("other manifests than the digests say", both, true); len(r.Signatures) != 2 {
		t.Errorf("signatures %+v", r.Signatures)
	}
	check("other manifests than the digests say", either, true)
	if err := repo.putReferrers(ctx, digestOf(t, index), whole); err != nil {
		t.Fatal(err)
	}
	for _, d := range whole {
		if err := repo.delete(ctx, d.Digest.String()); err != nil {
			t.Fatal(err)
		}
	}
	if r := check("manifests are in the list only", either, true); len(r.Signatures) != 2 {
		t.Errorf("signatures %+v", r.Signatures)
	}
	check("manifests are in the list only, both forms demanded", both, false)
}
