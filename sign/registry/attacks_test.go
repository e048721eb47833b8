package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hardstand/hardstand/sign"
)

// scene is a registry in which somebody who may push, but has no key, tries to
// have an image accepted.
type scene struct {
	t       *testing.T
	tag     name.Tag
	repo    *Repository
	victim  v1.Descriptor // signed by us
	subject v1.Descriptor // pushed unsigned: what is checked
	index   v1.ImageIndex
}

func newScene(t *testing.T, options ServeOptions) *scene {
	t.Helper()
	tag := serve(t, NewHandler(options))
	s := &scene{t: t, tag: tag, repo: openTag(t, tag)}
	signed := small(t)
	mustPublish(t, smallPublication(tag, signed))
	s.victim = s.describe(signed)
	s.index = small(t)
	s.subject = s.describe(s.index)
	s.must(s.repo.pushIndex(context.Background(), s.index))
	return s
}

func (s *scene) describe(index v1.ImageIndex) v1.Descriptor {
	s.t.Helper()
	raw, err := index.RawManifest()
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := describe(sign.Layer{MediaType: types.OCIImageIndex, Data: raw})
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// copyTag puts the manifest of one tag under another.
func (s *scene) copyTag(from, to string) {
	s.t.Helper()
	m, err := s.repo.Tagged(context.Background(), from)
	s.must(err)
	s.must(s.repo.put(context.Background(), to, m, nil))
}

// legacy puts a manifest of layers under a legacy tag.
func (s *scene) legacy(tag string, layers ...sign.Layer) {
	s.t.Helper()
	config, err := legacyConfig(nil, layers)
	s.must(err)
	for _, l := range append(layers[:len(layers):len(layers)], config) {
		s.must(s.repo.uploadLayer(context.Background(), l))
	}
	s.must(s.repo.appendLegacy(context.Background(), tag, layers))
}

func (s *scene) signature(by *sign.Signer, digest v1.Hash) sign.Layer {
	s.t.Helper()
	l, err := by.SignImage(context.Background(), s.tag.Repository, digest)
	s.must(err)
	return l
}

func (s *scene) statement(by *sign.Signer, about v1.Hash, predicateType string) sign.Signed {
	s.t.Helper()
	st, err := sign.NewStatement(about, predicateType, []byte("{}"))
	s.must(err)
	signed, err := by.SignStatement(context.Background(), st)
	s.must(err)
	return signed
}

// attachBundle attaches bundle bytes to a subject.
func (s *scene) attachBundle(subject v1.Descriptor, predicateType string, data []byte) {
	s.t.Helper()
	b, err := newBundle(subject, predicateType, data)
	s.must(err)
	s.must(s.repo.attach(context.Background(), attachment{subject: subject, bundles: []bundle{b}}))
}

// edit changes the statement inside a bundle, keeping its signature.
func (s *scene) edit(data []byte, old, new string) []byte {
	s.t.Helper()
	var b map[string]any
	s.must(json.Unmarshal(data, &b))
	env := b["dsseEnvelope"].(map[string]any)
	payload, err := base64.StdEncoding.DecodeString(env["payload"].(string))
	s.must(err)
	changed := bytes.ReplaceAll(payload, []byte(old), []byte(new))
	if bytes.Equal(changed, payload) {
		s.t.Fatalf("nothing to change in %s", payload)
	}
	env["payload"] = base64.StdEncoding.EncodeToString(changed)
	out, err := json.Marshal(b)
	s.must(err)
	return out
}

var attacks = map[string]struct {
	code  sign.Code
	mount func(*scene)
}{
	"nothing-attached": {sign.CodeUnsigned, func(*scene) {}},
	"legacy-signature-of-another-image": {sign.CodeOtherImage, func(s *scene) {
		s.copyTag(sign.SignatureTag(s.victim.Digest), sign.SignatureTag(s.subject.Digest))
	}},
	"legacy-signature-by-another-key": {sign.CodeWrongKey, func(s *scene) {
		s.legacy(sign.SignatureTag(s.subject.Digest), s.signature(otherKey(), s.subject.Digest))
	}},
	"legacy-payload-rewritten": {sign.CodeWrongKey, func(s *scene) {
		l := s.signature(ourKey(), s.victim.Digest)
		l.Data = bytes.ReplaceAll(l.Data, []byte(s.victim.Digest.Hex), []byte(s.subject.Digest.Hex))
		s.legacy(sign.SignatureTag(s.subject.Digest), l)
	}},
	"legacy-signature-missing": {sign.CodeTampered, func(s *scene) {
		l := s.signature(ourKey(), s.subject.Digest)
		l.Annotations = nil
		s.legacy(sign.SignatureTag(s.subject.Digest), l)
	}},
	"bundle-signature-of-another-image": {sign.CodeOtherImage, func(s *scene) {
		s.attachBundle(s.subject, sign.PredicateSignature, s.statement(ourKey(), s.victim.Digest, sign.PredicateSignature).Bundle)
	}},
	"bundle-signature-by-another-key": {sign.CodeWrongKey, func(s *scene) {
		s.attachBundle(s.subject, sign.PredicateSignature, s.statement(otherKey(), s.subject.Digest, sign.PredicateSignature).Bundle)
	}},
	"bundle-subject-rewritten": {sign.CodeWrongKey, func(s *scene) {
		b := s.statement(ourKey(), s.victim.Digest, sign.PredicateSignature).Bundle
		s.attachBundle(s.subject, sign.PredicateSignature, s.edit(b, s.victim.Digest.Hex, s.subject.Digest.Hex))
	}},
	"bundle-garbage": {sign.CodeTampered, func(s *scene) {
		s.attachBundle(s.subject, sign.PredicateSignature, []byte("not json"))
	}},
	"attestation-bundle-only": {sign.CodeAttestationOnly, func(s *scene) {
		s.attachBundle(s.subject, sign.PredicateSPDX, s.statement(ourKey(), s.subject.Digest, sign.PredicateSPDX).Bundle)
	}},
	"attestation-bundle-labelled-as-signature": {sign.CodeAttestationOnly, func(s *scene) {
		s.attachBundle(s.subject, sign.PredicateSignature, s.statement(ourKey(), s.subject.Digest, sign.PredicateSPDX).Bundle)
	}},
	"attestation-predicate-type-rewritten": {sign.CodeWrongKey, func(s *scene) {
		b := s.statement(ourKey(), s.subject.Digest, sign.PredicateSPDX).Bundle
		s.attachBundle(s.subject, sign.PredicateSignature, s.edit(b, sign.PredicateSPDX, sign.PredicateSignature))
	}},
	"legacy-attestation-only": {sign.CodeAttestationOnly, func(s *scene) {
		s.legacy(sign.AttestationTag(s.subject.Digest), s.statement(ourKey(), s.subject.Digest, sign.PredicateSPDX).Envelope)
	}},
	"envelope-in-the-signature-tag": {sign.CodeUnsigned, func(s *scene) {
		s.legacy(sign.SignatureTag(s.subject.Digest), s.statement(ourKey(), s.subject.Digest, sign.PredicateSPDX).Envelope)
	}},
	"signature-statement-in-the-attestation-tag": {sign.CodeUnsigned, func(s *scene) {
		s.legacy(sign.AttestationTag(s.subject.Digest), s.statement(ourKey(), s.subject.Digest, sign.PredicateSignature).Envelope)
	}},
	"signature-tag-names-an-index": {sign.CodeUnsigned, func(s *scene) {
		s.copyTag("1.0", sign.SignatureTag(s.subject.Digest))
	}},
}

func TestVerifyRefuses(t *testing.T) {
	for kind, options := range map[string]ServeOptions{"referrers-api": {}, "referrers-tag": {NoReferrers: true}} {
		for name, attack := range attacks {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, options)
				attack.mount(s)
				ref := s.tag.Digest(s.subject.Digest.String())
				report, err := Verify(context.Background(), ref, quick(), sign.VerifyOptions{Keys: []sign.Key{ourKey().Key()}})
				var refused *sign.RefusedError
				if !errors.As(err, &refused) {
					t.Fatalf("Verify: %v, want a refusal\n%s", err, asJSON(t, report))
				}
				if !refused.Has(attack.code) {
					t.Errorf("refused with %+v, want code %s", refused.Refusals, attack.code)
				}
				if len(report.Signatures) != 0 {
					t.Errorf("signatures counted: %s", asJSON(t, report.Signatures))
				}
			})
		}
	}
}

// A stranger may attach what he likes to a good image; it stays good, and the
// report says what did not count.
func TestVerifyToleratesForeignAttachments(t *testing.T) {
	for name, attack := range attacks {
		if name == "signature-tag-names-an-index" {
			continue // replaces the good signature instead of adding to it
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, ServeOptions{})
			attack.mount(s)
			if name == "legacy-signature-of-another-image" {
				return // replaces the .sig tag
			}
			o := smallPublication(s.tag.Tag("2.0"), s.index)
			mustPublish(t, o)
			report, err := Verify(context.Background(), s.tag.Tag("2.0"), quick(), smallPolicy())
			if err != nil {
				t.Fatalf("Verify: %v\n%s", err, asJSON(t, report))
			}
		})
	}
}

func TestVerifyRefusesIncomplete(t *testing.T) {
	for name, change := range map[string]func(*sign.VerifyOptions){
		"missing-attestation": func(o *sign.VerifyOptions) { o.Require = []sign.Requirement{{PredicateType: sign.PredicateVulns}} },
		"content": func(o *sign.VerifyOptions) {
			o.Require = []sign.Requirement{{PredicateType: sign.PredicateSPDX,
				Check: func([]sign.Statement) error { return errors.New("another builder") }}}
		},
		"wrong-key": func(o *sign.VerifyOptions) { o.Keys = []sign.Key{otherKey().Key()} },
		"key-expired": func(o *sign.VerifyOptions) {
			o.Keys[0].NotAfter = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		},
		"key-not-yet": func(o *sign.VerifyOptions) {
			o.Keys[0].NotBefore = time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, ServeOptions{})
			o := smallPolicy()
			change(&o)
			_, err := Verify(context.Background(), s.tag, quick(), o)
			var refused *sign.RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("Verify: %v, want a refusal", err)
			}
			want := map[string]sign.Code{"missing-attestation": sign.CodeAttestation, "content": sign.CodeContent,
				"wrong-key": sign.CodeWrongKey, "key-expired": sign.CodeKeyWindow, "key-not-yet": sign.CodeKeyWindow}[name]
			if !refused.Has(want) {
				t.Errorf("refused with %+v, want %s", refused.Refusals, want)
			}
		})
	}
}

func TestVerifyRefusesUnsignedPlatform(t *testing.T) {
	s := newScene(t, ServeOptions{})
	s.legacy(sign.SignatureTag(s.subject.Digest), s.signature(ourKey(), s.subject.Digest))
	ref := s.tag.Digest(s.subject.Digest.String())
	o := sign.VerifyOptions{Keys: []sign.Key{ourKey().Key()}}
	if _, err := Verify(context.Background(), ref, quick(), o); err != nil {
		t.Fatalf("the index alone: %v", err)
	}
	o.Platforms = true
	_, err := Verify(context.Background(), ref, quick(), o)
	var refused *sign.RefusedError
	if !errors.As(err, &refused) || len(refused.Refusals) != 1 || refused.Refusals[0].Platform != "linux/amd64" {
		t.Errorf("with platforms: %v, want its platform refused", err)
	}
	o.Platforms, o.Forms = false, []sign.Form{sign.FormBundle}
	if _, err = Verify(context.Background(), ref, quick(), o); !errors.As(err, &refused) || !refused.Has(sign.CodeForms) {
		t.Errorf("legacy signature only: %v, want a refusal for the missing form", err)
	}
}

// What could not be checked is neither a yes nor a refusal.
func TestVerifyFailsClosed(t *testing.T) {
	for name, broken := range map[string]string{
		"image":      "/manifests/sha256:",
		"signatures": ".sig",
		"envelopes":  ".att",
		"referrers":  "/referrers/",
		"blobs":      "/blobs/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, ServeOptions{})
			failing := roundTripFunc(func(req *http.Request) (*http.Response, error) {
				if bytes.Contains([]byte(req.URL.Path), []byte(broken)) {
					return nil, errors.New("the line is dead")
				}
				return direct.RoundTrip(req)
			})
			remote := quick()
			remote.Transport, remote.Attempts = failing, 1
			_, err := Verify(context.Background(), s.tag, remote, sign.VerifyOptions{Keys: []sign.Key{ourKey().Key()}})
			var refused *sign.RefusedError
			if err == nil || errors.As(err, &refused) {
				t.Errorf("Verify: %v, want an error that is no refusal", err)
			}
		})
	}
}

func TestVerifyNeedsSomebodyToTrust(t *testing.T) {
	s := newScene(t, ServeOptions{})
	if _, err := Verify(context.Background(), s.tag, quick(), sign.VerifyOptions{}); err == nil {
		t.Error("verified without any key or identity")
	}
}
