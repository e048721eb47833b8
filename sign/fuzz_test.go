package sign

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// memory is a Source of a few things.
type memory struct {
	manifests map[string]Manifest // by tag or digest
	blobs     map[v1.Hash][]byte
	referrers []v1.Descriptor
}

func newMemory() *memory {
	return &memory{manifests: map[string]Manifest{}, blobs: map[v1.Hash][]byte{}}
}

func (m *memory) Manifest(_ context.Context, digest v1.Hash) (Manifest, error) {
	return m.Tagged(context.Background(), digest.String())
}

func (m *memory) Tagged(_ context.Context, tag string) (Manifest, error) {
	if man, ok := m.manifests[tag]; ok {
		return man, nil
	}
	return Manifest{}, ErrNotFound
}

func (m *memory) Blob(_ context.Context, digest v1.Hash) (io.ReadCloser, error) {
	data, ok := m.blobs[digest]
	if !ok {
		return nil, fmt.Errorf("blob: %w", ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (m *memory) Referrers(context.Context, v1.Hash) ([]v1.Descriptor, error) {
	return m.referrers, nil
}

func (m *memory) put(t testing.TB, mt types.MediaType, raw []byte, tags ...string) v1.Hash {
	t.Helper()
	h := testDigest(t, string(raw))
	for _, tag := range append(tags, h.String()) {
		m.manifests[tag] = Manifest{MediaType: mt, Raw: raw}
	}
	return h
}

func (m *memory) blob(t testing.TB, mt types.MediaType, data []byte, annotations map[string]string) v1.Descriptor {
	t.Helper()
	h := testDigest(t, string(data))
	m.blobs[h] = data
	return v1.Descriptor{MediaType: mt, Digest: h, Size: int64(len(data)), Annotations: annotations}
}

func (m *memory) image(t testing.TB, subject *v1.Descriptor, layers ...v1.Descriptor) []byte {
	t.Helper()
	raw, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: m.blob(t, types.OCIConfigJSON, []byte("{}"), nil), Layers: layers, Subject: subject})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// FuzzVerify hands the same foreign bytes to every place where a registry's
// content is parsed. Nobody without the key can make them count.
func FuzzVerify(f *testing.F) {
	image := v1.Hash{Algorithm: "sha256", Hex: string(bytes.Repeat([]byte("a"), 64))}
	signed, err := testSigner().SignStatement(context.Background(), SignatureStatement(image))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed.Bundle, "", "")
	f.Add(signed.Envelope.Data, "", PredicateSPDX)
	f.Add([]byte(`{"critical":{"type":"cosign container image signature","image":{"docker-manifest-digest":"sha256:00"}}}`),
		base64.StdEncoding.EncodeToString([]byte("signature")), "")
	f.Add([]byte(`{"schemaVersion":2,"layers":[],"manifests":[]}`), "====", "x")
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{},"verificationMaterial":{"certificate":{}}}`), "", "")
	f.Add([]byte("null"), "AAAA", "\x00")
	f.Fuzz(func(t *testing.T, data []byte, signature, predicateType string) {
		src := newMemory()
		subject := v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: 1}
		subject.Digest = src.put(t, types.OCIManifestSchema1, src.image(t, nil))
		annotations := map[string]string{annotationSignature: signature, annotationPredicateType: predicateType}
		src.put(t, types.OCIManifestSchema1, src.image(t, nil, src.blob(t, mediaTypeSimpleSigning, data, annotations)), SignatureTag(subject.Digest))
		src.put(t, types.OCIManifestSchema1, src.image(t, nil, src.blob(t, mediaTypeDSSE, data, annotations)), AttestationTag(subject.Digest))
		for _, raw := range [][]byte{data, src.image(t, &subject, src.blob(t, MediaTypeBundle, data, nil))} {
			src.referrers = append(src.referrers, v1.Descriptor{Digest: src.put(t, types.OCIManifestSchema1, raw)})
		}
		_, err := Verify(context.Background(), src, subject.Digest, VerifyOptions{Keys: []Key{testSigner().Key()}})
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Fatalf("Verify: %v, want a refusal", err)
		}
	})
}

func FuzzPlatforms(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:aa","size":1,"platform":{"os":"linux"}}]}`))
	f.Add([]byte(`{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := Platforms(Manifest{MediaType: types.OCIImageIndex, Raw: raw})
		if err == nil && len(list) > maxPlatforms {
			t.Errorf("%d platforms", len(list))
		}
	})
}

func FuzzLoadPublicKeys(f *testing.F) {
	_, public := testKey()
	f.Add(public)
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nNot-After: x\n\nAAAA\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, list []byte) {
		keys, err := LoadPublicKeys(list)
		if err == nil && len(keys) == 0 {
			t.Error("no error and no key")
		}
	})
}

func FuzzLoadTrustedRoot(f *testing.F) {
	f.Add(EmptyTrustedRoot())
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := LoadTrustedRoot(data)
		if err == nil && root.material == nil {
			t.Error("no error and no root")
		}
	})
}
