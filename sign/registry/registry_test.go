package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hardstand/hardstand/sign"
)

// Keys cost a key derivation each; tests share two.
var (
	ourKey   = sync.OnceValue(newTestSigner)
	otherKey = sync.OnceValue(newTestSigner)
)

func newTestSigner() *sign.Signer {
	private, _, err := sign.GenerateKey([]byte("pass"))
	if err != nil {
		panic(err)
	}
	s, err := sign.LoadSigner(private, []byte("pass"))
	if err != nil {
		panic(err)
	}
	return s
}

// newIndex makes an index of two platforms, in OCI or Docker media types.
func newIndex(t *testing.T, docker bool) v1.ImageIndex {
	t.Helper()
	indexType, imageType, configType, layerType := types.OCIImageIndex, types.OCIManifestSchema1, types.OCIConfigJSON, types.OCILayer
	if docker {
		indexType, imageType, configType, layerType = types.DockerManifestList, types.DockerManifestSchema2, types.DockerConfigJSON, types.DockerLayer
	}
	index := mutate.IndexMediaType(empty.Index, indexType)
	for _, arch := range []string{"amd64", "arm64"} {
		layer, err := random.Layer(2000, layerType)
		if err != nil {
			t.Fatal(err)
		}
		img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, imageType), configType)
		img, err = mutate.Append(img, mutate.Addendum{Layer: layer, MediaType: layerType})
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			MediaType: imageType, Platform: &v1.Platform{OS: "linux", Architecture: arch},
		}})
	}
	return index
}

// serve starts a registry and returns a tag in it.
func serve(t *testing.T, h http.Handler) name.Tag {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	direct.handlers.Store(strings.TrimPrefix(server.URL, "http://"), h)
	tag, err := ParseTag(strings.TrimPrefix(server.URL, "http://") + "/team/app:1.0")
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

// quick reaches the registries of these tests without sockets, which take most
// of the time of the many small exchanges.
func quick() Remote { return Remote{Backoff: time.Millisecond, Transport: direct} }

var direct = &inProcess{}

// inProcess calls a registry's handler by its address.
type inProcess struct{ handlers sync.Map }

func (p *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	h, ok := p.handlers.Load(req.URL.Host)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if !ok || req.URL.Scheme != "http" {
		return nil, fmt.Errorf("connect to %s: nobody there", req.URL)
	}
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	h.(http.Handler).ServeHTTP(rec, in)
	_ = in.Body.Close()
	resp := rec.Result()
	resp.Request = req
	if req.Method == http.MethodHead {
		resp.Body = http.NoBody
	}
	return resp, nil
}

func sbomFor(t *testing.T, index v1.ImageIndex) []Attestation {
	t.Helper()
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var list []Attestation
	for i, d := range m.Manifests {
		list = append(list, Attestation{Subject: d.Digest, PredicateType: sign.PredicateSPDX,
			Predicate: fmt.Appendf(nil, `{"spdxVersion": "SPDX-2.3", "name": "<platform %d>"}`, i)})
	}
	return append(list, Attestation{PredicateType: sign.PredicateProvenance, Predicate: []byte(`{"buildDefinition":{}}`)})
}

func publication1(t *testing.T, tag name.Tag, index v1.ImageIndex) PublishOptions {
	t.Helper()
	return PublishOptions{Index: index, Tag: tag, Signer: ourKey(), Attestations: sbomFor(t, index), Remote: quick()}
}

func digestOf(t *testing.T, index v1.ImageIndex) v1.Hash {
	t.Helper()
	h, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mustPublish(t *testing.T, o PublishOptions) Result {
	t.Helper()
	res, err := Publish(context.Background(), o)
	if err != nil {
		t.Fatalf("Publish: %v", err)
	}
	return res
}

// pushUnsigned tags an index that nobody vouches for, as any other client would.
func pushUnsigned(t *testing.T, tag name.Tag, index v1.ImageIndex) {
	t.Helper()
	repo := openTag(t, tag)
	if err := repo.pushIndex(context.Background(), index); err != nil {
		t.Fatal(err)
	}
	raw, err := index.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.put(context.Background(), tag.TagStr(), sign.Manifest{MediaType: mediaTypeOfContent(index, raw), Raw: raw}, nil); err != nil {
		t.Fatal(err)
	}
}

func openTag(t *testing.T, tag name.Tag) *Repository {
	t.Helper()
	repo, err := openForPush(context.Background(), tag.Repository, quick())
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// tagNames returns the digest behind a tag, or "" if there is none.
func tagNames(t *testing.T, tag name.Tag) string {
	t.Helper()
	digest, found, err := openTag(t, tag).resolve(context.Background(), tag.TagStr())
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		return ""
	}
	return digest.String()
}

// kinds are the registries a publisher meets.
var kinds = map[string]ServeOptions{
	"referrers-api":    {},
	"referrers-tag":    {NoReferrers: true},
	"immutable":        {Immutable: true},
	"immutable-no-api": {Immutable: true, NoReferrers: true},
}

func policy() sign.VerifyOptions {
	return sign.VerifyOptions{
		Keys: []sign.Key{ourKey().Key()}, Platforms: true, Forms: []sign.Form{sign.FormLegacy, sign.FormBundle},
		Require: []sign.Requirement{{PredicateType: sign.PredicateSPDX}, {PredicateType: sign.PredicateProvenance}},
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// noPlainHTTP fails HTTPS as a plain server would and must never see plain HTTP.
func noPlainHTTP(t *testing.T) http.RoundTripper {
	return roundTripFunc(func(req *http.Request) (*http.Response, error) {
		if req.URL.Scheme == "http" {
			t.Errorf("sent %s", req.URL)
		}
		return nil, fmt.Errorf("tls: first record does not look like a TLS handshake")
	})
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
