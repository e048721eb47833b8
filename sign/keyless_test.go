package sign

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	workflow = "https://github.com/team/app/.github/workflows/release.yaml@refs/heads/main"
	actions  = "https://token.actions.githubusercontent.com"
)

// virtualBundle signs a statement in the virtual instance and writes it as the
// bundle that would be attached. change may take things out of it.
func virtualBundle(t *testing.T, vs *ca.VirtualSigstore, statement Statement, change func(*bundlepb.Bundle)) []byte {
	t.Helper()
	data, err := json.Marshal(statement)
	if err != nil {
		t.Fatal(err)
	}
	// A minute after the certificate was made, and in the past for nobody.
	e, err := vs.AttestAtTimeHashedRekordV2(workflow, actions, data, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	material, err := e.VerificationContent()
	if err != nil {
		t.Fatal(err)
	}
	content, err := e.SignatureContent()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := e.TlogEntries()
	if err != nil {
		t.Fatal(err)
	}
	stamps, err := e.Timestamps()
	if err != nil {
		t.Fatal(err)
	}
	b := &bundlepb.Bundle{
		MediaType: string(MediaTypeBundle),
		Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
			Payload: data, PayloadType: payloadTypeInToto,
			Signatures: []*dssepb.Signature{{Sig: content.Signature()}},
		}},
		VerificationMaterial: &bundlepb.VerificationMaterial{
			Content: &bundlepb.VerificationMaterial_Certificate{
				Certificate: &commonpb.X509Certificate{RawBytes: material.Certificate().Raw},
			},
			TimestampVerificationData: &bundlepb.TimestampVerificationData{
				Rfc3161Timestamps: []*commonpb.RFC3161SignedTimestamp{{SignedTimestamp: stamps[0]}},
			},
		},
	}
	for _, entry := range entries {
		b.VerificationMaterial.TlogEntries = append(b.VerificationMaterial.TlogEntries, entry.TransparencyLogEntry())
	}
	if change != nil {
		change(b)
	}
	raw, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// withoutCT is a trusted root that names no certificate log.
type withoutCT struct{ root.TrustedMaterial }

func (withoutCT) CTLogs() map[string]*root.TransparencyLog { return nil }

func newVirtual(t *testing.T) *ca.VirtualSigstore {
	t.Helper()
	vs, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return vs
}

func TestVerifyIdentity(t *testing.T) {
	vs, other := newVirtual(t), newVirtual(t)
	right := Identity{Subject: workflow, Issuer: actions}
	trust := &TrustedRoot{withoutCT{vs}}
	type check struct {
		identities []Identity
		root       *TrustedRoot
		predicate  string
		about      string // what the statement is about; the image if empty
		change     func(*bundlepb.Bundle)
		code       Code // empty is accepted
	}
	for name, c := range map[string]check{
		"right":               {identities: []Identity{right}, root: trust},
		"one-of-two":          {identities: []Identity{{Subject: "x", Issuer: "y"}, right}, root: trust},
		"expression":          {identities: []Identity{{SubjectRegexp: `https://github\.com/team/.*`, Issuer: actions}}, root: trust},
		"expression-partial":  {identities: []Identity{{SubjectRegexp: `github\.com/team/app`, Issuer: actions}}, root: trust, code: CodeWrongIdentity},
		"wrong-subject":       {identities: []Identity{{Subject: workflow + "2", Issuer: actions}}, root: trust, code: CodeWrongIdentity},
		"wrong-issuer":        {identities: []Identity{{Subject: workflow, Issuer: "https://accounts.example"}}, root: trust, code: CodeWrongIdentity},
		"wrong-repository":    {identities: []Identity{{Subject: workflow, Issuer: actions, Repository: "team/other"}}, root: trust, code: CodeWrongIdentity},
		"wrong-authority":     {identities: []Identity{right}, root: &TrustedRoot{withoutCT{other}}, code: CodeWrongIdentity},
		"no-certificate-log":  {identities: []Identity{right}, root: &TrustedRoot{vs}, code: CodeWrongIdentity}, // the certificate carries no SCT
		"another-image":       {identities: []Identity{right}, root: trust, about: "other", code: CodeWrongIdentity},
		"attestation-only":    {identities: []Identity{right}, root: trust, predicate: PredicateSPDX, code: CodeAttestationOnly},
		"timestamp-missing":   {identities: []Identity{right}, root: trust, change: func(b *bundlepb.Bundle) { b.VerificationMaterial.TimestampVerificationData = nil }, code: CodeWrongIdentity},
		"log-entry-missing":   {identities: []Identity{right}, root: trust, change: func(b *bundlepb.Bundle) { b.VerificationMaterial.TlogEntries = nil }, code: CodeWrongIdentity},
		"nobody-by-identity":  {identities: nil, root: trust, code: CodeWrongKey},
		"certificate-missing": {identities: []Identity{right}, root: trust, change: func(b *bundlepb.Bundle) { b.VerificationMaterial.Content = nil }, code: CodeTampered},
	} {
		t.Run(name, func(t *testing.T) {
			src := newMemory()
			subject := v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: 1}
			subject.Digest = src.put(t, types.OCIManifestSchema1, src.image(t, nil))
			about := subject.Digest
			if c.about != "" {
				about = testDigest(t, c.about)
			}
			st := SignatureStatement(about)
			if c.predicate != "" {
				st.PredicateType = c.predicate
			}
			raw := src.image(t, &subject, src.blob(t, MediaTypeBundle, virtualBundle(t, vs, st, c.change), nil))
			src.referrers = []v1.Descriptor{{Digest: src.put(t, types.OCIManifestSchema1, raw)}}
			opts := VerifyOptions{Identities: c.identities, TrustedRoot: c.root}
			if c.identities == nil {
				opts.Keys = []Key{testSigner().Key()}
			}
			report, err := Verify(context.Background(), src, subject.Digest, opts)
			if c.code == "" {
				if err != nil || report.Signatures[0].Identity != workflow || report.Signatures[0].Issuer != actions || report.Signatures[0].Time.IsZero() {
					t.Errorf("Verify: %v, %+v", err, report.Signatures)
				}
				return
			}
			var refused *RefusedError
			if !errors.As(err, &refused) || !refused.Has(c.code) {
				t.Errorf("Verify: %v %+v, want %s", err, report.Rejected, c.code)
			}
		})
	}
}

// instance is a private sigstore instance without logs: a certificate authority
// and a timestamp authority on this machine.
type instance struct {
	root.BaseTrustedMaterial
	rootCert     *x509.Certificate
	rootKey      *ecdsa.PrivateKey
	tsa          root.SigstoreTimestampingAuthority
	tsaKey       *ecdsa.PrivateKey
	certificates atomic.Int32
	server       *httptest.Server
}

func (i *instance) FulcioCertificateAuthorities() []root.CertificateAuthority {
	return []root.CertificateAuthority{&root.FulcioCertificateAuthority{Root: i.rootCert,
		ValidityPeriodStart: time.Now().Add(-time.Hour), ValidityPeriodEnd: time.Now().Add(time.Hour)}}
}

func (i *instance) TimestampingAuthorities() []root.TimestampingAuthority {
	return []root.TimestampingAuthority{&i.tsa}
}

func newInstance(t *testing.T) *instance {
	t.Helper()
	i := &instance{}
	var err error
	if i.rootCert, i.rootKey, err = ca.GenerateRootCa(); err != nil {
		t.Fatal(err)
	}
	middle, middleKey, err := ca.GenerateTSAIntermediate(i.rootCert, i.rootKey)
	if err != nil {
		t.Fatal(err)
	}
	if i.tsaKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.GenerateTSALeafCert(time.Now().Add(-time.Minute), i.tsaKey, middle, middleKey)
	if err != nil {
		t.Fatal(err)
	}
	i.tsa = root.SigstoreTimestampingAuthority{Root: i.rootCert, Intermediates: []*x509.Certificate{middle}, Leaf: leaf,
		ValidityPeriodStart: time.Now().Add(-time.Hour), ValidityPeriodEnd: time.Now().Add(time.Hour)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "Bearer runner" || req.URL.Query().Get("audience") != "sigstore" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		// Fulcio's client reads the subject from the token to prove possession.
		_, _ = io.WriteString(w, `{"value":"e30.eyJzdWIiOiJyZXBvOnRlYW0vYXBwIn0.e30"}`)
	})
	mux.HandleFunc("POST /api/v2/signingCert", i.issue)
	mux.HandleFunc("POST /tsa", i.stamp)
	i.server = httptest.NewServer(mux)
	t.Cleanup(i.server.Close)
	return i
}

func (i *instance) issue(w http.ResponseWriter, req *http.Request) {
	i.certificates.Add(1)
	var body struct {
		PublicKeyRequest struct {
			PublicKey struct{ Content string } `json:"publicKey"`
		} `json:"publicKeyRequest"`
	}
	if json.NewDecoder(req.Body).Decode(&body) != nil || !strings.HasPrefix(req.Header.Get("Authorization"), "Bearer e30.") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	block, _ := pem.Decode([]byte(body.PublicKeyRequest.PublicKey.Content))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	san, _ := url.Parse(workflow)
	issuer, _ := asn1.Marshal(actions)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, URIs: []*url.URL{san},
		// github.com/sigstore/fulcio, docs/oid-info.md
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: issuer},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 5}, Value: []byte("team/app")}},
	}, i.rootCert, public, i.rootKey)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	_ = json.NewEncoder(w).Encode(map[string]any{"signedCertificateEmbeddedSct": map[string]any{
		"chain": map[string]any{"certificates": []string{string(text)}}}})
}

// stamp answers RFC 3161 requests.
func (i *instance) stamp(w http.ResponseWriter, req *http.Request) {
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	query, err := timestamp.ParseRequest(raw)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	stamp := timestamp.Timestamp{HashAlgorithm: query.HashAlgorithm, HashedMessage: query.HashedMessage,
		Time: time.Now(), Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}}
	out, err := stamp.CreateResponseWithOpts(i.tsa.Leaf, i.tsaKey, crypto.SHA256)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(out)
}

func (i *instance) config(t *testing.T, change func(string) string) []byte {
	t.Helper()
	text := fmt.Sprintf(`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",
		"caUrls":[{"url":"%[1]s","majorApiVersion":1,"validFor":{"start":"2020-01-01T00:00:00Z"},"operator":"test"}],
		"tsaUrls":[{"url":"%[1]s/tsa","majorApiVersion":1,"validFor":{"start":"2020-01-01T00:00:00Z"},"operator":"test"}],
		"tsaConfig":{"selector":"ANY"}}`, i.server.URL)
	if change != nil {
		text = change(text)
	}
	return []byte(text)
}

func TestSignKeyless(t *testing.T) {
	i := newInstance(t)
	s, err := NewKeyless(KeylessOptions{Token: GitHubToken(i.server.URL+"/token?x=1", "runner", nil), SigningConfig: i.config(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	image := testDigest(t, "image")
	trust := &TrustedRoot{i}
	for _, predicateType := range []string{PredicateSignature, PredicateSPDX} {
		st, err := NewStatement(image, predicateType, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.SignStatement(context.Background(), st)
		if err != nil {
			t.Fatal(err)
		}
		if signed.Envelope.Data != nil {
			t.Error("a legacy envelope without a log entry would verify nowhere")
		}
		for name, c := range map[string]struct {
			id Identity
			ok bool
		}{
			"right":            {Identity{Subject: workflow, Issuer: actions, Repository: "team/app"}, true},
			"wrong-repository": {Identity{Subject: workflow, Issuer: actions, Repository: "team/other"}, false},
			"wrong-subject":    {Identity{Subject: workflow + "x", Issuer: actions}, false},
		} {
			e, err := verifyBundle(signed.Bundle, image, VerifyOptions{Identities: []Identity{c.id}, TrustedRoot: trust})
			if (err == nil) != c.ok {
				t.Errorf("%s: %v", name, err)
			}
			if c.ok && e.PredicateType != predicateType {
				t.Errorf("%s: predicate type %s", name, e.PredicateType)
			}
		}
	}
	if n := i.certificates.Load(); n != 1 {
		t.Errorf("%d certificates for two signatures, want 1", n)
	}
	if _, err := s.SignImage(context.Background(), name.Repository{}, image); err == nil {
		t.Error("made a legacy signature")
	}
}

func TestNewKeylessRefuses(t *testing.T) {
	i := newInstance(t)
	token := GitHubToken(i.server.URL+"/token", "runner", nil)
	plain := func(s string) string { return strings.ReplaceAll(s, "127.0.0.1", "198.51.100.7") }
	for name, o := range map[string]KeylessOptions{
		"no-token":   {SigningConfig: i.config(t, nil)},
		"no-config":  {Token: token},
		"plain-http": {Token: token, SigningConfig: i.config(t, plain)},
		"no-witness": {Token: token, SigningConfig: i.config(t, func(s string) string { return strings.ReplaceAll(s, "tsaUrls", "oidcUrls") })},
		"expired": {Token: token, SigningConfig: i.config(t, func(s string) string {
			return strings.ReplaceAll(s, `"start":"2020`, `"end":"2020-02-01T00:00:00Z","start":"2020`)
		})},
		"huge-config": {Token: token, SigningConfig: make([]byte, maxSigningConfig+1)},
	} {
		if _, err := NewKeyless(o); err == nil {
			t.Errorf("%s: made a signer", name)
		}
	}
}

func TestGitHubTokenRefuses(t *testing.T) {
	i := newInstance(t)
	for name, get := range map[string]func(context.Context) (string, error){
		"no-actions":  GitHubToken("", "", nil),
		"wrong-token": GitHubToken(i.server.URL+"/token", "secret-of-another-job", nil),
		"plain-http":  GitHubToken("http://198.51.100.7/token", "runner", nil),
		"not-json":    GitHubToken(i.server.URL+"/nothing", "runner", nil),
	} {
		token, err := get(context.Background())
		if err == nil {
			t.Errorf("%s: token %q", name, token)
		} else if strings.Contains(err.Error(), "secret-of") {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}
