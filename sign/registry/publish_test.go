package registry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/hardstand/hardstand/sign"
)

func TestPublishAndVerify(t *testing.T) {
	for kind, options := range kinds {
		for _, docker := range []bool{false, true} {
			t.Run(kind+map[bool]string{false: "/oci", true: "/docker"}[docker], func(t *testing.T) {
				t.Parallel()
				tag := serve(t, NewHandler(options))
				index := newIndex(t, docker)
				o := publication1(t, tag, index)
				o.Remote.Transport = nil // over a socket, as in life
				first := mustPublish(t, o)
				if first.Existed || first.Signed != 3 {
					t.Errorf("first publication: existed %v, signed %d, want 3 signed", first.Existed, first.Signed)
				}
				if got := tagNames(t, tag); got != digestOf(t, index).String() {
					t.Errorf("tag names %q, want %s", got, digestOf(t, index))
				}
				report, err := Verify(context.Background(), tag, Remote{}, policy())
				if err != nil {
					t.Fatalf("Verify: %v\n%s", err, asJSON(t, report))
				}
				if len(report.Signatures) != 2 || len(report.Platforms) != 2 || len(report.Rejected) != 0 {
					t.Errorf("report: %s", asJSON(t, report))
				}
				again := mustPublish(t, o)
				if !again.Existed || again.Traffic.Manifests != 0 || again.Traffic.Blobs != 0 {
					t.Errorf("publishing again wrote %+v, existed %v", again.Traffic, again.Existed)
				}
			})
		}
	}
}

func TestPublishRefusesOverwriteBeforePushing(t *testing.T) {
	for kind, options := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			tag := serve(t, NewHandler(options))
			first, second := newIndex(t, false), newIndex(t, false)
			mustPublish(t, publication1(t, tag, first))
			res, err := Publish(context.Background(), publication1(t, tag, second))
			var exists *TagExistsError
			if !errors.As(err, &exists) {
				t.Fatalf("Publish: %v, want a TagExistsError", err)
			}
			if exists.Existing != digestOf(t, first) || exists.Wanted != digestOf(t, second) {
				t.Errorf("error names %s and %s", exists.Existing, exists.Wanted)
			}
			if res.Traffic.Blobs+res.Traffic.Manifests != 0 {
				t.Errorf("something was pushed: %+v", res.Traffic)
			}
			if got := tagNames(t, tag); got != digestOf(t, first).String() {
				t.Errorf("tag now names %s", got)
			}
		})
	}
}

func TestPublishMovesOnRequestOnly(t *testing.T) {
	tag := serve(t, NewHandler(ServeOptions{}))
	first, second := newIndex(t, false), newIndex(t, false)
	mustPublish(t, publication1(t, tag, first))
	o := publication1(t, tag, second)
	o.Move = true
	res := mustPublish(t, o)
	if res.MovedFrom != digestOf(t, first) {
		t.Errorf("moved from %s, want %s", res.MovedFrom, digestOf(t, first))
	}
	unique := tag.Tag("1.0-r1-20261122-0123abcd")
	o.Tag = unique
	mustPublish(t, o)
	o = publication1(t, unique, first)
	o.Move = true
	var exists *TagExistsError
	if _, err := Publish(context.Background(), o); !errors.As(err, &exists) {
		t.Errorf("moving a unique tag: %v, want a TagExistsError", err)
	}
}

func TestPublishSignsWhatWasPushedUnsigned(t *testing.T) {
	tag := serve(t, NewHandler(ServeOptions{}))
	index := newIndex(t, false)
	pushUnsigned(t, tag, index)
	if res := mustPublish(t, publication1(t, tag, index)); res.Existed || res.Signed != 3 {
		t.Errorf("existed %v, signed %d: the tag named an unsigned image", res.Existed, res.Signed)
	}
	if _, err := Verify(context.Background(), tag, quick(), policy()); err != nil {
		t.Error(err)
	}
}

func TestPublishAddsNewAttestationOnly(t *testing.T) {
	tag := serve(t, NewHandler(ServeOptions{}))
	index := newIndex(t, false)
	o := publication1(t, tag, index)
	mustPublish(t, o)
	o.Attestations = append(o.Attestations, Attestation{PredicateType: sign.PredicateVulns, Predicate: []byte(`{"scanner":{}}`)})
	res := mustPublish(t, o)
	if res.Signed != 1 || len(res.Report.Signatures) != 2 || len(res.Report.Attestations) != 4 {
		t.Errorf("signed %d: %s", res.Signed, asJSON(t, res.Report))
	}
}

func TestPublishRejectsBadInput(t *testing.T) {
	tag := serve(t, NewHandler(ServeOptions{}))
	index := newIndex(t, false)
	other, err := random.Index(10, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*PublishOptions){
		"no-index":             func(o *PublishOptions) { o.Index = nil },
		"no-signer":            func(o *PublishOptions) { o.Signer = nil },
		"predicate-not-json":   func(o *PublishOptions) { o.Attestations[0].Predicate = []byte("{") },
		"predicate-empty-type": func(o *PublishOptions) { o.Attestations[0].PredicateType = "" },
		"foreign-subject":      func(o *PublishOptions) { o.Attestations[0].Subject = digestOf(t, other) },
		"forged-signature":     func(o *PublishOptions) { o.Attestations[0].PredicateType = sign.PredicateSignature },
	} {
		t.Run(name, func(t *testing.T) {
			o := publication1(t, tag, index)
			change(&o)
			if _, err := Publish(context.Background(), o); err == nil {
				t.Error("accepted")
			}
			if got := tagNames(t, tag); got != "" {
				t.Errorf("tag names %s", got)
			}
		})
	}
}

func TestPublishReportsSteps(t *testing.T) {
	tag := serve(t, NewHandler(ServeOptions{}))
	var steps []string
	var sent, total int64
	o := publication1(t, tag, newIndex(t, false))
	o.Progress = func(e Event) {
		if len(steps) == 0 || steps[len(steps)-1] != string(e.Step) {
			steps = append(steps, string(e.Step))
		}
		if e.Step == StepPush {
			sent, total = e.Done, e.Total
		}
	}
	mustPublish(t, o)
	if got := strings.Join(steps, " "); got != "check push sign verify tag" {
		t.Errorf("steps %q", got)
	}
	if sent != total || total == 0 {
		t.Errorf("sent %d of %d bytes", sent, total)
	}
}

func TestRefusesPlainHTTPElsewhere(t *testing.T) {
	for _, registry := range []string{"registry.example.com", "10.0.0.1:5000", "example.local:5000", "192.168.1.1", "[::2]:80", "127.0.0.1.example.com"} {
		if IsLoopback(registry) {
			t.Errorf("IsLoopback(%q) = true", registry)
		}
	}
	for _, registry := range []string{"localhost", "localhost:5000", "127.0.0.1:5000", "127.8.9.1", "[::1]:5000", "::1"} {
		if !IsLoopback(registry) {
			t.Errorf("IsLoopback(%q) = false", registry)
		}
	}
	repo, err := ParseRepository("10.0.0.1:5000/team/app")
	if err != nil {
		t.Fatal(err)
	}
	plain := noPlainHTTP(t)
	_, err = Open(context.Background(), repo, Remote{Transport: plain, Attempts: 1})
	if err == nil || !strings.Contains(err.Error(), "loopback registries only") {
		t.Errorf("Open: %v, want a refusal of plain HTTP", err)
	}
}

// A public registry that sends its clients to services of their own network.
func TestRefusesToBeSentInside(t *testing.T) {
	inner := NewHandler(ServeOptions{})
	for _, inside := range []string{"https://127.0.0.1:1", "https://10.1.2.3", "https://[fe80::1]", "https://169.254.169.254", "https://localhost"} {
		for name, hostile := range map[string]func(http.ResponseWriter, *http.Request) bool{
			"redirect": func(w http.ResponseWriter, req *http.Request) bool {
				w.Header().Set("Location", inside+"/latest/meta-data")
				w.WriteHeader(http.StatusTemporaryRedirect)
				return true
			},
			"upload": func(w http.ResponseWriter, req *http.Request) bool {
				w.Header().Set("Location", inside+"/upload")
				w.WriteHeader(http.StatusAccepted)
				return req.Method == http.MethodPost
			},
			"token": func(w http.ResponseWriter, req *http.Request) bool {
				w.Header().Set("WWW-Authenticate", `Bearer realm="`+inside+`/token",service="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			},
		} {
			t.Run(name+"-"+inside, func(t *testing.T) {
				tag, err := ParseTag("registry.example/team/app:1.0")
				if err != nil {
					t.Fatal(err)
				}
				o := publication1(t, tag, newIndex(t, false))
				o.Remote = Remote{Attempts: 1, Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
					if req.URL.Host != "registry.example" {
						t.Errorf("sent %s %s", req.Method, req.URL)
						return nil, errors.New("nobody there")
					}
					rec := httptest.NewRecorder()
					if plain := req.URL.Path == "/v2/" && name != "token"; plain || req.Method == http.MethodHead || name == "upload" && req.Method == http.MethodGet {
						inner.ServeHTTP(rec, req)
					} else if !hostile(rec, req) {
						t.Errorf("unexpected %s %s", req.Method, req.URL)
					}
					resp := rec.Result()
					resp.Request = req
					return resp, nil
				})}
				if _, err := Publish(context.Background(), o); err == nil || !strings.Contains(err.Error(), "private") {
					t.Errorf("Publish: %v", err)
				}
			})
		}
	}
}
