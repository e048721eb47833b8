package policy

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/sign"
)

// testKey is nobody's.
const testKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQmJK/SLAV0fTAocsv7Jf+jhYM5VB
r4sdjLH4Rpx9wGVxK6hbXj/86pyE3aAztWh+j3U1VO1KHdU+nHxkL17lDw==
-----END PUBLIC KEY-----
`

func keys(t *testing.T) []sign.Key {
	t.Helper()
	list, err := sign.LoadPublicKeys([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var github = sign.Identity{Subject: "https://github.com/team/app/.github/workflows/release.yaml@refs/heads/main",
	Issuer: "https://token.actions.githubusercontent.com"}

func cases(t *testing.T) map[string]struct {
	format  Format
	options Options
} {
	key := keys(t)
	o := Options{Repository: "registry.example.com/team/app", Keys: key}
	attested, two, keyless, replica := o, o, o, o
	attested.Attestations = []string{sign.PredicateSPDX, sign.PredicateProvenance}
	two.Keys = append(two.Keys, key[0])
	keyless.Keys, keyless.Identities = nil, []sign.Identity{github, {SubjectRegexp: `.*@team\.example`, Issuer: "https://accounts.example"}}
	replica.SignedAs = "registry.example.com/team/app"
	replica.Repository = "mirror.example.net/app"
	all := map[string]struct {
		format  Format
		options Options
	}{
		"kyverno-key":          {Kyverno, o},
		"kyverno-attested":     {Kyverno, attested},
		"kyverno-keyless":      {Kyverno, keyless},
		"sigstore-key":         {Sigstore, o},
		"sigstore-attested":    {Sigstore, attested},
		"sigstore-keyless":     {Sigstore, keyless},
		"ratify-key":           {Ratify, o},
		"connaisseur-key":      {Connaisseur, o},
		"connaisseur-two-keys": {Connaisseur, two},
		"containers-key":       {Containers, o},
		"containers-two-keys":  {Containers, two},
		"containers-replica":   {Containers, replica},
		"github-attested":      {GitHub, attested},
	}
	one := keyless
	one.Identities = keyless.Identities[:1]
	all["github-keyless"] = struct {
		format  Format
		options Options
	}{GitHub, one}
	private := keyless
	private.PrivateTrust = true
	all["sigstore-private"] = struct {
		format  Format
		options Options
	}{Sigstore, private}
	return all
}

// The golden files are what users get; UPDATE=1 rewrites them.
func TestGenerate(t *testing.T) {
	for name, c := range cases(t) {
		t.Run(name, func(t *testing.T) {
			files, err := Generate(c.format, c.options)
			if err != nil {
				t.Fatal(err)
			}
			var all bytes.Buffer
			for _, f := range files {
				checkSyntax(t, f)
				all.WriteString("==> " + f.Name + " <==\n")
				all.Write(f.Data)
			}
			golden := filepath.Join("testdata", name+".golden")
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(golden, all.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), all.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func checkSyntax(t *testing.T, f File) {
	t.Helper()
	if strings.HasSuffix(f.Name, ".json") {
		if !json.Valid(f.Data) {
			t.Errorf("%s is not JSON", f.Name)
		}
		return
	}
	in := yaml.NewDecoder(bytes.NewReader(f.Data))
	for {
		var doc map[string]any
		err := in.Decode(&doc)
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", f.Name, err, f.Data)
		}
		if kind, ok := doc["kind"]; ok && (doc["apiVersion"] == nil || doc["metadata"] == nil || kind == "") {
			t.Errorf("%s: an object without apiVersion or metadata: %v", f.Name, doc)
		}
	}
}

// Wherever bundles are read, the signature's own predicate type is demanded: an
// SBOM bundle alone must not do.
func TestBundlePoliciesDemandTheSignature(t *testing.T) {
	for name, c := range cases(t) {
		if c.format != Kyverno {
			continue
		}
		files, err := Generate(c.format, c.options)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"containers", "initContainers", "ephemeralContainers"} {
			for _, check := range []string{"verifyImageSignatures(image", "verifyAttestationSignatures(image, attestations.signature"} {
				if want := "images." + kind + ".map(image, " + check; !bytes.Contains(files[0].Data, []byte(want)) {
					t.Errorf("%s: no %q", name, want)
				}
			}
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	key := keys(t)
	for name, c := range map[string]struct {
		format  Format
		options Options
	}{
		"nobody":                {Kyverno, Options{Repository: "r.example/a"}},
		"no-repository":         {Kyverno, Options{Keys: key}},
		"injection":             {Kyverno, Options{Repository: "r.example/a\nkind: x", Keys: key}},
		"bad-name":              {Kyverno, Options{Repository: "r.example/a", Keys: key, Name: "A b"}},
		"bad-attestation":       {Kyverno, Options{Repository: "r.example/a", Keys: key, Attestations: []string{"spdx\n"}}},
		"newline-in-identity":   {GitHub, Options{Repository: "r.example/a", Identities: []sign.Identity{{Subject: "a\nrm -rf /", Issuer: "https://i"}}}},
		"workflow-expression":   {GitHub, Options{Repository: "r.example/a", Identities: []sign.Identity{{Subject: "${{ github.token }}", Issuer: "https://i"}}}},
		"two-identities":        {GitHub, Options{Repository: "r.example/a", Identities: []sign.Identity{github, github}}},
		"unknown-format":        {"opa", Options{Repository: "r.example/a", Keys: key}},
		"ratify-attestations":   {Ratify, Options{Repository: "r.example/a", Keys: key, Attestations: []string{sign.PredicateSPDX}}},
		"containers-identity":   {Containers, Options{Repository: "r.example/a", Identities: []sign.Identity{github}}},
		"kyverno-private-trust": {Kyverno, Options{Repository: "r.example/a", Identities: []sign.Identity{github}, PrivateTrust: true}},
		"issuer-expression":     {Sigstore, Options{Repository: "r.example/a", Identities: []sign.Identity{{Subject: "a", IssuerRegexp: ".*"}}}},
	} {
		if files, err := Generate(c.format, c.options); err == nil {
			t.Errorf("%s: generated\n%s", name, files[0].Data)
		}
	}
}
