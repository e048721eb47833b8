package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/sign"
)

// dialects is how registries refuse to overwrite a tag. The texts are from
// their documentation and from reports of users.
var dialects = map[string]struct {
	status int
	body   string
}{
	"ecr":               {400, `{"errors":[{"code":"TAG_INVALID","message":"The image tag '1.0' already exists in the 'app' repository and cannot be overwritten because the repository is immutable."}]}`},
	"harbor":            {412, `{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'app:1.0' configured as immutable."}]}`},
	"artifact-registry": {400, `{"errors":[{"code":"FAILED_PRECONDITION","message":"The repository has enabled tag immutability."}]}`},
	"docker-hub":        {403, `{"errors":[{"code":"DENIED","message":"tag is immutable"}]}`},
	"quay":              {409, `{"errors":[{"code":"TAG_IMMUTABLE","message":"tag 1.0 is immutable"}]}`},
	"acr":               {405, `{"errors":[{"code":"UNSUPPORTED","message":"The operation is disallowed on this registry, repository or image. The manifest is locked."}]}`},
	"zot":               {403, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`},
	"plain":             {409, `conflict`},
}

// beforeTag runs a hook when the release tag is put; if it returns true the
// request ends with it.
func beforeTag(inner http.Handler, hook func(w http.ResponseWriter, req *http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/1.0") && hook(w, req) {
			return
		}
		inner.ServeHTTP(w, req)
	})
}

func answer(w http.ResponseWriter, status int, body string) bool {
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, body)
	return true
}

func TestTagRefusedInEveryDialect(t *testing.T) {
	for name, d := range dialects {
		t.Run(name+"/another-image-came-first", func(t *testing.T) {
			t.Parallel()
			inner := NewHandler(ServeOptions{})
			rival, index := newIndex(t, false), newIndex(t, false)
			tag := serve(t, beforeTag(inner, func(w http.ResponseWriter, _ *http.Request) bool {
				putBehind(t, inner, rival)
				return answer(w, d.status, d.body)
			}))
			pushBehind(t, inner, rival)
			_, err := Publish(context.Background(), publication1(t, tag, index))
			var exists *TagExistsError
			if !errors.As(err, &exists) || exists.Existing != digestOf(t, rival) || exists.Wanted != digestOf(t, index) {
				t.Errorf("Publish: %v, want a TagExistsError with both digests", err)
			}
		})
		t.Run(name+"/our-image-is-there", func(t *testing.T) {
			t.Parallel()
			inner := NewHandler(ServeOptions{})
			tag := serve(t, beforeTag(inner, func(w http.ResponseWriter, req *http.Request) bool {
				inner.ServeHTTP(httptest.NewRecorder(), req) // written, and the answer lost to a twin
				return answer(w, d.status, d.body)
			}))
			if _, err := Publish(context.Background(), publication1(t, tag, newIndex(t, false))); err != nil {
				t.Errorf("Publish: %v, want success", err)
			}
		})
		t.Run(name+"/nothing-is-there", func(t *testing.T) {
			t.Parallel()
			tag := serve(t, beforeTag(NewHandler(ServeOptions{}), func(w http.ResponseWriter, _ *http.Request) bool {
				return answer(w, d.status, d.body)
			}))
			_, err := Publish(context.Background(), publication1(t, tag, newIndex(t, false)))
			var refused *RegistryRefusedError
			if !errors.As(err, &refused) {
				t.Errorf("Publish: %v, want a RegistryRefusedError", err)
			}
		})
	}
}

// pushBehind and putBehind write past the hook, as another client would.
func pushBehind(t *testing.T, inner http.Handler, index v1.ImageIndex) {
	t.Helper()
	o := publication1(t, serve(t, inner), index)
	o.Tag = o.Tag.Tag("other")
	mustPublish(t, o)
}

func putBehind(t *testing.T, inner http.Handler, index v1.ImageIndex) {
	raw, err := index.RawManifest()
	if err != nil {
		t.Error(err)
	}
	req := httptest.NewRequest(http.MethodPut, "/v2/team/app/manifests/1.0", strings.NewReader(string(raw)))
	req.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	rec := httptest.NewRecorder()
	inner.ServeHTTP(rec, req)
	if rec.Code != http.StatusCreated {
		t.Errorf("put: %d %s", rec.Code, rec.Body)
	}
}

// A registry that lets the tag be overwritten right after us: publishing is no
// success, it is an alarm.
func TestTagLostIsAnAlarm(t *testing.T) {
	inner := NewHandler(ServeOptions{})
	rival, index := newIndex(t, false), newIndex(t, false)
	pushBehind(t, inner, rival)
	tag := serve(t, beforeTag(inner, func(w http.ResponseWriter, req *http.Request) bool {
		inner.ServeHTTP(w, req)
		putBehind(t, inner, rival)
		return true
	}))
	_, err := Publish(context.Background(), publication1(t, tag, index))
	var lost *TagLostError
	if !errors.As(err, &lost) || lost.Wrote != digestOf(t, index) || lost.Found != digestOf(t, rival) {
		t.Errorf("Publish: %v, want a TagLostError", err)
	}
}

func TestEightRacersOneWinner(t *testing.T) {
	ledger := OpenLedger(filepath.Join(t.TempDir(), "ledger.jsonl"))
	ignoring := http.HandlerFunc(func() http.HandlerFunc {
		inner := NewHandler(ServeOptions{})
		return func(w http.ResponseWriter, req *http.Request) {
			req.Header.Del("If-None-Match") // as Debian's docker-registry does
			inner.ServeHTTP(w, req)
		}
	}())
	for name, c := range map[string]struct {
		handler http.Handler
		ledger  *Ledger
	}{
		"registry-enforces":         {NewHandler(ServeOptions{Immutable: true}), nil},
		"registry-knows-conditions": {NewHandler(ServeOptions{}), nil},
		"one-ledger":                {ignoring, ledger},
	} {
		t.Run(name, func(t *testing.T) {
			tag := serve(t, c.handler)
			var wins atomic.Int32
			var winner atomic.Value
			var group sync.WaitGroup
			for range 8 {
				o := publication1(t, tag, newIndex(t, false))
				o.Ledger = c.ledger
				group.Go(func() {
					res, err := Publish(context.Background(), o)
					var exists *TagExistsError
					switch {
					case err == nil:
						wins.Add(1)
						winner.Store(res.Digest.String())
					case !errors.As(err, &exists):
						t.Errorf("a loser learns: %v", err)
					}
				})
			}
			group.Wait()
			if wins.Load() != 1 || tagNames(t, tag) != winner.Load() {
				t.Errorf("%d winners, tag names %s, winner %v", wins.Load(), tagNames(t, tag), winner.Load())
			}
		})
	}
}

// Attestations written at the same time by one process are all there afterwards.
func TestConcurrentAttestations(t *testing.T) {
	for kind, options := range map[string]ServeOptions{"referrers-api": {}, "referrers-tag": {NoReferrers: true}} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			tag := serve(t, NewHandler(options))
			index := newIndex(t, false)
			mustPublish(t, publication1(t, tag, index))
			var group sync.WaitGroup
			for i := range 8 {
				group.Go(func() {
					o := publication1(t, tag, index)
					o.Attestations = []Attestation{{PredicateType: fmt.Sprintf("https://example.com/%d", i), Predicate: []byte("{}")}}
					if _, err := Publish(context.Background(), o); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			report, err := Verify(context.Background(), tag, quick(), policy())
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]int{}
			for _, e := range report.Attestations {
				seen[e.PredicateType+" "+string(e.Form)]++
			}
			for i := range 8 {
				for _, form := range []sign.Form{sign.FormLegacy, sign.FormBundle} {
					if n := seen[fmt.Sprintf("https://example.com/%d %s", i, form)]; n != 1 {
						t.Errorf("attestation %d in %s form: %d times, want once", i, form, n)
					}
				}
			}
		})
	}
}

// Several machines share no lock; each is known here by a name of its own. With
// the referrers API nothing of theirs is lost.
func TestConcurrentAttestationsOfMachines(t *testing.T) {
	tag := serve(t, NewHandler(ServeOptions{}))
	index := newIndex(t, false)
	mustPublish(t, publication1(t, tag, index))
	var group sync.WaitGroup
	for i := range 8 {
		machine, err := ParseTag(fmt.Sprintf("127.0.1.%d:1/%s:1.0", i+1, tag.RepositoryStr()))
		if err != nil {
			t.Fatal(err)
		}
		o := publication1(t, machine, index)
		o.Attestations = []Attestation{{PredicateType: fmt.Sprintf("https://example.com/%d", i), Predicate: []byte("{}")}}
		o.Remote.Transport = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, tag.RegistryStr())
		}}
		group.Go(func() {
			if _, err := Publish(context.Background(), o); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	report, err := Verify(context.Background(), tag, quick(), policy())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range report.Attestations {
		seen[e.PredicateType] = seen[e.PredicateType] || e.Form == sign.FormBundle
	}
	for i := range 8 {
		if !seen[fmt.Sprintf("https://example.com/%d", i)] {
			t.Errorf("attestation %d is lost", i)
		}
	}
}

func TestUniqueTag(t *testing.T) {
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0123abcd", 8)}
	day := time.Date(2026, 11, 22, 23, 0, 0, 0, time.FixedZone("", -3*3600))
	got, err := UniqueTag("1.2.3", 4, day, digest)
	if diff := cmp.Diff("1.2.3-r4-20261123-0123abcd", got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if !IsUniqueTag(got) || IsUniqueTag("1.2.3") || IsUniqueTag("latest") {
		t.Error("IsUniqueTag disagrees")
	}
	for _, version := range []string{"", "a b", "-x", strings.Repeat("v", 128)} {
		if tag, err := UniqueTag(version, 1, day, digest); err == nil {
			t.Errorf("made %q of version %q", tag, version)
		}
	}
}

func TestLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.jsonl")
	ledger := OpenLedger(path)
	tag := serve(t, NewHandler(ServeOptions{}))
	first, second := newIndex(t, false), newIndex(t, false)
	o := publication1(t, tag, first)
	o.Ledger = ledger
	mustPublish(t, o)
	mustPublish(t, o)
	entries, err := ledger.Entries()
	if err != nil || len(entries) != 1 || entries[0].Digest != digestOf(t, first) || entries[0].Tag != tag.Name() {
		t.Fatalf("entries %+v, %v", entries, err)
	}
	// Somebody takes the tag: the next publication raises the alarm.
	repo := openTag(t, tag)
	pushUnsigned(t, tag, second)
	var lost *TagLostError
	if _, err := Publish(context.Background(), o); !errors.As(err, &lost) || lost.Found != digestOf(t, second) {
		t.Errorf("tag was taken: %v, want a TagLostError", err)
	}
	// Somebody deletes it: other content does not get the name again.
	if err := repo.delete(context.Background(), tag.TagStr()); err != nil {
		t.Fatal(err)
	}
	o.Index, o.Attestations = second, nil
	var exists *TagExistsError
	if _, err := Publish(context.Background(), o); !errors.As(err, &exists) || !exists.Ledger {
		t.Errorf("tag was deleted: %v, want a TagExistsError from the ledger", err)
	}
}
