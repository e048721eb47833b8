package sign

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// signedImage is a memory with an image that our key signed as a bundle.
func signedImage(t *testing.T) (*memory, v1.Descriptor) {
	t.Helper()
	src := newMemory()
	subject := v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: 1}
	subject.Digest = src.put(t, types.OCIManifestSchema1, src.image(t, nil))
	src.refer(t, src.image(t, &subject, src.blob(t, MediaTypeBundle, bundleFor(t, subject.Digest), nil)))
	return src, subject
}

func bundleFor(t *testing.T, digest v1.Hash) []byte {
	t.Helper()
	signed, err := testSigner().SignStatement(context.Background(), SignatureStatement(digest))
	if err != nil {
		t.Fatal(err)
	}
	return signed.Bundle
}

func (m *memory) refer(t *testing.T, raw []byte) {
	t.Helper()
	m.referrers = []v1.Descriptor{{Digest: m.put(t, types.OCIManifestSchema1, raw)}}
}

func verifyWithKey(src Source, digest v1.Hash) (Report, error) {
	return Verify(context.Background(), src, digest, VerifyOptions{Keys: []Key{testSigner().Key()}})
}

// A registry that answers with other bytes than asked for is caught, and the
// answer is "unknown", not "no": it is the registry that is broken.
func TestVerifyBelievesNoRegistry(t *testing.T) {
	good, image := signedImage(t)
	if _, err := verifyWithKey(good, image.Digest); err != nil {
		t.Fatalf("untouched: %v", err)
	}
	for name, spoil := range map[string]func(*memory, v1.Descriptor){
		"image": func(m *memory, s v1.Descriptor) {
			m.manifests[s.Digest.String()] = Manifest{types.OCIManifestSchema1, []byte(`{"schemaVersion":2,"layers":[]}`)}
		},
		"bundle-manifest": func(m *memory, _ v1.Descriptor) {
			key := m.referrers[0].Digest.String()
			man := m.manifests[key]
			man.Raw = append(man.Raw, ' ')
			m.manifests[key] = man
		},
		"bundle": func(m *memory, _ v1.Descriptor) {
			for digest, data := range m.blobs {
				m.blobs[digest] = append(data, ' ')
			}
		},
		"media-type": func(m *memory, s v1.Descriptor) {
			man := m.manifests[s.Digest.String()]
			man.MediaType = types.OCIImageIndex
			m.manifests[s.Digest.String()] = man
		},
	} {
		t.Run(name, func(t *testing.T) {
			src, subject := signedImage(t)
			spoil(src, subject)
			_, err := verifyWithKey(src, subject.Digest)
			var refused *RefusedError
			if err == nil || errors.As(err, &refused) {
				t.Errorf("Verify: %v, want an error that is no refusal", err)
			}
		})
	}
}

// Bytes that could be read as an image and as an index are read as neither.
func TestVerifyRefusesAmbiguousManifest(t *testing.T) {
	src := newMemory()
	digest := src.put(t, types.OCIImageIndex, []byte(`{"schemaVersion":2,"manifests":[],"layers":[]}`))
	if _, err := verifyWithKey(src, digest); err == nil || !strings.Contains(err.Error(), "both layers and manifests") {
		t.Errorf("Verify: %v", err)
	}
}

func TestVerifyReferrers(t *testing.T) {
	for name, c := range map[string]struct {
		code Code
		raw  func(*testing.T, *memory, v1.Descriptor) []byte
	}{
		"names-another-subject": {code: CodeOtherImage, raw: func(t *testing.T, m *memory, s v1.Descriptor) []byte {
			other := s
			other.Digest = testDigest(t, "other")
			return m.image(t, &other, m.blob(t, MediaTypeBundle, bundleFor(t, s.Digest), nil))
		}},
		"names-no-subject": {code: CodeOtherImage, raw: func(t *testing.T, m *memory, s v1.Descriptor) []byte {
			return m.image(t, nil, m.blob(t, MediaTypeBundle, bundleFor(t, s.Digest), nil))
		}},
		"another-layer-type": {code: CodeUnsigned, raw: func(t *testing.T, m *memory, s v1.Descriptor) []byte {
			return m.image(t, &s, m.blob(t, "application/json", bundleFor(t, s.Digest), nil))
		}},
		"two-layers": {code: CodeUnsigned, raw: func(t *testing.T, m *memory, s v1.Descriptor) []byte {
			d := m.blob(t, MediaTypeBundle, bundleFor(t, s.Digest), nil)
			return m.image(t, &s, d, d)
		}},
		"too-large": {code: CodeUnsigned, raw: func(t *testing.T, m *memory, s v1.Descriptor) []byte {
			d := m.blob(t, MediaTypeBundle, bundleFor(t, s.Digest), nil)
			d.Size = maxAttestation + 1
			return m.image(t, &s, d)
		}},
		"blob-missing": {code: CodeTampered, raw: func(t *testing.T, m *memory, s v1.Descriptor) []byte {
			d := m.blob(t, MediaTypeBundle, bundleFor(t, s.Digest), nil)
			delete(m.blobs, d.Digest)
			return m.image(t, &s, d)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			src, subject := signedImage(t)
			src.refer(t, c.raw(t, src, subject))
			_, err := verifyWithKey(src, subject.Digest)
			var refused *RefusedError
			if !errors.As(err, &refused) || !refused.Has(c.code) {
				t.Errorf("Verify: %v, want %s", err, c.code)
			}
		})
	}
}

// Our key may sign other things of the same shape, such as GnuPG-style atomic
// signatures; only cosign's type is a signature of an image.
func TestVerifyRefusesAnotherPayloadType(t *testing.T) {
	src := newMemory()
	digest := src.put(t, types.OCIManifestSchema1, src.image(t, nil))
	message, err := json.Marshal(map[string]any{"critical": map[string]any{
		"type": "atomic container signature", "image": map[string]string{"docker-manifest-digest": digest.String()}}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := testSigner().sv.SignMessage(strings.NewReader(string(message)), options.WithContext(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	d := src.blob(t, mediaTypeSimpleSigning, message, map[string]string{annotationSignature: base64.StdEncoding.EncodeToString(raw)})
	src.put(t, types.OCIManifestSchema1, src.image(t, nil, d), SignatureTag(digest))
	_, err = verifyWithKey(src, digest)
	var refused *RefusedError
	if !errors.As(err, &refused) || !refused.Has(CodeTampered) {
		t.Errorf("Verify: %v", err)
	}
}
